"""The folder of a run."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import keras

from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.writing import check_writable, replacing

CONFIG, CLASSES = "config.json", "classes.json"
HISTORY, CURVES, TENSORBOARD = "history.csv", "curves.png", "tensorboard"
BEST, FINAL, FINAL_EMA = "best.weights.h5", "final.keras", "final_ema.keras"
SNAPSHOTS = "snapshots"


class RunFolder:
    """Where a run keeps its configuration, history and weights.

    Args:
        path: the folder; it need not exist.
        overwrite: whether a run in it may be replaced.
        resume: whether an unfinished run in it is to be continued.
        main: whether this process writes it; the others take part in saving, since
            reading weights that are spread over hosts needs all, and keep nothing.

    Raises:
        ValueError: if `path` is a file or cannot be written, holds a finished run and
            `overwrite` is False, or holds an unfinished one and neither it nor `resume`
            is given.
    """

    def __init__(self, path, overwrite=False, resume=False, main=True):
        self.path = Path(path)
        self.main = main
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"output_dir {str(path)!r} is a file, not a folder")
        check_writable(path, "output_dir")
        if overwrite:
            return
        if (self.path / FINAL).exists():
            raise ValueError(
                f"output_dir {str(path)!r} already holds a finished run; give "
                "another folder, or --overwrite to replace it"
            )
        if (self.path / SNAPSHOTS).exists() and not resume:
            raise ValueError(
                f"output_dir {str(path)!r} already holds an unfinished run; continue "
                "it with --resume, or replace it with --overwrite"
            )

    def record(self):
        """What `config.json` holds, or None if there is no run."""
        if not (self.path / CONFIG).exists():
            return None
        return json.loads((self.path / CONFIG).read_text(encoding="utf-8"))

    def start(self, record, class_names):
        """Removes what an earlier run left here, writes configuration and classes."""
        if not self.main:
            return
        self.existed = self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self.remove_run()
        with replacing(self.path / CONFIG) as path:
            path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        with replacing(self.path / CLASSES) as path:
            path.write_text(json.dumps(class_names) + "\n", encoding="utf-8")

    def remove_run(self):
        for name in (CONFIG, CLASSES, HISTORY, CURVES, BEST, FINAL, FINAL_EMA):
            (self.path / name).unlink(missing_ok=True)
        for name in (TENSORBOARD, SNAPSHOTS):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def abandon(self):
        """Takes back what `start` did, for a run that failed before any result."""
        if not self.main:
            return
        self.remove_run()
        if not self.existed:
            self.path.rmdir()

    @contextlib.contextmanager
    def saving(self, name):
        """The path to save `name` at; what others than the main process save there
        is thrown away."""
        if self.main:
            with replacing(self.path / name) as path:
                yield path
        else:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / name

    def save_model(self, model, name):
        """Saves the model, or for `.weights.h5` its weights, without the optimizer."""
        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        with self.saving(name) as path:
            if name.endswith(".weights.h5"):
                keras_file.save_weights(plain, path)
            else:
                plain.save(path)


class SaveBestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the highest `val_top1`.

    Keras's ModelCheckpoint writes in place, so that a killed run can leave half a
    file where the best weights were.

    Args:
        folder: `RunFolder`.
        history: list of dict, the epochs before a resume.
    """

    def __init__(self, folder, history=()):
        super().__init__()
        self.folder = folder
        self.best = max((row["val_top1"] for row in history), default=-1.0)

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_top1"] > self.best:
            self.best = logs["val_top1"]
            self.folder.save_model(self.model, BEST)
