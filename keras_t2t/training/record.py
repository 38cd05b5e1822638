"""The record of a run, and the check that a resumed run has the same settings."""

import dataclasses
import os
import uuid
from pathlib import Path

import keras

from keras_t2t._ground.version import __version__
from keras_t2t.checkpoints.registry import NAMES
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.setting import settings_of
from keras_t2t.training.teaching import RESNET50

# Settings that may change when a run is resumed: where it runs, how often it saves, and
# where its data is; `data` describes the data itself.
FREE = tuple(name for name, _, spec in settings_of(TrainingConfig) if spec.free)
# Custom parts that are recorded but may differ: callbacks, of which there may be more,
# and the data set, which `data` describes.
NOT_COMPARED = ("callbacks", "dataset")
PLACES = ("weights", "teacher")  # settings that may be a path


def run_record(config, dataset, before=None, own=None):
    """What the run folder's `config.json` says, enough to repeat the run; `before` is
    the record of the run that is continued, `own` that of custom parts."""
    return {
        "backend": keras.backend.backend(),
        "versions": {"keras_t2t": __version__, "keras": keras.__version__},
        **as_recorded(dataclasses.asdict(config), before or {}),
        "data": {
            "name": dataset.name,
            "training images": dataset.num_train,
            "validation images": dataset.num_validation,
            "classes": list(dataset.class_names),
        },
        **({} if own is None else {"own": own}),
        # Distinguishes runs with the same settings.
        "run": uuid.uuid4().hex if before is None else before.get("run"),
    }


def resumed_config(config, record):
    """`config`, with every missing setting taken from the run's record."""
    known = {field.name for field in dataclasses.fields(config)}
    taken = {
        name: value
        for name, value in record.items()
        if name in known and name not in FREE and getattr(config, name) is None
    }
    if config.reader is None:  # it may change, but only if asked to
        taken["reader"] = record.get("reader")
    if config.dataset is None and config.data_dir is None:
        taken.update({name: record.get(name) for name in ("dataset", "data_dir")})
        taken["skip_corrupt"] = config.skip_corrupt or record.get("skip_corrupt", False)
    return dataclasses.replace(config, **taken)


def check_same_run(now, record, folder):
    """Raises a ValueError that lists every setting, count or class in which the record
    of the present command differs from that of the run in this folder."""
    if found := differences(now, record):
        way = ""
        if any(text.startswith("epochs: ") for text in found):
            way = (
                f". To train for longer, start a new run from it, which keeps its "
                f"head: weights={str(folder)!r} (finetune's and transfer_learning's "
                "--weights)"
            )
        raise ValueError(
            f"cannot resume the run in {str(folder)!r} as something else: "
            f"{'; '.join(found)}{way}"
        )


def check_asked(config, record, folder):
    """The same check for the given settings only; the others are the run's."""
    asked = dataclasses.asdict(config)
    given = {name: value for name, value in asked.items() if value is not None}
    check_same_run({**record, **as_recorded(given, record)}, record, folder)


def as_recorded(settings, record):
    """`settings` with the recorded paths where they name the same, also if another
    machine has the folder above both elsewhere."""
    pairs = {name: (settings.get(name), record.get(name)) for name in PLACES}
    return settings | {
        name: old
        for name, (new, old) in pairs.items()
        if new and old and is_place(new, old)
    }


def is_place(path, recorded):
    """Whether a path names a recorded one, or its end where that is not there."""
    if path in (*NAMES, RESNET50):
        return False
    if os.path.abspath(path) == recorded:
        return True
    if os.path.exists(path) and os.path.exists(recorded):
        return os.path.samefile(path, recorded)
    end = Path(os.path.normpath(path)).parts
    return Path(recorded).parts[-len(end) :] == end


def differences(now, record):
    """The differences between two records, each as a text."""
    of_folder = not (now.get("dataset") or record.get("dataset"))
    return _differences("", _compared(record, of_folder), _compared(now, of_folder))


def _compared(record, of_folder):
    """What of a record must be the same: not the name of a folder of images, nor that
    of a model, which Keras may number."""
    found = {k: v for k, v in record.items() if k not in (*FREE, "versions", "run")}
    if of_folder:
        found["data"] = _without_name(record.get("data"))
    parts = (record.get("own") or {}).items()
    own = {name: _without_name(p) for name, p in parts if name not in NOT_COMPARED}
    return {**found, "own": own}


def _without_name(value):
    if not isinstance(value, dict):
        return value
    return {key: part for key, part in value.items() if key != "name"}


def _differences(name, old, new):
    """Texts that show how two values differ; none if they are equal."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        if name.startswith("own: ") and name.endswith(": config"):
            keys = [key for key in old if key in new]  # of what both Keras's record
        start = name and f"{name}: "
        parts = [_differences(f"{start}{k}", old.get(k), new.get(k)) for k in keys]
        return [text for part in parts for text in part]
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return [f"{name}: the run has {len(old):,}, now {len(new):,}"]
        pairs = enumerate(zip(old, new, strict=True))
        number, (old, new) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        name = f"{name} (number {number})"
    # Escaped: other alphabets' letters may look alike.
    return [f"{name}: the run has {old!a}, now {new!a}"]
