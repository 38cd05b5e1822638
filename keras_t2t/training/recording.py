"""Reports of a run while it goes: history, learning curve, TensorBoard, W&B."""

import csv
import importlib.util
import warnings

import keras

from keras_t2t._ground.files import replacing
from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t._ground.run_files import CURVES, HISTORY, TENSORBOARD
from keras_t2t.training.curves import draw_curves


def recorders(folder, progress, title, steps, wandb_project=None, config=None):
    """Callbacks that write the results of each epoch; `steps` gets what writes the
    losses between.

    Args:
        folder: `RunFolder`.
        progress: `Progress`.
        title: str, over the learning curve.
        steps: the run's `StepLog`.
        wandb_project: Weights & Biases project, or None.
        config: dict, what Weights & Biases shows of the run.

    Raises:
        ImportError: `wandb_project` is given and wandb is not installed.
    """
    callbacks = [History(folder.path, progress, title)]
    if not callbacks[0].draws:
        print(
            f"No {CURVES}: matplotlib is not installed, "
            'pip install "keras-t2t[visualize]"',
            flush=True,
        )
    # Keras's TensorBoard callback writes through TensorFlow.
    if _installed("tensorboard", "tensorflow"):
        callbacks.append(TensorBoard(folder.path / TENSORBOARD))
        steps.writers.append(tensorboard_writer(folder.path / TENSORBOARD))
    else:
        missing = "TensorFlow" if _installed("tensorboard") else "TensorBoard"
        print(
            f"No {TENSORBOARD}/: {missing} is not installed, "
            'pip install "keras-t2t[train]"',
            flush=True,
        )
    if wandb_project is not None:
        callbacks.append(wandb_logger(wandb_project, folder.path, config))
        steps.writers.append(log_to_wandb)
    return callbacks


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's, with epochs that count from 1.

    Args:
        folder: path.
    """

    def __init__(self, folder):
        import_tensorflow()
        super().__init__(folder, write_graph=False)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch + 1, logs)


def tensorboard_writer(folder):
    """A function (step, loss) that writes to TensorBoard's files."""
    tf = import_tensorflow()
    writer = tf.summary.create_file_writer(str(folder / "steps"))

    def write(step, loss):
        with writer.as_default():
            tf.summary.scalar("step_loss", loss, step=step)
        writer.flush()

    return write


def log_to_wandb(step, loss):
    import wandb

    wandb.log({"step": step, "step_loss": loss})


class KeepHistory(keras.callbacks.Callback):
    """Adds the results of each epoch to the progress."""

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.progress.history.append({"epoch": epoch, **logs, "learning_rate": rate})


class History(keras.callbacks.Callback):
    """Writes `history.csv`, whose epochs count from 1, and `curves.png` from the
    progress after each epoch.

    Both are written anew each time: after a kill they hold what the snapshot holds.
    """

    def __init__(self, path, progress, title):
        super().__init__()
        self.path = path
        self.progress = progress
        self.title = title
        self.draws = _installed("matplotlib")

    def on_epoch_end(self, epoch, logs=None):
        self.write()

    def write(self):
        history = self.progress.history
        with (
            replacing(self.path / HISTORY) as path,
            open(path, "w", newline="", encoding="utf-8") as file,
        ):
            names = list(history[-1])
            writer = csv.DictWriter(file, fieldnames=names, extrasaction="ignore")
            writer.writeheader()
            writer.writerows({**row, "epoch": row["epoch"] + 1} for row in history)
        if self.draws:
            try:
                draw_curves(history, self.path / CURVES, self.title)
            except Exception as error:  # a picture is not worth a run
                warnings.warn(f"no {CURVES} this time: {error}", stacklevel=2)


def wandb_logger(project, folder, config):
    """Weights & Biases' own Keras callback, once per epoch.

    A run that goes on does so there too: it is known by the run's own mark.
    """
    if not _installed("wandb"):
        raise ImportError(
            "wandb= needs wandb, which is not installed: pip install wandb"
        )
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    class Logger(WandbMetricsLogger):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch + 1, logs)  # epochs count from 1

    wandb.init(
        project=project,
        dir=str(folder),
        name=folder.name,
        config=config,
        id=config.get("run"),
        resume="allow",
    )
    return Logger(log_freq="epoch")


def _installed(*names):
    return all(importlib.util.find_spec(name) for name in names)
