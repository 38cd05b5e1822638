"""The folder of a run."""

import json
import shutil
from pathlib import Path

import keras

from keras_t2t.checkpoints.writing import replacing

CONFIG, CLASSES = "config.json", "classes.json"
HISTORY, TENSORBOARD = "history.csv", "tensorboard"
BEST, FINAL = "best.weights.h5", "final.keras"


class RunFolder:
    """Where a run keeps its configuration, history and weights.

    Args:
        path: the folder; it need not exist.
        overwrite: whether a finished run in it may be replaced.

    Raises:
        ValueError: if `path` is a file, or holds a finished run and `overwrite`
            is False.
    """

    def __init__(self, path, overwrite=False):
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"output_dir {str(path)!r} is a file, not a folder")
        if (self.path / FINAL).exists() and not overwrite:
            raise ValueError(
                f"output_dir {str(path)!r} already holds a finished run; give "
                "another folder, or --overwrite to replace it"
            )

    def start(self, record, class_names):
        """Removes what an earlier run left here, writes configuration and classes."""
        self.existed = self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self.remove_run()
        with replacing(self.path / CONFIG) as path:
            path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        with replacing(self.path / CLASSES) as path:
            path.write_text(json.dumps(class_names) + "\n", encoding="utf-8")

    def remove_run(self):
        for name in (CONFIG, CLASSES, HISTORY, BEST, FINAL):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / TENSORBOARD, ignore_errors=True)

    def abandon(self):
        """Takes back what `start` did, for a run that failed before any result."""
        self.remove_run()
        if not self.existed:
            self.path.rmdir()

    def save_final(self, model):
        with replacing(self.path / FINAL) as path:
            model.save(path)


class SaveBestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the highest `val_top1`.

    Keras's ModelCheckpoint writes in place, so that a killed run can leave half a
    file where the best weights were.
    """

    def __init__(self, folder):
        super().__init__()
        self.path = folder.path / BEST
        self.best = -1.0

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_top1"] > self.best:
            self.best = logs["val_top1"]
            with replacing(self.path) as path:
                self.model.save_weights(path)
