"""One training run with `model.fit`, from a configuration to a result."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t._ground.run_files import ADAPTERS, FINAL, FINAL_EMA
from keras_t2t.data.opening import naming_unreadable
from keras_t2t.data.preview import write_contact_sheet
from keras_t2t.settings.config import DTYPE_POLICIES, TrainingConfig
from keras_t2t.training.accuracy import worse_than_the_largest_class
from keras_t2t.training.compiled_model import compiled_model
from keras_t2t.training.distribution import connected
from keras_t2t.training.ema import averaged_weights, has_average
from keras_t2t.training.fitting import fit
from keras_t2t.training.optimizer import begin_average
from keras_t2t.training.own import Own
from keras_t2t.training.planning import plan_run
from keras_t2t.training.record import check_asked
from keras_t2t.training.recording import end_wandb, result_of, write_history
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.training.showing import Bar, first_lines
from keras_t2t.training.source import pretrained, start_from
from keras_t2t.training.state import restore_last
from keras_t2t.training.steps import Progress
from keras_t2t.training.stopping import StopSignals


def train(
    config: TrainingConfig,
    model: keras.Model | Callable | None = None,
    optimizer: keras.optimizers.Optimizer | Callable | None = None,
    loss: keras.losses.Loss | Callable | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    dataset: object = None,
    verbose: Literal["auto", 0, 1, 2] = "auto",
) -> dict[str, Any] | None:
    """Trains one model, from scratch or from `config.weights`, and leaves a run folder.

    The folder holds `config.json`, `classes.json`, `history.csv`, `best.weights.h5`
    (highest validation top-1), `final.keras` (which takes RGB pixels 0..255 and gives
    logits), `final_ema.keras` (the same with the moving average of the weights, if the
    optimizer keeps one), where matplotlib is installed `curves.png`, and where
    TensorBoard and TensorFlow are, `tensorboard/`. With
    `lora` the adapters are merged into these, and `adapters.lora.h5` holds only the
    adapters. During the run, `snapshots/` holds what `resume=True` continues from.

    The model, optimizer, loss, callbacks and data set may be your own; everything else
    follows the config. Snapshots, resuming, devices and the result work as usual, and
    the first lines printed say what resuming does not restore to the last bit. Settings
    that your part replaces must be left out. Resuming a run needs the same parts again.

    Args:
        config: a `TrainingConfig`.
        model: functional `keras.Model` from RGB pixels (batch, size, size, 3) in 0..255
            to logits (batch, classes), or a function without arguments that builds it:
            on several devices, and with `mixed_precision`, it must be a function.
        optimizer: a new `keras.optimizers.Optimizer`, or a function that makes one. It
            brings its learning rate, decay, clipping, accumulation and, by `use_ema`,
            its average.
        loss: `keras.losses.Loss`, or a function of targets (batch, classes) and logits
            that gives (batch,). It gets logits: Keras's own need `from_logits=True`.
        callbacks: Keras callbacks, called in every process. They get the results of
            each step and, at the end of an epoch, `val_*`. Snapshots contain what
            callbacks change in the model and optimizer, but not their own state.
            `model.stop_training = True` ends the run after the current epoch.
            `on_test_*` and `on_predict_*` are not called.
        dataset: what `keras_t2t.data.open_dataset` gives; or an object with methods
            `train_batches(first_step)` and `validation_batches()`; or a pair (training,
            validation) of functions or iterables; or a function that gives training
            batches, with the validation data named by the config. Batches are (images,
            targets): images (batch, size, size, 3) in 0..255, augmented, in training
            batches of one size; targets (batch, classes), or integers (batch,) if
            `class_names` or a built model tells the number of classes.
            Training batches may have a third array, weights (batch,). All of several
            processes must give the same whole batches; each trains on its share of
            them. The object may have attributes `class_names`, `name`, `num_train` and
            `num_validation`.
        verbose: 0 no bar and no losses, 1 progress bar, 2 one line per epoch. What is
            trained, and on which data, is printed in any case.

    Returns:
        dict with `backend`, `model`, `dataset`, `epochs`, `val_top1` and
        `val_top5` (fractions, of the weights after the last epoch or, with `patience`,
        of the best weights), `val_top1_ema` (of the average after the last epoch),
        `images_per_second` (of training, median over epochs) and `output_dir`. In a
        process that shares the run with a main one: None.

    With `resume`, a finished run is not trained further, and its result is returned.

    Raises:
        Stopped: a KeyboardInterrupt, raised for Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP
            after the current step or batch of validation, when a snapshot is written;
            if the final models are being saved, after these and the result. A second
            Ctrl-C raises at once. The previous signal handlers are restored at the end.
        ValueError: if a part, the weights, the data set, an image, the devices or
            the output folder is not usable, or `resume` finds another run. Nothing is
            left on disk then, unless there is a snapshot already.
        FloatingPointError: the loss or a weight is not finite.
        OSError: a file could not be written.
    """
    own = Own(model, optimizer, loss, callbacks, dataset)
    with (
        StopSignals() as stop,
        connected(config) as devices,
        contextlib.ExitStack() as entered,
    ):
        stop.devices = devices
        stop.take_over()  # JAX's service for several hosts takes SIGTERM
        folder = record = None
        if config.output_dir is not None:
            folder = entered.enter_context(RunFolder(config.output_dir, devices.main))
            record = folder.find_run(config.overwrite, config.resume)
            stop.folder = folder
            if record is not None and (result := folder.result(record)) is not None:
                check_asked(config, record, folder.path)
                if not devices.main:
                    return None
                # Its data is not opened, and what is asked for now may be other data.
                data = shown((record.get("data") or {}).get("name", "unknown data"))
                name = f"The run in {shown(folder.path)} on {data}"
                print(f"{name} is finished already", flush=True)
                folder.snapshots.remove()
                return {**result, "output_dir": str(folder.path)}  # it may have moved
        plan = plan_run(config, folder, record, devices, own)
        stop.folder = plan.folder
        if folder is None:
            entered.enter_context(plan.folder)
        policy = DTYPE_POLICIES[plan.config.mixed_precision]
        with dtype_policy(policy), devices.scope():
            result = Run(plan, devices, stop, verbose if devices.main else 0).run()
        return result if devices.main else None


@contextlib.contextmanager
def dtype_policy(name):
    """Within, layers are created with this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class Run:
    """Carries out a plan: trains, saves, finishes."""

    def __init__(self, plan, devices, stop, verbose):
        self.plan = plan
        self.config, self.dataset, self.folder = plan.config, plan.dataset, plan.folder
        self.devices, self.stop, self.verbose = devices, stop, verbose
        self.progress = Progress(
            plan.config.epochs, plan.config.steps_per_epoch, plan.config.patience
        )
        self.resumed = None  # the `Snapshot` to restore before the next step
        self.bar = Bar()

    def run(self):
        keras.utils.set_random_seed(self.config.seed)
        model = compiled_model(self.config, self.dataset, self.plan.own, self.say)
        self.devices.check_optimizer(model.optimizer)
        self.begin(model)
        self.devices.prepare(model)
        for line in first_lines(self.plan, model, self.devices.count):
            self.say(line)
        self.enter_folder(model)
        try:
            with naming_unreadable(self.dataset):
                if self.config.preview is not None and self.devices.main:
                    self.preview()
                if not self.progress.finished:
                    fit(self, model)
        except BaseException:
            end_wandb(self.plan.record, failed=True)
            if not self.progress.history and not self.folder.snapshots.paths():
                self.folder.abandon()
            raise
        end_wandb(self.plan.record, failed=not self.progress.finished)
        if not self.progress.finished:
            raise self.stop.stopped(f"saved after step {self.progress.step}")
        result = self.finish(model)
        if self.stop.asked():
            raise self.stop.stopped("and the run is finished")
        return result

    def begin(self, model):
        """Loads what the model starts from: a snapshot, weights, or nothing."""
        if self.plan.continues:
            self.resumed = restore_last(model, self.folder, self.plan.record)
        if self.resumed is not None:
            self.progress.take_over(self.resumed.metadata)
        if self.devices.differs(self.progress.step):
            raise ValueError(
                f"output_dir {str(self.folder.path)!r} must be on a disk that all "
                f"hosts share: process {self.devices.process} found the snapshot of "
                f"step {self.progress.step} there, another one did not"
            )
        if self.resumed is None and self.config.weights is not None:
            source = self.plan.source or pretrained(self.config)
            self.say(start_from(model, source, self.config))
            begin_average(model.optimizer, model.trainable_variables)

    def enter_folder(self, model):
        """Writes the description of a new run, or what a resumed run may have lost."""
        progress = self.progress
        if self.resumed is None:
            self.folder.start(self.plan.record, self.dataset.class_names)
            if self.config.resume:
                self.say(f"Nothing to resume in {self.folder.path}: starting")
            return
        self.folder.go_on(self.plan.record, self.dataset.class_names)
        self.say(f"Resuming after step {progress.step} ({self.resumed.path})")
        if progress.step_in_epoch == 0 and progress.unvalidated is None:
            self.write_epoch(model)

    def preview(self):
        """Draws the first training batch to the PNG `config.preview`."""
        self.say("Making the training stream for a preview")
        write_contact_sheet(
            self.dataset,
            self.config.preview,
            self.config.image_size,
            self.config.batch_size,
            self.config.seed,
            self.plan.augmentation,
            crop=self.config.crop,
            interpolation=self.config.interpolation,
        )
        self.say(f"Drew a training batch to {self.config.preview}")

    def write_epoch(self, model):
        """Writes what follows the snapshot at the end of an epoch."""
        if self.progress.last_is_best:
            self.folder.save_best(model)
        if self.devices.main:
            title = f"{self.plan.model_name} on {self.dataset.name}"
            write_history(self.folder.path, self.progress.history, title)

    def finish(self, model):
        """Saves the final models and the result, removes the snapshots."""
        history = self.progress.history
        last = history[-1]
        if has_average(model.optimizer):  # with the statistics of the last epoch
            with averaged_weights(model):
                self.folder.save_model(model, FINAL_EMA)
        if self.config.patience:
            last = history[self.progress.best_epoch]
            self.say(f"The best weights are those of epoch {last['epoch'] + 1}")
            self.folder.load_best(model)
        if self.config.lora:
            self.folder.save_model(model, ADAPTERS)
        self.folder.save_model(model, FINAL)
        result = result_of(self.plan, history, last)
        if line := worse_than_the_largest_class(self.dataset, result["val_top1"]):
            self.say(line)
        # It marks the run as finished; until then the snapshots are needed.
        self.folder.write_result(result)
        if self.devices.main:
            self.folder.snapshots.remove()
        return result

    def say(self, line):
        if self.devices.main:
            print(escaped(line), flush=True)

    def say_within(self, line):
        """Says a line during training, where a bar may be."""
        if self.devices.main and self.verbose not in (0, 2):
            print(flush=True)
        self.say(line)
