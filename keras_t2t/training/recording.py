"""Reports of a run: history, learning curve, TensorBoard, W&B, the result."""

import csv
import statistics
import sys
import warnings

import keras

from keras_t2t._ground.arguments import reason
from keras_t2t._ground.files import replacing
from keras_t2t._ground.optional_imports import import_tensorflow, is_installed
from keras_t2t._ground.run_files import CURVES, HISTORY, TENSORBOARD

# The panels of the learning curve, and what is drawn in each.
PANELS = {
    "loss": ("loss", "val_loss", "val_loss_ema"),
    "top-1": ("top1", "val_top1", "val_top1_ema"),
}


def recorders(plan, log):
    """Callbacks that write each epoch's results to TensorBoard and W&B; the `StepLog`
    gets what writes the losses between."""
    callbacks = []
    if not _installed("matplotlib"):
        missing(CURVES, "matplotlib", "visualize")
    # Keras's TensorBoard callback writes through TensorFlow.
    if _installed("tensorboard", "tensorflow"):
        board = TensorBoard(plan.folder.path / TENSORBOARD)
        callbacks.append(board)
        log.writers.append(board.write)
    else:
        package = "TensorFlow" if _installed("tensorboard") else "TensorBoard"
        missing(f"{TENSORBOARD}/", package, "train")
    if plan.config.wandb is not None:
        callbacks.append(wandb_logger(plan.config.wandb, plan.folder.path, plan.record))
        log.writers.append(log_to_wandb)
    return callbacks


def missing(what, package, extra):
    print(
        f'No {what}: {package} is not installed, pip install "keras-t2t[{extra}]"',
        flush=True,
    )


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras's, with epochs that count from 1, and losses between them."""

    def __init__(self, folder):
        summary = import_tensorflow().summary
        super().__init__(folder, write_graph=False)
        self.steps = summary.create_file_writer(str(folder / "steps"))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch + 1, logs)

    def write(self, step, loss):
        """Writes the mean loss of the steps up to `step`."""
        with self.steps.as_default():
            self.summary.scalar("step_loss", loss, step=step)
        self.steps.flush()


def log_to_wandb(step, loss):
    import wandb

    wandb.log({"step": step, "step_loss": loss})


def write_history(folder, history, title):
    """Writes `history.csv`, whose epochs count from 1, and `curves.png`.

    Both are written anew each time: after a kill they hold what the snapshot holds.
    """
    with (
        replacing(folder / HISTORY) as path,
        open(path, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(history[-1]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "epoch": row["epoch"] + 1} for row in history)
    if _installed("matplotlib"):
        try:
            draw_curves(history, folder / CURVES, title)
        except Exception as error:  # a picture is not worth a run
            warnings.warn(f"no {CURVES} this time: {error}", stacklevel=2)


def result_of(plan, history, last):
    """What a run reports: of its epoch `last`, and of the average after all epochs."""
    average = history[-1].get("val_top1_ema")
    rate = statistics.median_low(epoch["images_per_second"] for epoch in history)
    return {
        "backend": keras.backend.backend(),
        "model": plan.model_name,
        "dataset": plan.dataset.name,
        "epochs": len(history),
        **{name: last[name] for name in ("val_top1", "val_top5")},
        **({} if average is None else {"val_top1_ema": average}),
        "images_per_second": round(rate, 1),
        "output_dir": str(plan.folder.path),
    }


def draw_curves(history, path, title):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    epochs = range(1, len(history) + 1)
    for axes, (label, names) in zip(
        figure.subplots(1, len(PANELS)), PANELS.items(), strict=True
    ):
        for name in names:
            if name in history[-1]:
                values = [row.get(name, float("nan")) for row in history]
                axes.plot(epochs, values, label=name, marker="." * (len(history) < 40))
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, parse_math=False)  # a folder's name may have $
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def wandb_logger(project, folder, config):
    """Weights & Biases' own Keras callback, once per epoch. A run that goes on does so
    there too: it is known by the run's own mark."""
    if not _installed("wandb"):
        raise ImportError(
            "wandb= needs wandb, which is not installed: pip install wandb"
        )
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    class Logger(WandbMetricsLogger):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch + 1, logs)  # epochs count from 1

    try:
        wandb.init(
            project=project,
            dir=str(folder),
            name=folder.name,
            config=config,
            id=config.get("run"),
            resume="allow",
        )
    except Exception as error:  # of its own kinds: no login, no network
        raise RuntimeError(
            f"wandb={project!r}: no run can be begun: {reason(error)}"
        ) from error
    return Logger(log_freq="epoch")


def end_wandb(record, failed):
    """Ends what `wandb_logger` began for a run, else the process's next run would log
    there too; one that is not the run's own stays open."""
    wandb = sys.modules.get("wandb")
    run = getattr(wandb, "run", None)
    if run is not None and run.id == record.get("run"):
        wandb.finish(exit_code=int(failed))


def _installed(*names):
    return all(map(is_installed, names))
