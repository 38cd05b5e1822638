"""One training run with `model.fit`, from a configuration to a result."""

import contextlib
import dataclasses
import datetime
import statistics
import warnings

import keras
import numpy as np

import keras_t2t
from keras_t2t import data
from keras_t2t.models.by_name import builder
from keras_t2t.models.variants import RESNET_VARIANTS, VARIANTS
from keras_t2t.preprocessing import pixel_model
from keras_t2t.training import state
from keras_t2t.training.config import DTYPE_POLICIES, NORMALIZATIONS
from keras_t2t.training.distribution import connected
from keras_t2t.training.ema import averaged_weights, has_average
from keras_t2t.training.evaluation import Validation, evaluate
from keras_t2t.training.optimizer import adamw, fine_tuning_sgd
from keras_t2t.training.progress import Progress
from keras_t2t.training.recording import History, recorders
from keras_t2t.training.resuming import (
    check_asked,
    check_same_run,
    continued,
    differences,
)
from keras_t2t.training.run_folder import (
    BEST,
    FINAL,
    FINAL_EMA,
    RunFolder,
    new_run,
)
from keras_t2t.training.saving import (
    SaveBestWeights,
    SaveSnapshots,
    noticing_sigterm,
)
from keras_t2t.training.schedule import WarmupCosineCooldown
from keras_t2t.training.steps import Steps
from keras_t2t.training.streams import (
    check_batch_size,
    preview,
    train_stream,
    validation_stream,
)
from keras_t2t.training.throughput import ImagesPerSecond
from keras_t2t.training.weights_source import find_weights


def train(config, verbose="auto"):
    """Trains one model, from scratch or from `config.weights`, and leaves a run folder.

    The folder holds `config.json`, `classes.json`, `history.csv`, `curves.png`,
    `best.weights.h5` (highest validation top-1), `final.keras` (which takes RGB pixels
    0..255 and gives logits), `final_ema.keras` (the same with the moving average of the
    weights) and, where TensorBoard and TensorFlow are installed, `tensorboard/`. While
    it runs, `snapshots/` holds what `resume=True` continues from.

    Args:
        config: a `TrainingConfig`.
        verbose: Keras's: 0 silent, 1 progress bar, 2 one line per epoch.

    Returns:
        dict with `backend`, `model`, `dataset`, `epochs`, `val_top1` and
        `val_top5` (fractions, of the weights after the last epoch), `val_top1_ema` (of
        their average), `images_per_second` (of training, median over epochs) and
        `output_dir`. After SIGTERM: `backend`, `model`, `dataset`, `terminated_at_step`
        and `output_dir`. In a process that shares the run with a main one: None.

    With `resume` a finished run gives the result that it gave, and does nothing.

    Raises:
        ValueError: if the model, the weights, the data set, an image, the devices or
            the output folder is not usable, or `resume` finds another run; nothing is
            left on disk then.
        FloatingPointError: the loss or a weight is not finite.
        OSError: a file could not be written.
    """
    if config.model is not None:
        builder(config.model)
    with connected(config) as devices, contextlib.ExitStack() as held:
        folder = record = None
        if config.output_dir is not None:
            folder = held.enter_context(RunFolder(config.output_dir, devices.main))
            record = folder.find_run(config.overwrite, config.resume)
        if record is not None and (result := folder.result(record)) is not None:
            check_asked(config, record, folder.path)
            if devices.main:
                print(f"The run in {folder.path} is finished already", flush=True)
                folder.snapshots().remove()
            return result if devices.main else None
        run = Run(config, devices, verbose if devices.main else 0, folder, record)
        if folder is None:
            held.enter_context(run.folder)
        policy = DTYPE_POLICIES[run.config.mixed_precision]
        with dtype_policy(policy), devices.scope(), noticing_sigterm(run.progress):
            result = run.run()
            return result if devices.main else None


class Run:
    """A run that is ready to start: data open, settings filled in.

    Args:
        config: `TrainingConfig`.
        devices: `Devices`.
        verbose: Keras's.
        folder: the `RunFolder` that was asked for, held; None: a new one is made.
        record: what is recorded in it of the run that is to be continued, or None.
    """

    def __init__(self, config, devices, verbose, folder, record):
        self.devices = devices
        self.verbose = verbose
        if record is not None:
            config = continued(config, record)
        self.source = None
        if config.weights is not None and record is None:
            self.source = pretrained(config)
            config = like_its_source(config, self.source)
        if config.data_dir is not None and config.dataset is None:
            self.say(f"Listing the images in {config.data_dir}")
        self.dataset = data.open_dataset(
            config.dataset, config.data_dir, skip_corrupt=config.skip_corrupt
        )
        self.say(description(self.dataset, config))
        config = config.with_defaults(self.dataset.name, self.dataset.num_classes)
        if config.steps_per_epoch is None:
            steps = max(1, self.dataset.num_train // config.batch_size)
            config = dataclasses.replace(config, steps_per_epoch=steps)
        devices.check(config)
        check_batch_size(config, devices.shard)
        if folder is None:
            folder = RunFolder.new(default_folder(config, self.dataset), devices.main)
            config = dataclasses.replace(config, output_dir=str(folder.path))
        self.config = config
        self.folder = folder
        self.progress = Progress(config.epochs, config.steps_per_epoch)
        self.snapshots = folder.snapshots(config.snapshots_kept)
        self.record = run_record(config, self.dataset)
        if record is None:
            self.record["run"] = new_run()
        else:
            check_same_run(self.record, record, folder.path)
            # A run from before runs were marked has none.
            self.record.update({"run": record["run"]} if "run" in record else {})
        self.continues = record is not None
        self.resumed = None

    def restore(self, model):
        """Gives the model the state of the last good snapshot, if there is one.

        Raises:
            ValueError: there are snapshots, and none of them fits; or the processes
                found different ones.
        """
        if self.continues:
            for snapshot in self.snapshots.readable(self.record.get("run")):
                try:
                    if found := differences(self.record, snapshot.facts["config"]):
                        raise ValueError(f"it is of another run: {'; '.join(found)}")
                    state.restore(model, snapshot.arrays)
                except ValueError as error:
                    warnings.warn(
                        f"passing over the snapshot {snapshot.path}: {error}",
                        stacklevel=2,
                    )
                    continue
                self.resumed = snapshot
                self.progress.step = snapshot.facts["step"]
                self.progress.history = snapshot.facts["history"]
                break
            else:
                self.check_nothing_is_lost()
        self.check_same_snapshot()

    def check_nothing_is_lost(self):
        """
        Raises:
            ValueError: no snapshot can be used, and there are results.
        """
        if paths := self.snapshots.paths():
            raise ValueError(
                f"none of the {len(paths)} snapshots in {self.snapshots.folder} can be "
                "used; start again with --overwrite"
            )
        if (self.folder.path / BEST).exists():
            raise ValueError(
                f"output_dir {str(self.folder.path)!r} holds results and no snapshot "
                "to continue from; start again with --overwrite"
            )

    def check_same_snapshot(self):
        """
        Raises:
            ValueError: the processes found different snapshots.
        """
        step = self.resumed.facts["step"] if self.resumed is not None else 0
        if self.devices.differs(step):
            raise ValueError(
                f"output_dir {str(self.folder.path)!r} must be on a disk that all "
                f"hosts share: process {self.devices.process} found the snapshot of "
                f"step {step} there, another one did not"
            )

    def say(self, line):
        if self.devices.main:
            print(line, flush=True)

    def run(self):
        """Trains, and gives the result."""
        config, dataset, progress = self.config, self.dataset, self.progress
        keras.utils.set_random_seed(config.seed)
        model = compiled_model(config, dataset.num_classes, progress.steps_per_epoch)
        self.restore(model)
        if config.weights is not None and self.resumed is None:
            load_backbone(model, self.source or pretrained(config))
            part = "the head" if config.linear_probe else "all weights"
            self.say(f"Starting from {config.weights}, training {part}")
        self.devices.prepare(model)
        self.say(
            f"{config.model}, {model.count_params():,} parameters, on "
            f"{keras.backend.backend()}: {config.epochs} epochs of "
            f"{progress.steps_per_epoch} steps of {config.batch_size} images on "
            f"{self.devices.count} device{'s' * (self.devices.count > 1)}"
        )
        if self.resumed is None:
            self.folder.start(self.record, dataset.class_names)
            if config.resume:
                self.say(f"Nothing to resume in {self.folder.path}: starting")
        else:
            self.folder.go_on(self.record, dataset.class_names)
            self.say(f"Resuming after step {progress.step} ({self.resumed.path})")
            if progress.step_in_epoch == 0:
                self.catch_up(model)

        try:
            if config.preview is not None and self.devices.main:
                self.say("Making the training stream for a preview")
                preview(dataset, config)
                self.say(f"Drew a training batch to {config.preview}")
            if not progress.finished:
                self.fit(model)
        except BaseException as error:
            if not progress.history and not self.snapshots.paths():
                self.folder.abandon()
            if explanation := dataset.diagnose(error):
                raise explanation from None
            raise
        if not progress.finished:
            self.say(f"SIGTERM: saved after step {progress.step}; go on with --resume")
            return self.result(terminated_at_step=progress.step)
        return self.finish(model)

    def fit(self, model):
        """Runs what is left of the run."""
        config, progress = self.config, self.progress
        saver = SaveSnapshots(
            progress,
            self.snapshots,
            config.snapshot_every,
            self.devices,
            {"config": self.record},
            self.folder.has_result,
            self.resumed,
        )
        # The snapshot comes before all that may fail, or that an older run must be
        # gone for; what comes after it is made up for by `catch_up`.
        callbacks = [
            ImagesPerSecond(config.batch_size, announce=self.verbose != 0),
            Validation(self.evaluate, self.devices),
            KeepHistory(progress),
            saver,
            SaveBestWeights(self.folder, progress.history),
        ]
        if self.devices.main:
            callbacks += recorders(
                self.folder, progress, self.title, config.wandb, self.record
            )
        if self.verbose:
            self.say(
                "Making the training stream (some seconds with the full augmentation), "
                "then compiling the first step"
            )
        for first_epoch, end, steps in progress.stretches():
            model.fit(
                train_stream(self.dataset, config, progress.step, self.devices.shard),
                initial_epoch=first_epoch,
                epochs=end,
                steps_per_epoch=steps,
                callbacks=Steps(
                    progress,
                    callbacks,
                    needs_metrics=saver.due,
                    not_finite=self.not_finite,
                    model=model,
                    verbose=self.verbose,
                    epochs=progress.epochs,
                ),
                shuffle=False,  # the stream is shuffled already
                verbose=0,
            )
            if model.stop_training:
                break

    @property
    def title(self):
        return f"{self.config.model} on {self.dataset.name}"

    def catch_up(self, model):
        """Writes again what follows the snapshot at the end of an epoch."""
        *before, last = self.progress.history
        SaveBestWeights(self.folder, before).keep(model, last)
        if self.devices.main:
            History(self.folder.path, self.progress, self.title).write()

    def evaluate(self, model):
        batches, padded = validation_stream(
            self.dataset, self.config, self.devices.shard
        )
        images = self.dataset.num_validation
        return evaluate(model, batches, images, padded, self.devices)

    def not_finite(self, step, loss):
        rate = float(self.rates(step - 1))
        paths = self.snapshots.paths()
        last = f"the last good snapshot is {paths[-1]}" if paths else "no snapshot yet"
        return FloatingPointError(
            f"the loss became {loss} at step {step} (epoch "
            f"{(step - 1) // self.progress.steps_per_epoch + 1}), at learning rate "
            f"{rate:.3g}; {last}. A lower --learning-rate, --clip-norm or another "
            "--mixed-precision may help"
        )

    def rates(self, step):
        return keras.ops.convert_to_numpy(
            learning_rates(self.config, self.progress.steps_per_epoch)(step)
        )

    def finish(self, model):
        """Saves the final models and the result, removes the snapshots."""
        history = self.progress.history
        if has_average(model.optimizer):
            with averaged_weights(model):
                self.folder.save_model(model, FINAL_EMA)
        self.folder.save_model(model, FINAL)
        names = ("val_top1", "val_top5", "val_top1_ema")
        rate = statistics.median_low(row["images_per_second"] for row in history)
        result = self.result(
            epochs=self.config.epochs,
            **{name: history[-1][name] for name in names if name in history[-1]},
            images_per_second=round(rate, 1),
        )
        # It tells that the run is finished; until then the snapshots are needed.
        self.folder.write_result(result)
        if self.devices.main:
            self.snapshots.remove()
        return result

    def result(self, **values):
        return {
            "backend": keras.backend.backend(),
            "model": self.config.model,
            "dataset": self.dataset.name,
            **values,
            "output_dir": str(self.folder.path),
        }


class KeepHistory(keras.callbacks.Callback):
    """Adds the results of each epoch to the progress."""

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.progress.history.append({"epoch": epoch, **logs, "learning_rate": rate})


def description(dataset, config):
    """The first line that a run prints: which data, and how to get ImageNet."""
    line = (
        f"Data: {dataset.name}, {dataset.num_train:,} training and "
        f"{dataset.num_validation:,} validation images of {dataset.num_classes} classes"
    )
    if config.dataset is None and config.data_dir is None and dataset.name == "digits":
        line += (
            " (imagenet2012 is not prepared; to train on ImageNet, download it from "
            "image-net.org and give its folder with --data-dir, or prepare it with "
            "TensorFlow Datasets)"
        )
    return line


def run_record(config, dataset):
    """What the run folder's `config.json` says: enough to repeat the run."""
    return {
        "backend": keras.backend.backend(),
        "versions": {"keras_t2t": keras_t2t.__version__, "keras": keras.__version__},
        **dataclasses.asdict(config),
        "data": {
            "name": dataset.name,
            "training images": dataset.num_train,
            "validation images": dataset.num_validation,
            "classes": list(dataset.class_names),
        },
    }


def default_folder(config, dataset):
    time = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    backend = keras.backend.backend()
    return f"runs/{time}-{config.model}-{dataset.name}-{backend}"


@contextlib.contextmanager
def dtype_policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def pretrained(config):
    """The `WeightsSource` that the run starts from.

    Raises:
        ValueError: it is none, or its head is not called `head`.
    """
    source = find_weights(config.weights, config.model)
    if source.variant in RESNET_VARIANTS:
        raise ValueError(
            f"weights={config.weights!r} are of a {source.variant}; fine-tuning starts "
            "from a T2T-ViT or ViT"
        )
    return source


def like_its_source(config, source):
    """`config` with the model and the image size of the weights it starts from."""
    size = config.image_size
    if size is None:
        if source.size[0] != source.size[1]:
            raise ValueError(
                f"weights={config.weights!r} are for {source.size[0]}x{source.size[1]} "
                "px, and images are trained on as squares: give image_size"
            )
        size = source.size[0]
    return dataclasses.replace(config, model=source.variant, image_size=size)


def load_backbone(model, source):
    """Gives a model the weights of `source`, but for the head, which stays fresh even
    where both have as many classes."""
    head = model.get_layer("head")
    fresh = head.get_weights()
    source.load(model)
    head.set_weights(fresh)


def learning_rates(config, steps_per_epoch, share=1.0):
    """The schedule of the learning rate, or of one with this share of its peak."""
    return WarmupCosineCooldown(
        share * config.learning_rate,
        config.epochs,
        steps_per_epoch,
        config.warmup_epochs,
        config.cooldown_epochs,
        config.rate_changes,
        config.final_learning_rate,
    )


def compiled_model(config, num_classes, steps_per_epoch):
    """The model for RGB pixels 0..255, with its loss, optimizer and metrics, all
    variables made."""
    arguments = {}
    if config.linear_probe and config.model in VARIANTS:
        arguments["token_dropout"] = 0.0  # with it, training would not be inference
    mean, std = NORMALIZATIONS[config.normalization]
    model = pixel_model(
        builder(config.model),
        (config.image_size, config.image_size, 3),
        mean,
        std,
        classes=num_classes,
        classifier_activation=None,
        drop_path=config.drop_path,
        **arguments,
    )
    if config.linear_probe:
        head = {id(weight) for weight in model.get_layer("head").weights}
        # Not the layers: they would come back frozen from the saved model.
        for weight in model.trainable_weights:
            weight.trainable = id(weight) in head
    model.compile(
        optimizer=recipe_optimizer(model, config, steps_per_epoch),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        # Under mixup these count the dominant label. Padding has weight 0.
        weighted_metrics=[
            keras.metrics.CategoricalAccuracy(name="top1"),
            keras.metrics.TopKCategoricalAccuracy(k=min(5, num_classes), name="top5"),
        ],
        auto_scale_loss=False,  # done above, so that the average is kept
    )
    # Metrics make their variables when they are first used; a snapshot needs them now.
    zeros = np.zeros((1, num_classes), "float32")
    model.compute_metrics(zeros, zeros, keras.ops.convert_to_tensor(zeros), None)
    model.reset_metrics()
    return model


def recipe_optimizer(model, config, steps_per_epoch):
    """AdamW from scratch, SGD at two rates from weights; built."""
    rates = learning_rates(config, steps_per_epoch)
    settings = {
        "clip_norm": config.clip_norm or None,
        "accumulation": config.gradient_accumulation,
        "ema_decay": config.ema_decay,
        "total_steps": config.epochs * steps_per_epoch,
        "scale_loss": config.mixed_precision == "float16",
    }
    if config.weights is None:
        return adamw(model, rates, config.weight_decay, **settings)
    backbone = learning_rates(config, steps_per_epoch, config.backbone_rate)
    return fine_tuning_sgd(model, rates, backbone, config.weight_decay, **settings)
