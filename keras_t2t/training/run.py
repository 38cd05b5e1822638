"""One training run with `model.fit`, from a configuration to a result."""

import contextlib
import functools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t._ground.quiet import without_absl
from keras_t2t._ground.run_files import ADAPTERS, FINAL, FINAL_EMA
from keras_t2t.data.opening import naming_unreadable
from keras_t2t.models.head import head_layers
from keras_t2t.settings.config import DTYPE_POLICIES, TrainingConfig
from keras_t2t.training.compiled_model import compiled_model, learning_rates
from keras_t2t.training.distribution import connected
from keras_t2t.training.ema import averaged_weights, has_average
from keras_t2t.training.evaluation import Validation, evaluate
from keras_t2t.training.own import Own
from keras_t2t.training.planning import plan_run, pretrained
from keras_t2t.training.progress import Progress
from keras_t2t.training.record import check_asked
from keras_t2t.training.recording import History, KeepHistory, recorders
from keras_t2t.training.resuming import check_same_snapshot, restore_last
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.training.saving import (
    SaveBestWeights,
    SaveSnapshots,
    StopWhereItStalls,
)
from keras_t2t.training.showing import Bar, StepLog, time_it_takes
from keras_t2t.training.steps import Steps
from keras_t2t.training.stopping import StopSignals
from keras_t2t.training.streams import preview, train_stream, validation_stream
from keras_t2t.training.throughput import ImagesPerSecond
from keras_t2t.training.waiting import WaitingForData


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

    The folder holds `config.json`, `classes.json`, `history.csv`, `curves.png`,
    `best.weights.h5` (highest validation top-1), `final.keras` (which takes RGB pixels
    0..255 and gives logits), `final_ema.keras` (the same with the moving average of the
    weights) and, where TensorBoard and TensorFlow are installed, `tensorboard/`. With
    `lora` these have the adapters merged, and `adapters.lora.h5` has them alone. While
    it runs, `snapshots/` holds what `resume=True` continues from.

    Each part may be one's own; the rest follows the config. Snapshots, resuming,
    devices and the result are as otherwise, and the first lines say what resuming does
    not restore to the last bit. The settings whose place a part takes must be left out.
    A run that goes on needs the same parts again.

    Args:
        config: a `TrainingConfig`.
        model: functional `keras.Model` from RGB pixels (batch, size, size, 3) in 0..255
            to logits (batch, classes), or a function without arguments that builds it:
            on several devices, and with `mixed_precision`, it must be a function.
        optimizer: a new `keras.optimizers.Optimizer`, or a function that makes one. It
            brings its learning rate, decay, clipping, accumulation and, by `use_ema`,
            its average.
        loss: `keras.losses.Loss`, or a function of targets (batch, classes) and logits
            that gives (batch,). It takes logits: `from_logits=True`.
        callbacks: of Keras, called in every process. They get the results of each step,
            and at the end of an epoch `val_*`; what they change is in the snapshots,
            what they keep for themselves is not. `model.stop_training = True` ends the
            run with its epoch. `on_test_*` and `on_predict_*` are not called.
        dataset: what `keras_t2t.data.open_dataset` gives; or an object with methods
            `train_batches(first_step)` and `validation_batches()`; or a pair (training,
            validation) of functions or iterables; or a function of training batches,
            where the config names what validates. Batches are (images, targets):
            images (batch, size, size, 3) in 0..255, of one number for training, as the
            model is to see them; targets (batch, classes) or (batch,) integers. It may
            have attributes `class_names`, `name`, `num_train` and `num_validation`.
        verbose: Keras's: 0 silent, 1 progress bar, 2 one line per epoch.

    Returns:
        dict with `backend`, `model`, `dataset`, `epochs`, `val_top1` and
        `val_top5` (fractions, of the weights after the last epoch), `val_top1_ema` (of
        their average), `images_per_second` (of training, median over epochs) and
        `output_dir`. In a process that shares the run with a main one: None.

    With `resume` a finished run gives the result that it gave, and does nothing.

    Raises:
        Stopped: a KeyboardInterrupt, for Ctrl-C and SIGTERM, SIGUSR1 and SIGHUP: after
            the step or the batch of validation that was being done, with a snapshot.
            The result is there if the final models were being saved. A second Ctrl-C
            raises at once. Signals are handled as before when this function has ended.
        ValueError: if a part, the weights, the data set, an image, the devices or
            the output folder is not usable, or `resume` finds another run; nothing is
            left on disk then.
        FloatingPointError: the loss or a weight is not finite.
        OSError: a file could not be written.
    """
    own = Own(model, optimizer, loss, callbacks, dataset)
    with (
        StopSignals() as stop,
        connected(config) as devices,
        contextlib.ExitStack() as held,
    ):
        stop.devices = devices
        stop.take_over()  # JAX's service for several hosts takes SIGTERM
        folder = record = None
        if config.output_dir is not None:
            folder = held.enter_context(RunFolder(config.output_dir, devices.main))
            record = folder.find_run(config.overwrite, config.resume)
            stop.folder = folder
        result = folder.result(record) if folder and record is not None else None
        if folder and result is not None:
            check_asked(config, record, folder.path)
            if devices.main:
                path = shown(folder.path)
                print(f"The run in {path} is finished already", flush=True)
                folder.snapshots().remove()
            return result if devices.main else None
        plan = plan_run(config, folder, record, devices, own)
        stop.folder = plan.folder
        if folder is None:
            held.enter_context(plan.folder)
        run = Run(plan, devices, stop, verbose if devices.main else 0)
        policy = DTYPE_POLICIES[plan.config.mixed_precision]
        with dtype_policy(policy), devices.scope():
            result = run.run()
            return result if devices.main else None


class Run:
    """Does what is planned: train, keep, finish.

    Args:
        plan: `Plan`.
        devices: `Devices`.
        stop: `StopSignals`.
        verbose: Keras's.
    """

    def __init__(self, plan, devices, stop, verbose):
        self.plan = plan
        self.config, self.dataset = plan.config, plan.dataset
        self.folder, self.record = plan.folder, plan.record
        self.devices = devices
        self.stop = stop
        self.verbose = verbose
        self.progress = Progress(
            plan.config.epochs, plan.config.steps_per_epoch, plan.config.patience
        )
        self.snapshots = plan.folder.snapshots(plan.config.snapshots_kept)
        self.resumed = None
        self.bar = Bar()

    def say(self, line):
        if self.devices.main:
            print(escaped(line), flush=True)

    def say_within(self, line):
        """Says it while steps are done, where a bar may be."""
        if self.devices.main and self.verbose not in (0, 2):
            print(flush=True)
        self.say(line)

    def run(self):
        """Trains, and gives the result."""
        config, dataset, progress = self.config, self.dataset, self.progress
        with without_absl():  # Keras loads TensorFlow for it, where that is installed
            keras.utils.set_random_seed(config.seed)
        model = compiled_model(
            config,
            dataset.num_classes,
            progress.steps_per_epoch,
            dataset.class_counts,
            self.plan.own,
            self.say,
        )
        self.devices.check_optimizer(model.optimizer)
        if self.plan.continues:
            self.resumed = restore_last(model, self.snapshots, self.folder, self.record)
        check_same_snapshot(self.resumed, self.folder, self.devices)
        if self.resumed is not None:
            progress.step = self.resumed.facts["step"]
            progress.history = self.resumed.facts["history"]
            progress.unvalidated = self.resumed.facts.get("unvalidated")
            progress.ended = bool(self.resumed.facts.get("ended"))
        elif config.weights is not None:
            fresh = config.fresh_head is not False
            load_backbone(model, self.plan.source or pretrained(config), fresh)
            weights = sum(math.prod(weight.shape) for weight in model.trainable_weights)
            head = "" if fresh else " with its head"
            self.say(
                f"Starting from {config.weights}{head}, training {trained(config)}: "
                f"{weights:,} weights"
            )
        self.devices.prepare(model)
        parameters = keras.Model(model.inputs, model.outputs).count_params()
        self.say(
            f"{self.plan.model_name}, {parameters:,} parameters, on "
            f"{keras.backend.backend()}: {config.epochs} epochs of "
            f"{progress.steps_per_epoch} steps of {config.batch_size} images on "
            f"{self.devices.count} device{'s' * (self.devices.count > 1)}, "
            f"{config.epochs * progress.steps_per_epoch:,} steps in all"
        )
        if told := self.plan.not_restored:
            self.say(f"Resuming will not restore {'; nor '.join(told)}")
        if self.resumed is None:
            self.folder.start(self.record, dataset.class_names)
            if config.resume:
                self.say(f"Nothing to resume in {self.folder.path}: starting")
        else:
            self.folder.go_on(self.record, dataset.class_names)
            self.say(f"Resuming after step {progress.step} ({self.resumed.path})")
            if progress.step_in_epoch == 0 and progress.unvalidated is None:
                self.catch_up(model)

        try:
            with naming_unreadable(dataset):
                if config.preview is not None and self.devices.main:
                    self.say("Making the training stream for a preview")
                    preview(dataset, config)
                    self.say(f"Drew a training batch to {config.preview}")
                if not progress.finished:
                    self.fit(model)
        except BaseException:
            if not progress.history and not self.snapshots.paths():
                self.folder.abandon()
            raise
        if not progress.finished:
            raise self.stop.stopped(f"saved after step {progress.step}")
        result = self.finish(model)
        if self.stop.asked():
            raise self.stop.stopped("and the run is finished")
        return result

    def fit(self, model):
        """Runs what is left of the run."""
        config, progress, own = self.config, self.progress, self.plan.own
        saver = SaveSnapshots(
            progress,
            self.snapshots,
            config.snapshot_every,
            self.devices,
            self.stop,
            {"config": self.record},
            self.folder.has_result,
            self.resumed,
            own=bool(own.callbacks),
        )
        # The snapshot comes before all that may fail, or that an older run must be
        # gone for; what comes after it is made up for by `catch_up`.
        validation = Validation(
            self.evaluate, self.devices, self.stop, saver.save_unvalidated
        )
        callbacks = [
            ImagesPerSecond(config.batch_size, announce=self.verbose != 0),
            validation,
            KeepHistory(progress),
            *own.callbacks,
            saver,
            SaveBestWeights(self.folder, progress.history),
            StopWhereItStalls(progress),
        ]
        log = StepLog(
            progress,
            config.log_every,
            say=self.say_within if self.verbose else None,
            estimate=functools.partial(self.time_it_takes, model),
            lines=self.verbose == 2,  # where a bar moves, they would break it
        )
        if self.devices.main:
            callbacks += recorders(
                self.folder, progress, self.title, log, config.wandb, self.record
            )
        if self.verbose:
            self.say(
                "Making the training stream (some seconds with the full augmentation), "
                "then compiling the first step"
            )
        waiting = WaitingForData(self.say_within)
        callbacks += [waiting, log, self.bar]
        calls = functools.partial(
            Steps,
            progress,
            callbacks,
            needs_metrics=lambda step: (
                own.reads_steps or saver.due(step) or log.due(step)
            ),
            not_finite=functools.partial(self.not_finite, model),
            model=model,
            verbose=self.verbose,
            epochs=progress.epochs,
        )
        model.stop_training = False
        if progress.unvalidated is not None:
            last = calls()
            saver.restore()
            validation.resumed = True
            self.validate_last(last)
        for first_epoch, end, steps in progress.stretches():
            if model.stop_training:
                break
            batches = train_stream(
                self.dataset, config, progress.step, self.devices.shard
            )
            model.fit(
                self.dataset.watched(batches, waiting.delivered),
                initial_epoch=first_epoch,
                epochs=end,
                steps_per_epoch=steps,
                callbacks=calls(),
                shuffle=False,  # the stream is shuffled already
                verbose=0,
            )

    def validate_last(self, calls):
        """Does what is left of an epoch that was stopped after its last step."""
        progress = self.progress
        logs, progress.unvalidated = progress.unvalidated, None
        epoch = progress.step // progress.steps_per_epoch - 1
        calls.on_train_begin()
        calls.on_epoch_begin(epoch)
        calls.on_epoch_end(epoch, logs)
        calls.on_train_end()

    @property
    def title(self):
        return f"{self.plan.model_name} on {self.dataset.name}"

    def catch_up(self, model):
        """Writes again what follows the snapshot at the end of an epoch."""
        *before, last = self.progress.history
        SaveBestWeights(self.folder, before).keep(model, last)
        if self.devices.main:
            History(self.folder.path, self.progress, self.title).write()

    def evaluate(self, model):
        batches = validation_stream(self.dataset, self.config, self.devices.shard)
        images, batch_size = self.dataset.num_validation, self.config.batch_size
        return evaluate(
            model,
            batches,
            images,
            batch_size,
            self.devices,
            self.stop,
            self.bar.validated,
        )

    def time_it_takes(self, model, seconds_per_step):
        passes = 1 + has_average(model.optimizer)
        images, devices = self.dataset.num_validation, self.devices
        return time_it_takes(
            seconds_per_step, self.progress, self.config, images, passes, devices
        )

    def not_finite(self, model, step, loss):
        rate = float(self.rate(model, step - 1))
        paths = self.snapshots.paths()
        last = (
            f"the last good snapshot is {shown(paths[-1])}"
            if paths
            else "no snapshot yet"
        )
        return FloatingPointError(
            f"the loss became {loss} at step {step} (epoch "
            f"{(step - 1) // self.progress.steps_per_epoch + 1}), at learning rate "
            f"{rate:.3g}; {last}. A lower --learning-rate, --clip-norm or another "
            "--mixed-precision may help"
        )

    def rate(self, model, step):
        """The learning rate after that many steps."""
        if self.plan.own.optimizer is None:
            rates = learning_rates(self.config, self.progress.steps_per_epoch)
            return keras.ops.convert_to_numpy(rates(step))
        if keras.backend.backend() == "jax":
            model.jax_state_sync()
        return keras.ops.convert_to_numpy(model.optimizer.learning_rate)

    def finish(self, model):
        """Saves the final models and the result, removes the snapshots."""
        history = self.progress.history
        last = history[-1]
        if self.config.patience:
            last = history[self.progress.best_epoch]
            self.say(f"The best weights are those of epoch {last['epoch'] + 1}")
            self.folder.load_best(model)
        if has_average(model.optimizer):
            with averaged_weights(model):
                self.folder.save_model(model, FINAL_EMA)
        if self.config.lora:
            self.folder.save_model(model, ADAPTERS)
        self.folder.save_model(model, FINAL)
        names = ("val_top1", "val_top5", "val_top1_ema")
        rate = statistics.median_low(row["images_per_second"] for row in history)
        result = self.result(
            epochs=len(history),
            **{name: last[name] for name in names if name in last},
            images_per_second=round(rate, 1),
        )
        if line := worse_than_the_largest_class(self.dataset, result["val_top1"]):
            self.say(line)
        # It tells that the run is finished; until then the snapshots are needed.
        self.folder.write_result(result)
        if self.devices.main:
            self.snapshots.remove()
        return result

    def result(self, **values):
        return {
            "backend": keras.backend.backend(),
            "model": self.plan.model_name,
            "dataset": self.dataset.name,
            **values,
            "output_dir": str(self.folder.path),
        }


@contextlib.contextmanager
def dtype_policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def worse_than_the_largest_class(dataset, top1):
    """A line on a top-1 below the largest class's share; None if it is not below, or
    the share is not known."""
    counts = dataset.class_counts
    if counts is None or top1 >= (share := max(counts) / sum(counts)):
        return None
    name = shown(dataset.class_names[int(np.argmax(counts))])
    return (
        f"top-1 of {top1:.1%} is worse than always naming the largest class, {name}, "
        f"with {share:.1%} of the training images: nothing is learned yet"
    )


def trained(config):
    """What of the model is trained, in words."""
    if config.lora:
        return f"adapters of rank {config.lora} and the head"
    return "the head" if config.linear_probe else "all"


def load_backbone(model, source, fresh_head=True):
    """Gives a model the weights of `source`, but for the heads where these are to stay
    fresh, even where both have as many classes."""
    heads = head_layers(model) if fresh_head else []
    fresh = [(head, head.get_weights()) for head in heads]
    source.load(model)
    for head, weights in fresh:
        head.set_weights(weights)
