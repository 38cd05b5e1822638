"""One training run with `model.fit`, from a configuration to a result."""

import contextlib
import dataclasses
import datetime
import importlib.util

import keras

import keras_t2t
from keras_t2t import data
from keras_t2t.data.optional_imports import import_tensorflow
from keras_t2t.models.by_name import builder
from keras_t2t.training.checkpointing import (
    HISTORY,
    TENSORBOARD,
    RunFolder,
    SaveBestWeights,
)
from keras_t2t.training.config import MIXED_PRECISION
from keras_t2t.training.optimizer import adamw, warmup_cosine
from keras_t2t.training.throughput import ImagesPerSecond

# The warmup never takes more than this share of a short run.
LONGEST_WARMUP = 0.2


def train(config, verbose="auto"):
    """Trains one model from scratch and leaves a run folder behind.

    The folder holds `config.json`, `classes.json`, `history.csv`, `best.weights.h5`
    (highest validation top-1), `final.keras` (which takes RGB pixels 0..255 and
    gives logits) and, where TensorBoard and TensorFlow are installed, `tensorboard/`.

    Args:
        config: a `TrainingConfig`.
        verbose: Keras's: 0 silent, 1 progress bar, 2 one line per epoch.

    Returns:
        dict with `backend`, `model`, `dataset`, `epochs`, `val_top1` and
        `val_top5` (fractions, of the weights after the last epoch),
        `images_per_second` (of training, median over epochs) and `output_dir`.

    Raises:
        ValueError: if the model, the data set, an image or the output folder is
            not usable; nothing is left on disk then.
    """
    if config.model is not None:
        builder(config.model)
    if config.output_dir is not None:
        RunFolder(config.output_dir, config.overwrite)
    dataset = data.open_dataset(
        config.dataset, config.data_dir, skip_corrupt=config.skip_corrupt
    )
    print(description(dataset, config), flush=True)
    config = config.with_defaults(dataset.name, dataset.num_classes)
    if config.output_dir is None:
        config = dataclasses.replace(config, output_dir=default_folder(config, dataset))
    folder = RunFolder(config.output_dir, config.overwrite)

    keras.utils.set_random_seed(config.seed)
    with dtype_policy(MIXED_PRECISION[config.mixed_precision]):
        steps = config.steps_per_epoch or max(1, dataset.num_train // config.batch_size)
        model = compiled_model(config, dataset.num_classes, steps)
        print(
            f"{config.model}, {model.count_params():,} parameters, on "
            f"{keras.backend.backend()}: {config.epochs} epochs of {steps} steps of "
            f"{config.batch_size} images",
            flush=True,
        )
        throughput = ImagesPerSecond(config.batch_size)
        folder.start(record(config), dataset.class_names)
        try:
            model.fit(
                dataset.train_batches(
                    config.image_size, config.batch_size, config.seed
                ),
                epochs=config.epochs,
                steps_per_epoch=steps,
                validation_data=dataset.validation_batches(
                    config.image_size, config.batch_size
                ),
                callbacks=[throughput, *recorders(folder)],
                shuffle=False,  # the stream is shuffled already
                verbose=verbose,
            )
        except BaseException as error:
            if not throughput.by_epoch:
                folder.abandon()
            if explanation := dataset.diagnose(error):
                raise explanation from None
            raise
        folder.save_final(model)

    history = model.history.history
    return {
        "backend": keras.backend.backend(),
        "model": config.model,
        "dataset": dataset.name,
        "epochs": config.epochs,
        "val_top1": history["val_top1"][-1],
        "val_top5": history["val_top5"][-1],
        "images_per_second": round(throughput.median, 1),
        "output_dir": str(folder.path),
    }


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


def record(config):
    """What the run folder's `config.json` says: enough to repeat the run."""
    return {
        "backend": keras.backend.backend(),
        "versions": {"keras_t2t": keras_t2t.__version__, "keras": keras.__version__},
        **dataclasses.asdict(config),
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


def compiled_model(config, num_classes, steps_per_epoch):
    """The model for RGB pixels 0..255, with its loss, optimizer and metrics."""
    model = builder(config.model)(
        include_preprocessing=True,
        input_shape=(config.image_size, config.image_size, 3),
        classes=num_classes,
        classifier_activation=None,
        drop_path=config.drop_path,
    )
    total_steps = config.epochs * steps_per_epoch
    warmup_epochs = min(config.warmup_epochs, LONGEST_WARMUP * config.epochs)
    schedule = warmup_cosine(
        config.learning_rate, int(warmup_epochs * steps_per_epoch), total_steps
    )
    model.compile(
        optimizer=adamw(model, schedule, config.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="top1"),
            keras.metrics.TopKCategoricalAccuracy(k=min(5, num_classes), name="top5"),
        ],
    )
    return model


def recorders(folder):
    """Callbacks that write the history and the best weights."""
    callbacks = [
        keras.callbacks.CSVLogger(folder.path / HISTORY),
        SaveBestWeights(folder),
    ]
    # Keras's TensorBoard callback writes through TensorFlow.
    if all(importlib.util.find_spec(name) for name in ("tensorboard", "tensorflow")):
        import_tensorflow()
        callbacks.append(
            keras.callbacks.TensorBoard(folder.path / TENSORBOARD, write_graph=False)
        )
    return callbacks
