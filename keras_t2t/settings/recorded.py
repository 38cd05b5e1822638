"""The record of a run, which may come from anybody: every value is checked before it is
used."""

import os
import re
from pathlib import Path

from keras_t2t._ground.arguments import brief, is_integer, is_number, shown
from keras_t2t._ground.backend_names import BACKENDS
from keras_t2t._ground.files import read_json
from keras_t2t._ground.run_files import RESULT
from keras_t2t._ground.version import __version__
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.setting import settings_of
from keras_t2t.variants import family_of

SETTINGS = {
    name: (default, spec) for name, default, spec in settings_of(TrainingConfig)
}
# The keys needed to build the model of a run's weights.
OF_WEIGHTS = ("model", "image_size", "crop", "interpolation", "normalization")
# The keys that describe the run as a whole.
OF_RUN = ("backend", "versions", "data", "seed", "epochs")
COUNTS = ("training images", "validation images")
VERSION = r"\d+(\.\w+)*([+-][\w.]+)?"


def read_record(path, needed=OF_WEIGHTS):
    """The record in a run folder's `config.json`, see `checked_record`."""
    return checked_record(read_json(path), path, needed)


def repeated_settings(path):
    """The settings that another run takes over from a run's `config.json`: not those
    of the machine, nor those of a run that goes on. A ValueError if the run had custom
    parts, which no settings repeat."""
    record = read_record(path, needed=())
    if own := record.get("own"):
        raise refused(
            path,
            f"`own`: the run had its own {', '.join(map(shown, own))}, which only a "
            "call of keras_t2t.train with these can repeat",
        )
    checked_record(record, path, needed=("model", "image_size", "epochs"))
    settings = {
        name: record[name]
        for name, (_, spec) in SETTINGS.items()
        if not (spec.free and spec.group in ("run", "devices"))
    }
    settings["dataset"] = dataset_name(record)
    data = record.get("data") or {}
    images, batch = data.get("training images"), settings["batch_size"]
    if images and batch and settings["steps_per_epoch"] == max(1, images // batch):
        settings["steps_per_epoch"] = None  # all images, however many there are now
    if not settings["fresh_head"]:
        settings["fresh_head"] = None  # the classes tell
    return {name: value for name, value in settings.items() if value is not None}


def same_images(one, other):
    """Whether two mappings of settings name the same data set or folder."""
    one_folder, other_folder = (
        folder and os.path.realpath(os.path.expanduser(folder))
        for folder in (one["data_dir"], other["data_dir"])
    )
    return one["dataset"] == other["dataset"] and one_folder == other_folder


def dataset_name(record):
    """The name by which a run opened its data; None for a folder of images, or if
    nothing is recorded."""
    name = record.get("dataset")
    if name is None and record.get("data_dir") is None:  # it asked for no data
        name = (record.get("data") or {}).get("name")
    return name


def checked_record(value, path, needed=OF_WEIGHTS):
    """A run's record, after a check of every value, with the defaults of settings that
    it lacks; `needed` are keys that must be there, and not be None."""
    if not isinstance(value, dict):
        raise refused(path, f"must hold a record of a run, got {brief(value)}")
    newer = newer_version(value)
    since = f" (made by keras_t2t {newer}, this is {__version__})" if newer else ""
    for key in needed:
        if value.get(key) is None:
            raise refused(path, f"lacks `{shown(key)}`{since}")
    for key, recorded in value.items():
        try:
            check_value(key, recorded)
        except ValueError as error:
            raise refused(path, f"`{shown(key)}`: {error}{since}") from None
        if newer and key not in (*SETTINGS, *CHECKS):
            raise refused(path, f"`{shown(key)}` is unknown{since}")
    return {**{name: default for name, (default, _) in SETTINGS.items()}, **value}


def check_value(key, value):
    """Raises a ValueError unless a record may have this value for this key."""
    if key in SETTINGS:
        default, spec = SETTINGS[key]
        if value is not None or default is not None:
            spec.checked(key, value)
        if key == "model" and value is not None:
            family_of(value)
    elif key in CHECKS and value is not None:
        accepts, accepted = CHECKS[key]
        if not accepts(value):
            raise ValueError(f"must be {accepted}, got {brief(value)}")


# === What a record has beside settings ===
def are_versions(value):
    return isinstance(value, dict) and all(
        isinstance(version, str) and re.fullmatch(VERSION, version)
        for version in value.values()
    )


def is_data(value):
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    classes = value.get("classes", [])
    return (
        all(is_integer(value.get(count, 0), at_least=0) for count in COUNTS)
        and isinstance(classes, list)
        and all(isinstance(name, str) for name in classes)
    )


def are_parts(value):
    return isinstance(value, dict) and all(map(is_part, value.values()))


def is_part(value):
    """Whether it is the class or function of a custom part of the run, or several."""
    if isinstance(value, list):
        return all(map(is_part, value))
    if not isinstance(value, dict) or not isinstance(value.get("config", {}), dict):
        return False
    names = [value[key] for key in ("class", "function", "name") if key in value]
    return bool(names) and all(isinstance(name, str) for name in names)


# Whether a value may be the key's, and in words what may.
CHECKS = {
    "backend": (lambda value: value in BACKENDS, f"one of {', '.join(BACKENDS)}"),
    "versions": (are_versions, "an object with versions such as 3.12.0"),
    "data": (is_data, "an object with name, numbers of images and classes of the data"),
    "run": (lambda value: isinstance(value, str), "text"),
    "own": (are_parts, "an object with the run's custom parts"),
}


def newer_version(record):
    """The version of this package that wrote a record, if newer than this one."""
    versions = record.get("versions")
    made_by = versions.get("keras_t2t") if isinstance(versions, dict) else None
    if not isinstance(made_by, str) or not re.fullmatch(VERSION, made_by):
        return None
    theirs, ours = (
        [int(number) for number in re.findall(r"\d{1,9}", version.split("+")[0])]
        for version in (made_by, __version__)
    )
    return made_by if theirs > ours else None


# === The result ===
def read_result(folder):
    """The result of a finished run, from `result.json` in its folder: a dict with
    `epochs` and the measured accuracies."""
    path = Path(folder, RESULT)
    content = read_json(path)
    result = content.get("result") if isinstance(content, dict) else None
    if not isinstance(result, dict):
        raise refused(path, f"must hold the `result` of a run, got {brief(content)}")
    if not is_integer(result.get("epochs")):
        got = brief(result.get("epochs"))
        raise refused(path, f"`epochs`: must be a positive integer, got {got}")
    for key, value in result.items():
        if key.startswith("val_") and not (is_number(value) and 0 <= value <= 1):
            got = brief(value)
            raise refused(path, f"`{shown(key)}`: must be in [0, 1], got {got}")
    return result


def refused(path, reason):
    return ValueError(f"{shown(path)} {reason}")
