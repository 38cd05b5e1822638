"""A finished run as a repository of the Hugging Face hub."""

import json
import re
import shutil
import tempfile
from pathlib import Path

from keras_t2t.arguments import check_flags, check_path, check_text
from keras_t2t.hub_files import told_in_one_line
from keras_t2t.optional_imports import import_huggingface_hub
from keras_t2t.run_files import (
    CLASSES,
    CONFIG,
    CURVES,
    FINAL,
    FINAL_EMA,
    HISTORY,
    RESULT,
)
from keras_t2t.types import FilePath

NEEDED = (CONFIG, CLASSES, RESULT, FINAL)
FILES = (*NEEDED, FINAL_EMA, HISTORY, CURVES)
# They tell of the machine, not of the model.
LOCAL = ("output_dir", "coordinator", "wandb", "preview", "process_id")


def push_to_hub(
    run: FilePath,
    name: str,
    *,
    license: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Publishes a finished run: weights, classes, settings and a model card.

    `weights="hf://OWNER/NAME"` then loads it wherever weights are named. Folders of
    this machine are left out of what is published.

    Args:
        run: folder that `keras_t2t.training.train` left.
        name: `"OWNER/NAME"` on the hub; made where it does not exist.
        license: identifier of the hub, such as `"apache-2.0"`. None: the card says that
            none is stated.
        private: bool, whether a repository that is made is private.
        token: of the hub; None: that of `hf auth login` or `HF_TOKEN`.

    Returns:
        str, the address of the repository.

    Raises:
        ValueError: `run` is not the folder of a finished run, or `name` is no name;
            nothing is published then.
        PermissionError: the hub does not let this token write there.
        ConnectionError: the hub could not be reached or refused.
        ImportError: huggingface-hub is not installed.
    """
    check_path("run", run)
    check_text("name", name)
    check_flags(private=private)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"`name` must be OWNER/NAME, got {name!r}")
    run = Path(run)
    if lacking := [part for part in NEEDED if not (run / part).is_file()]:
        raise ValueError(
            f"`run` must be the folder of a finished run, and {str(run)!r} lacks "
            f"{', '.join(lacking)}"
        )
    record = published_record(read(run / CONFIG))
    result = read(run / RESULT)["result"]
    hub = import_huggingface_hub()
    from keras_t2t.model_card import model_card  # loads all of training

    card = model_card(record, result, read(run / CLASSES), name, license)
    with tempfile.TemporaryDirectory() as folder:
        for part in FILES:
            if (run / part).is_file():
                shutil.copyfile(run / part, Path(folder, part))
        write(Path(folder, CONFIG), record)
        write(Path(folder, RESULT), {"run": record.get("run"), "result": bare(result)})
        Path(folder, "README.md").write_text(card, encoding="utf-8")
        api = hub.HfApi(token=token, library_name="keras_t2t")
        with told_in_one_line(hub, f"{name!r}"):
            try:
                api.create_repo(name, private=private, exist_ok=True)
                api.upload_folder(
                    repo_id=name,
                    folder_path=folder,
                    commit_message=f"Publish a run of {record['model']}",
                )
            except hub.errors.HfHubHTTPError as error:
                if error.response.status_code not in (401, 403):
                    raise
                raise PermissionError(
                    f"the hub does not let this token write to {name!r} (HTTP "
                    f"{error.response.status_code}): log in with `hf auth login`, or "
                    "give `token`"
                ) from None
    return f"{api.endpoint}/{name}"


def published_record(record):
    """The configuration of a run without what it tells of this machine."""
    record = {key: None if key in LOCAL else value for key, value in record.items()}
    for key in ("data_dir", "weights", "teacher"):
        if record.get(key) is not None:
            record[key] = Path(record[key]).name
    return record


def bare(result):
    return {key: value for key, value in result.items() if key != "output_dir"}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
