"""The folder of a run, and files that are whole or not there."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import keras

CONFIG, HISTORY, TENSORBOARD = "config.json", "history.csv", "tensorboard"
BEST, FINAL = "best.weights.h5", "final.keras"


@contextlib.contextmanager
def written_beside(path):
    """Yields a path to write to; it becomes `path` when all went well.

    The suffix stays the same, since Keras chooses the file format by it.
    """
    beside = path.with_name(f"partial-{os.getpid()}-{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


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

    def start(self, record):
        """Removes what an earlier run left here and writes the configuration."""
        self.existed = self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self.remove_run()
        with written_beside(self.path / CONFIG) as path:
            text = json.dumps(record, indent=2)
            path.write_text(text + "\n", encoding="utf-8")

    def remove_run(self):
        for name in (CONFIG, HISTORY, BEST, FINAL):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / TENSORBOARD, ignore_errors=True)

    def abandon(self):
        """Takes back what `start` did, for a run that failed before any result."""
        self.remove_run()
        if not self.existed:
            self.path.rmdir()

    def save_final(self, model):
        with written_beside(self.path / FINAL) as path:
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
            with written_beside(self.path) as path:
                self.model.save_weights(path)
