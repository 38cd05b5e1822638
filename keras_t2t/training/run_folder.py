"""The folder of a run: its lock, its files, and the removal of an older run."""

import contextlib
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

import keras

from keras_t2t._ground.files import check_writable, read_json, replacing
from keras_t2t._ground.run_files import (
    ADAPTERS,
    BEST,
    CLASSES,
    CONFIG,
    CONTENTS,
    FILES_OF_MODEL,
    FOLDERS_OF_MODEL,
    RESULT,
    RESULTS,
    SNAPSHOTS,
    TENSORBOARD,
    is_record,
)
from keras_t2t.checkpoints import adapters, keras_file
from keras_t2t.settings.recorded import checked_record
from keras_t2t.training.lock import FolderLock
from keras_t2t.training.snapshots import Snapshots, cannot_save


class RunFolder:
    """Where a run keeps its configuration, history, weights and result.

    A context manager: within, no other process can enter the folder. A folder belongs
    to this package if its `config.json` (or, if that is lost, its snapshots) says so;
    nothing is ever removed from any other folder. Only the main process writes it; the
    others take part: reading weights that are spread over hosts needs all processes.
    """

    def __init__(self, path, main=True):
        self.path = Path(os.path.expanduser(path))  # no shell does in --output=~/x
        self.main = main
        self.replaces = False  # whether an older run stays until the first snapshot
        self.started = False
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"output_dir {str(path)!r} is a file, not a folder")
        check_writable(self.path, "output_dir")
        self.lock = FolderLock(self.path)
        self.snapshots = Snapshots(self.path / SNAPSHOTS)

    @classmethod
    def new(cls, path, main=True):
        """A new folder `path`, or `path-2` and so on if that exists."""
        for number in itertools.count(1):
            folder = cls(path if number == 1 else f"{path}-{number}", main)
            if not main:
                return folder
            with contextlib.suppress(FileExistsError):
                folder.lock.make(exist_ok=False)
                return folder

    def __enter__(self):
        if self.main:
            self.lock.acquire()
        return self

    def __exit__(self, *error):
        self.lock.release()

    def find_run(self, overwrite=False, resume=False):
        """The record of the run that is to be continued here, None if there is none. A
        ValueError if a run is here and neither `overwrite` nor `resume` is given, or if
        files are here that only have the names of a run's."""
        record = self._record()
        name = f"output_dir {str(self.path)!r}"
        if record is None:
            if found := [part for part in CONTENTS if (self.path / part).exists()]:
                raise ValueError(
                    f"{name} holds {', '.join(found)}, and neither a {CONFIG} nor a "
                    "snapshot in it is of a run of keras_t2t: it stays as it is; give "
                    "another folder"
                )
            return None
        if overwrite:
            self.replaces = True
            self.old_events = list((self.path / TENSORBOARD).rglob("events.*"))
            return None
        if not resume:
            if self.result(record) is not None:
                raise ValueError(
                    f"{name} already holds a finished run; give another folder, or "
                    "--overwrite to replace it"
                )
            if any((self.path / part).exists() for part in RESULTS):
                raise ValueError(
                    f"{name} already holds an unfinished run; continue it with "
                    "--resume, or replace it with --overwrite"
                )
            return None  # it was killed before its first snapshot
        checked_record(record, self.path / CONFIG, needed=())
        replaced = self._read_result()  # of a run whose removal was interrupted
        if self.main and replaced and replaced["run"] != record.get("run"):
            self._remove_all_but(CONFIG, keep_run=record.get("run"))
        return record

    @property
    def goes_on(self):
        """Whether `resume` finds the run of this process here, or its result."""
        if self.replaces:
            return False
        return bool(self.snapshots.paths()) or (self.path / RESULT).exists()

    def result(self, record):
        """The result of the run with this record, None if it is not finished."""
        found = self._read_result()
        return found["result"] if found and found["run"] == record.get("run") else None

    def start(self, record, class_names):
        """Writes configuration and classes, unless an older run is still here."""
        self.record, self.class_names = record, class_names
        if self.main and not self.replaces:
            self._write_record()
            self.started = True

    def go_on(self, record, class_names):
        """Continues the run in this folder, and restores what says so."""
        self.record, self.class_names = record, class_names
        if self.main and not is_record(self._read(CONFIG)):
            self._write(CONFIG, record)
        if self.main:  # a kill in `has_result` may have left none, or the older run's
            self._write(CLASSES, class_names)

    def has_result(self):
        """Called when the first snapshot is written: removes an older run.

        The configuration is replaced first: after a kill, the folder holds the old run
        if it came before that, and the new run if it came after.
        """
        if self.main and self.replaces:
            self._write_record()
            for path in self.old_events:  # the new run's, beside them, are open
                with contextlib.suppress(OSError):  # open elsewhere, or of another user
                    path.unlink()
            kept = CONFIG, CLASSES, TENSORBOARD
            self._remove_all_but(*kept, keep_run=self.record["run"])
            self.replaces, self.started = False, True

    def abandon(self):
        """Undoes `start`, for a run that failed before its first snapshot."""
        if self.main and self.started:
            self._remove_all_but()

    def write_result(self, result):
        """Writes the result, which marks the run as finished."""
        if self.main:
            self._write(RESULT, {"run": self.record.get("run"), "result": result})

    def save_model(self, model, name):
        """Saves the model, or for `.weights.h5` its weights, without the optimizer.
        Adapters are merged; for `ADAPTERS` only they and the head are saved. After an
        OSError, what was there before is untouched."""
        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        merged = adapters.merged_adapters if self.adapts else contextlib.nullcontext
        # Only the main process's file is kept.
        kept = contextlib.nullcontext(self.path)
        folder = kept if self.main else tempfile.TemporaryDirectory()
        try:
            with folder as place, replacing(Path(place, name)) as path:
                if name == ADAPTERS:
                    adapters.write_adapters(plain, path)
                elif name.endswith(".weights.h5"):
                    keras_file.save_weights(plain, path)
                else:
                    with merged(plain):
                        plain.save(path)
        except (OSError, RuntimeError) as error:  # HDF5 raises both on a full disk
            path = self.path / name
            raise cannot_save(path, error, self.snapshots.paths()) from error

    @property
    def adapts(self):
        return bool(self.record.get("lora"))

    def save_best(self, model):
        self.save_model(model, BEST)
        if self.adapts:
            self.save_model(model, ADAPTERS)

    def load_best(self, model):
        plain = keras.Model(model.inputs, model.outputs)
        if self.adapts:  # merged adapters cannot be separated again
            adapters.load_adapters(plain, self.path / ADAPTERS)
        else:
            plain.load_weights(self.path / BEST)

    def _record(self):
        """The contents of `config.json`, or if it is lost, the record in a snapshot."""
        record = self._read(CONFIG)
        if is_record(record):
            return record
        snapshot = next(self.snapshots.readable(), None)
        record = None if snapshot is None else snapshot.metadata["config"]
        return record if is_record(record) else None

    def _read_result(self):
        """What `write_result` wrote, None if it is missing or damaged."""
        found = self._read(RESULT)
        whole = isinstance(found, dict) and isinstance(found.get("result"), dict)
        return found if whole and "run" in found else None

    def _read(self, name):
        """The contents of a JSON file, None if it is missing or damaged."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return read_json(self.path / name)
        return None

    def _remove_all_but(self, *names, keep_run=None):
        """Removes what a run writes, but for `names` and the snapshots of the run
        `keep_run`; for that also what was made of the model of the run before."""
        if keep_run is not None:
            self.snapshots.remove_others(keep_run)
            names = (*names, SNAPSHOTS)
            for name, mark in FOLDERS_OF_MODEL.items():
                if (self.path / name / mark).is_file():  # of the older run's model
                    shutil.rmtree(self.path / name, ignore_errors=True)
            for name, mark in FILES_OF_MODEL.items():
                if (self.path / mark).is_file():
                    (self.path / name).unlink(missing_ok=True)
                    (self.path / mark).unlink()
        for path in [self.path / name for name in CONTENTS if name not in names]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _write_record(self):
        self._write(CONFIG, self.record)
        self._write(CLASSES, self.class_names)

    def _write(self, name, value):
        with replacing(self.path / name) as path:
            path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
