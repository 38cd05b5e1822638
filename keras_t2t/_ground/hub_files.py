"""Weights from a repository of the Hugging Face hub, cached: `hf://OWNER/NAME`."""

import contextlib
import re
from pathlib import Path, PurePosixPath

from keras_t2t._ground.optional_imports import import_huggingface_hub
from keras_t2t._ground.run_files import CLASSES, CONFIG, FINAL, FINAL_EMA, RESULT

PREFIX = "hf://"
FORM = "hf://OWNER/NAME[@REVISION][/FILE]"
ADDRESS = re.compile(
    r"hf://(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>[^@]+))?"
)
# The files of `push_to_hub` that are needed to build the model.
RUN_FILES = (CONFIG, CLASSES, RESULT, FINAL, FINAL_EMA)


def is_address(weights):
    return isinstance(weights, str) and weights.startswith(PREFIX)


def fetched(weights):
    """The local path of an address on the hub, in the hub's own cache: a run folder, or
    a file. Anything else is returned unchanged.

    `hf://OWNER/NAME` is a repository that `keras_t2t.push_to_hub` made, and
    `hf://OWNER/NAME/FILE` a checkpoint in any repository; `@REVISION` after the name is
    a branch, a tag or a commit.

    Raises:
        ValueError: `weights` begins with hf:// but is no address.
        FileNotFoundError: there is no such repository, revision or file, or it needs a
            token.
        ConnectionError: it is not in the cache, and the hub cannot be reached.
        ImportError: huggingface-hub is not installed.
    """
    if not is_address(weights):
        return weights
    match = ADDRESS.fullmatch(weights)
    if match is None or ".." in weights:
        raise ValueError(f"{weights!r} is no address on the hub: it must be {FORM}")
    hub = import_huggingface_hub()
    name, revision, file = match["name"], match["revision"], match["file"]
    with errors_in_one_line(hub, f"{weights!r}"):
        if file:  # and what describes it, where the repository has that
            beside = [str(PurePosixPath(file).with_name(x)) for x in (CONFIG, CLASSES)]
            hub.snapshot_download(name, revision=revision, allow_patterns=beside)
            return Path(hub.hf_hub_download(name, file, revision=revision))
        folder = hub.snapshot_download(
            name, revision=revision, allow_patterns=list(RUN_FILES)
        )
        return Path(folder)


def fetched_file(weights):
    """As `fetched`, but for a run folder the file with its final weights; a
    FileNotFoundError if the repository has none."""
    path = fetched(weights)
    if path is weights or path.is_file():
        return path
    if not (path / FINAL).is_file():
        raise FileNotFoundError(
            f"{weights!r} has no {FINAL}, so push_to_hub did not make it: name one "
            f"of its files, as in {weights}/model.safetensors"
        )
    return path / FINAL


@contextlib.contextmanager
def errors_in_one_line(hub, what):
    """Turns huggingface-hub's errors into those of `fetched`."""
    errors = hub.errors
    try:
        yield
    except errors.GatedRepoError:
        raise FileNotFoundError(
            f"{what} is gated: ask for access on its page, then `hf auth login`"
        ) from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"{what} does not exist on the hub, or is private and needs `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(f"{what}: there is no such revision") from None
    except errors.RemoteEntryNotFoundError:
        raise FileNotFoundError(f"{what}: there is no such file") from None
    except errors.HFValidationError as error:
        raise ValueError(f"{what} is no address on the hub: {error}") from None
    except (errors.LocalEntryNotFoundError, ConnectionError) as error:
        raise ConnectionError(
            f"{what} is not in the cache and could not be downloaded, is there a "
            f"network? {first_line(error)}"
        ) from None
    except errors.HfHubHTTPError as error:
        raise ConnectionError(f"{what}: the hub answered {first_line(error)}") from None


def first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
