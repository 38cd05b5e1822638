"""A finished run as a repository of the Hugging Face hub."""

import csv
import json
import re
import shutil
import tempfile
from pathlib import Path

from keras_t2t._ground.arguments import (
    brief,
    check_flags,
    check_path,
    check_text,
    escaped,
    shown,
)
from keras_t2t._ground.files import read_class_names
from keras_t2t._ground.hub_files import errors_in_one_line, is_address
from keras_t2t._ground.optional_imports import import_huggingface_hub
from keras_t2t._ground.run_files import (
    ADAPTERS,
    CLASSES,
    CONFIG,
    CURVES,
    FINAL,
    FINAL_EMA,
    HISTORY,
    RESULT,
)
from keras_t2t._ground.types import FilePath
from keras_t2t.checkpoints.registry import NAMES
from keras_t2t.hub.card import model_card
from keras_t2t.settings.recorded import (
    CHECKS,
    COUNTS,
    OF_RUN,
    OF_WEIGHTS,
    SETTINGS,
    read_record,
    read_result,
    refused,
)

NEEDED = (CONFIG, CLASSES, RESULT, FINAL)
FILES = (*NEEDED, FINAL_EMA, ADAPTERS, HISTORY, CURVES)
# They describe the machine, not the model.
LOCAL = ("output_dir", "coordinator", "wandb", "preview", "process_id")

# The published keys of the versions, the data and the result.
VERSIONS, DATA = ("keras_t2t", "keras"), ("name", *COUNTS, "classes")
REPORTED = (
    "backend",
    "model",
    "dataset",
    "epochs",
    "images_per_second",
    "val_top1",
    "val_top5",
    "val_top1_ema",
)
MAX_RUNS = 20  # in a chain of runs, each started from the weights of the previous


def push_to_hub(
    run: FilePath,
    name: str,
    *,
    license: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Publishes a finished run: weights, LoRA's adapters, classes, settings and a card.

    `weights="hf://OWNER/NAME"` then loads it wherever weights are named. Paths of this
    machine are not published.

    Args:
        run: folder that `keras_t2t.training.train` left.
        name: `"OWNER/NAME"` on the hub; created if it does not exist.
        license: identifier of the hub, such as `"apache-2.0"`. None: the card says that
            none is stated.
        private: bool, whether a new repository is private.
        token: of the hub; None: that of `hf auth login` or `HF_TOKEN`.

    Returns:
        str, the address of the repository.

    Raises:
        ValueError: `run` is not the folder of a finished run, or has files that no run
            writes or that are links, or `name` or `license` is invalid; then nothing is
            published.
        PermissionError: the token may not write there.
        ConnectionError: the hub could not be reached or refused.
        ImportError: huggingface-hub is not installed.
    """
    check_path("run", run)
    check_text("name", name)
    check_flags(private=private)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"`name` must be OWNER/NAME, got {name!r}")
    if license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(license)):
        raise ValueError(
            "`license` must be an identifier of the hub, such as 'apache-2.0', got "
            f"{brief(license)}"
        )
    run = Path(run).resolve()
    parts = published_files(run)
    whole = read_record(run / CONFIG, (*OF_WEIGHTS, *OF_RUN))
    record = published_record(whole)
    check_described(record, run / CONFIG)
    class_names = read_class_names(run / CLASSES, len(record["data"]["classes"]))
    result = {key: value for key, value in read_result(run).items() if key in REPORTED}
    if HISTORY in parts:
        check_history(run / HISTORY)
    card = model_card(
        record, result, class_names, name, license, origin(whole), ADAPTERS in parts
    )
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            shutil.copyfile(run / part, Path(folder, part), follow_symlinks=False)
        write(Path(folder, CONFIG), record)
        write(Path(folder, CLASSES), class_names)
        write(Path(folder, RESULT), {"run": record.get("run"), "result": result})
        Path(folder, "README.md").write_text(card, encoding="utf-8")
        message = f"Publish a run of {record['model']}"
        return upload(folder, name, private, token, message)


def published_files(run):
    """The names of the files of a run folder that are published; a ValueError if needed
    ones are missing, or one is a link or no file."""
    if lacking := [part for part in NEEDED if not (run / part).is_file()]:
        raise ValueError(
            f"`run` must be the folder of a finished run, but {str(run)!r} lacks "
            f"{', '.join(lacking)}"
        )
    parts = [part for part in FILES if (run / part).exists()]
    for part in parts:
        if (run / part).resolve() != run / part or not (run / part).is_file():
            raise ValueError(
                f"{shown(run / part)} is a link or no file: only files in the run "
                "folder itself can be published"
            )
    return parts


def upload(folder, name, private, token, message):
    """Makes the repository `name` where it is missing, commits a folder's files to it,
    and returns its address."""
    hub = import_huggingface_hub()
    api = hub.HfApi(token=token, library_name="keras_t2t")
    with errors_in_one_line(hub, f"{name!r}"):
        try:
            api.create_repo(name, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=name,
                folder_path=folder,
                commit_message=message,
                # What an earlier run left there would be taken for this one's.
                delete_patterns=[p for p in FILES if not Path(folder, p).exists()],
            )
        except hub.errors.HfHubHTTPError as error:
            if error.response.status_code not in (401, 403):
                raise
            raise PermissionError(
                f"this token may not write to {name!r} (HTTP "
                f"{error.response.status_code}): log in with `hf auth login`, or "
                "give `token`"
            ) from None
    return f"{api.endpoint}/{name}"


def published_record(record):
    """The record of a run without paths and settings of this machine, and without
    unknown keys."""
    record = {
        key: value for key, value in record.items() if key in (*SETTINGS, *CHECKS)
    }
    record |= {key: None for key in LOCAL if key in record}
    for key, names in (("versions", VERSIONS), ("data", DATA)):
        if key in record:
            record[key] = {n: v for n, v in record[key].items() if n in names}
    for key in ("data_dir", "weights", "teacher"):
        if record.get(key) is not None:
            record[key] = public_name(record[key])
    return record


def public_name(weights):
    """The public name of weights or a folder: an address on the hub, or the last part
    of its path."""
    if is_address(weights):
        return weights
    return cached_address(weights) or Path(weights).name


def cached_address(path):
    """The address on the hub of a path in the hub's cache, else None."""
    match = re.search(r"models--([\w.-]+?)--([\w.-]+)/snapshots/(\w+)", str(path))
    return match and f"hf://{match[1]}/{match[2]}@{match[3]}"


def origin(record):
    """The weights that a run goes back to, through earlier runs on this machine: an
    address on the hub, a name of published weights, or the name of a file of unknown
    origin; None, if the first run began from scratch."""
    for _ in range(MAX_RUNS):
        weights = record["weights"]
        known = weights is None or is_address(weights) or weights in NAMES
        if known or cached_address(weights):
            return weights and (cached_address(weights) or weights)
        before = Path(weights)
        before = (before if before.is_dir() else before.parent) / CONFIG
        if not before.is_file():
            break
        try:
            record = read_record(before)
        except (OSError, ValueError):
            break
    return Path(weights).name


def check_described(record, path):
    """Raises a ValueError unless a record has what the model card needs."""
    for key, names in (("versions", VERSIONS), ("data", DATA)):
        if lacking := [name for name in names if name not in record[key]]:
            raise refused(path, f"`{key}` lacks {', '.join(lacking)}")
    if not record["data"]["classes"]:
        raise refused(path, "`data` has no classes")


def check_history(path):
    """Raises a ValueError unless a file is a table of numbers."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not all(map(str.isidentifier, rows.fieldnames or [""])):
                raise ValueError("a column has no name")
            for row in rows:
                [float(value) for value in row.values() if value]
    except (TypeError, ValueError, csv.Error) as error:
        raise refused(path, f"is damaged: {escaped(str(error))}") from None


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
