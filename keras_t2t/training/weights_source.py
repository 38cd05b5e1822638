"""What the scripts' `--weights` means: a name, a checkpoint file or a run folder."""

from pathlib import Path
from typing import NamedTuple

from keras_t2t.checkpoints import (
    describe,
    keras_file,
    load_checkpoint,
    published_weights,
    standardization,
)
from keras_t2t.checkpoints.class_names import CIFAR, is_list_of_names, read_json
from keras_t2t.checkpoints.describe import head_classes
from keras_t2t.checkpoints.foreign_file import TORCH_SUFFIXES
from keras_t2t.checkpoints.loading import existing_file
from keras_t2t.checkpoints.named import converted_file
from keras_t2t.checkpoints.registry import NAMES, PUBLISHED, Published
from keras_t2t.models.by_name import builder
from keras_t2t.preprocessing import pixel_model
from keras_t2t.training.config import NORMALIZATIONS
from keras_t2t.training.run_folder import BEST, CLASSES, CONFIG, FINAL, FINAL_EMA
from keras_t2t.variants import RESNET_VARIANTS

# What the configuration of a run must say to be of use here.
RECORDED = {"model", "image_size", "crop", "interpolation", "normalization"}

RESNET_SIZE = (224, 224)


class WeightsSource(NamedTuple):
    """Weights, the model that they fit, and the images that the model wants."""

    weights: str | Path  # a name of published weights, or a file
    variant: str  # public name of the builder
    size: tuple  # (height, width) in pixels
    classes: int | None  # None where the file has no head
    crop: float = 0.9  # as for `preprocessing.evaluation_transform`
    interpolation: str = "bicubic"
    normalization: tuple = NORMALIZATIONS["imagenet"]  # mean and standard deviation
    class_names: list | None = None
    published: Published | None = None  # row of the registry
    run: dict | None = None  # the configuration of the run that made the file
    raw: bool = False  # not the averages, of a torch checkpoint that has both

    def build(self, **arguments):
        """The model with these weights, for RGB pixels 0..255.

        Args:
            **arguments: of the builder; `input_shape` and `classes` are the source's
                unless given.

        Returns:
            A functional `keras.Model`. A head for another number of classes is fresh.

        Raises:
            ValueError, OSError, ImportError: as for the builder's `weights`.
        """
        arguments = {
            "input_shape": (*self.size, 3),
            "classes": self.classes,
            **dict(zip(("mean", "std"), self.normalization, strict=True)),
            **arguments,
        }
        model = pixel_model(builder(self.variant), **arguments)
        self.load(model)
        return model

    def load(self, model):
        """Gives the weights to a model of the variant, as `load_checkpoint` does.

        Raises:
            ValueError, OSError, ImportError: as for a builder's `weights`.
        """
        if self.variant in RESNET_VARIANTS:
            model.load_weights(self.weights)
        elif self.weights in NAMES:
            load_checkpoint(
                model, converted_file(self.published, builder(self.variant))
            )
        else:
            load_checkpoint(model, self.weights, ema=not self.raw)


def find_weights(weights, variant=None, ema=False, raw=False):
    """Finds what `weights` names, without building a model.

    Args:
        weights: a name of published weights (`"imagenet"`), a checkpoint file of any
            kind that `keras_t2t.load_checkpoint` reads, or a folder that
            `keras_t2t.training.train` left. A file in such a folder is described by
            the folder's configuration, any other by its tensors.
        variant: public name of the model; None: what the file or run says, T2TViT14
            for a name.
        ema: bool, take a run folder's averaged weights.
        raw: bool, take the raw weights of a torch checkpoint that has both.

    Returns:
        A `WeightsSource`.

    Raises:
        ValueError: `weights` is none of these or of another model, or `ema` or `raw`
            asks for weights that it does not have.
        FileNotFoundError: there is no such file.
    """
    if variant is not None or weights in NAMES:
        builder(variant or "T2TViT14")  # an unknown name is told first
    path = Path(weights)
    if ema and not path.is_dir():
        raise ValueError(
            f"--ema chooses the averaged weights of a run folder, and {str(weights)!r} "
            "is none: of a torch checkpoint they are taken unless --raw is given"
        )
    if raw and not path.name.endswith(TORCH_SUFFIXES):
        raise ValueError(
            "--raw chooses the raw weights of a torch checkpoint "
            f"({', '.join(TORCH_SUFFIXES)}), got {str(weights)!r}"
        )
    if weights in NAMES:
        row = published_weights(weights, variant or "T2TViT14")
        return _of_published(weights, row)
    if path.is_dir():
        path = final_weights(path, ema)
    path = existing_file(path)
    # A file of the release under its own name.
    row = next((row for row in PUBLISHED if row.file == path.name), None)
    if row is not None and variant in (None, row.variant):
        return _of_published(path, row)._replace(raw=raw)
    run, class_names = read_run(path.parent)
    if run is not None and variant in (None, run["model"]):
        check_class_names(path, head_classes(path), class_names)
        return WeightsSource(
            path,
            run["model"],
            (run["image_size"], run["image_size"]),
            len(class_names),
            run["crop"],
            run["interpolation"],
            NORMALIZATIONS[run["normalization"]],
            class_names,
            run=run,
        )
    if variant in RESNET_VARIANTS:
        classes = _resnet_classes(path)
        check_class_names(path, classes, class_names)
        return WeightsSource(
            path, variant, RESNET_SIZE, classes, class_names=class_names
        )
    held = describe(path)
    check_class_names(path, held.classes, class_names)
    return WeightsSource(
        path,
        variant or held.variant,
        held.input_shape[:2],
        held.classes,
        normalization=standardization(path, None, NORMALIZATIONS["imagenet"]),
        class_names=class_names,
        raw=raw,
    )


def check_class_names(path, classes, class_names):
    """Refuses names beside a file that are not as many as the classes of its head.

    Raises:
        ValueError: if so; the names are then of something else.
    """
    if class_names is not None and classes not in (None, len(class_names)):
        raise ValueError(
            f"{path.with_name(CLASSES)} has {len(class_names)} class names, and the "
            f"head of {path.name} is for {classes} classes"
        )


def _resnet_classes(path):
    """Number of classes of Keras's ResNet50 in a file that Keras wrote."""
    if not path.name.endswith(keras_file.SUFFIXES):
        raise ValueError(
            "the weights of ResNet50 must be a "
            f"{' or '.join(keras_file.SUFFIXES)} file, got {str(path)!r}"
        )
    bias = keras_file.read(path).arrays.get("predictions/1")
    if bias is None or bias.ndim != 1:
        raise ValueError(f"{path} holds no ResNet50 with a head")
    return len(bias)


def _of_published(weights, row):
    return WeightsSource(
        weights,
        row.variant,
        (row.size, row.size),
        row.classes,
        row.crop,
        row.interpolation,
        (row.mean, row.std),
        CIFAR.get(row.name),
        row,
    )


def final_weights(folder, ema=False):
    """The file of a run folder that holds its final weights, raw or averaged.

    Raises:
        ValueError: the run keeps no average, is not finished, or `folder` is no run.
    """
    path = folder / (FINAL_EMA if ema else FINAL)
    if path.is_file():
        return path
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{str(folder)!r} is no run folder: it holds no {CONFIG}")
    if (folder / FINAL).is_file():
        raise ValueError(
            f"{str(folder)!r} holds no {FINAL_EMA}: its run kept no average"
        )
    best = f"; its best weights so far are {BEST}" if (folder / BEST).is_file() else ""
    raise ValueError(
        f"{str(folder)!r} holds no {path.name}: its run is not finished{best}"
    )


def read_run(folder):
    """The configuration and the class names in a run folder, None where missing.

    Raises:
        ValueError: if one of them is no JSON, or the names are no list of text.
    """
    run, class_names = (
        read_json(path) if path.is_file() else None
        for path in (folder / CONFIG, folder / CLASSES)
    )
    if class_names is not None and not is_list_of_names(class_names):
        raise ValueError(f"{folder / CLASSES} must hold a JSON list of class names")
    complete = isinstance(run, dict) and run.keys() >= RECORDED
    return run if complete and class_names else None, class_names
