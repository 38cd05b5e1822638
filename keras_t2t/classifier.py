"""A model with its classes, size and preprocessing, from a name, file or run folder."""

import contextlib
import difflib
import itertools
import re
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_t2t._ground.arguments import check_flags, escaped, reason, shown
from keras_t2t._ground.files import read_class_names, read_json
from keras_t2t._ground.hub_files import fetched
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t._ground.run_files import (
    BEST,
    CLASSES,
    CONFIG,
    FINAL,
    FINAL_EMA,
    is_record,
)
from keras_t2t._ground.types import FilePath
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.foreign_file import check_torch
from keras_t2t.checkpoints.loading import CheckpointFile, existing_file
from keras_t2t.checkpoints.published_file import Pretrained, load_published
from keras_t2t.checkpoints.registry import (
    NAMES,
    Published,
    published_weights,
    row_of_file,
)
from keras_t2t.checkpoints.standardization import timm_preparation
from keras_t2t.models.by_name import builder
from keras_t2t.preprocessing import IMAGENET_CLASSES, decode_predictions, pixel_model
from keras_t2t.settings.recorded import OF_WEIGHTS, checked_record
from keras_t2t.variants import RESNET_VARIANTS

RANDOM = "random"
MAX_NAMES = 10_000  # files of a folder that are compared with a wrong name
DEFAULT_VARIANT = "T2TViT14"
DEFAULT_SIZE = 224, 224

# Files of weights that a run writes: a config.json beside them must be a run's record.
RUN_WEIGHTS = (BEST, FINAL, FINAL_EMA)


class Classifier(NamedTuple):
    """What is known about a model before it is built."""

    weights: str | Path  # "random", a name of published weights, or a file
    variant: str  # public name of the builder
    size: tuple  # (height, width) in pixels
    classes: int | None  # None if the file has no head
    # None if unknown; for published ImageNet weights Keras has the names.
    class_names: list | None = None
    crop: float = 0.9  # as for `preprocessing.evaluation_transform`
    interpolation: str = "bicubic"
    normalization: tuple = NORMALIZATIONS["imagenet"]  # mean and standard deviation
    published: Published | None = None  # row of the registry
    run: dict | None = None  # the record of the run that made the file
    # Whether photographs are turned as their EXIF data says; None if unknown.
    exif_orientation: bool | None = None
    file: CheckpointFile | None = None  # None for a name

    @property
    def transform(self):
        """`crop` and `interpolation` of `evaluation_transform`."""
        return {"crop": self.crop, "interpolation": self.interpolation}

    @property
    def photograph_transform(self):
        """All settings of `evaluation_transform`, for new photographs, which are turned
        unless those of the run were not."""
        turns = self.exif_orientation is not False
        return {**self.transform, "exif_orientation": turns}

    @property
    def labels(self):
        """The names of its classes. Without names, 1,000 classes get ImageNet's, others
        numbers. None if it has no classes, or these names cannot be downloaded."""
        if self.class_names is not None or self.classes is None:
            return self.class_names
        if self.classes == IMAGENET_CLASSES:
            return imagenet_names()
        return numbered(self.classes)

    @property
    def reduced(self):
        """Whether `evaluation_transform` reads large photographs reduced, as they are
        validated: not with ImageNet's classes, or as many."""
        return self.classes is not None and self.classes < IMAGENET_CLASSES

    def build(self, **arguments):
        """The model with these weights, for RGB pixels 0..255.

        Args:
            **arguments: of the builder; `input_shape` and `classes` default to the
                classifier's.

        Returns:
            A functional `keras.Model`. A head for another number of classes is newly
            initialized.

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
        """Loads the weights into a model of the variant, as `load_checkpoint` does.

        Raises:
            ValueError, OSError, ImportError: as for a builder's `weights`.
        """
        if self.weights == RANDOM:
            return
        if self.variant in RESNET_VARIANTS:
            model.load_weights(self.weights)
        elif self.weights in NAMES:
            load_published(model, self.published, builder(self.variant))
        else:
            self.file.load(model)


def load(path: FilePath, ema: bool = False) -> keras.Model:
    """Loads the whole model from a `.keras` file, as it was saved.

    Its layers may be Keras's, this package's, and those registered with
    `keras.saving.register_keras_serializable`; no code in the file is run.

    Args:
        path: a `.keras` file, the folder of a finished run (for its `final.keras`,
            which takes RGB 0..255 and gives logits), or `hf://OWNER/NAME` of either.
        ema: whether to take the averaged weights of a run folder.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is another kind of file, is damaged or has an unknown layer,
            or the folder is not of a finished run; `ema` without a folder.
        ImportError, ConnectionError: as for `weights="hf://..."` of the models.
    """
    check_flags(ema=ema)
    file = Path(fetched(path))
    if file.is_dir():
        file = final_weights(file, ema)
    elif ema:
        raise ValueError(
            f"`ema` chooses the averaged weights of a run folder, got {shown(path)}"
        )
    if file.suffix != ".keras":
        raise ValueError(
            f"`path` must be a .keras file or a run folder, got {shown(path)}; to load "
            'weights alone build a model: keras_t2t.T2TViT14(weights="...")'
        )
    keras_file.read(existing_file(file))  # clear errors for damaged files
    try:
        return keras.saving.load_model(file, compile=False)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a configuration from outside may raise anything
        message = reason(error)
        if unknown := re.search(r"Could not locate \w+ '([\w.]+)'", str(error)):
            message = (
                f"its class {unknown[1]} is unknown; first import the module that "
                "registers it with keras.saving.register_keras_serializable"
            )
        raise ValueError(f"{shown(file)} cannot be loaded: {message}") from error


def find_classifier(
    weights,
    variant=None,
    size=None,
    names_path=None,
    ema=False,
    raw=False,
    needs_head=True,
):
    """Finds what `weights` names, without building a model.

    Args:
        weights: `"random"`, a name of published weights (`"imagenet"`), any checkpoint
            file that `keras_t2t.load_checkpoint` reads, a folder that
            `keras_t2t.training.train` left, or `hf://OWNER/NAME` on the Hugging Face
            hub. A file in a run folder is described by the run's record, any other by
            its tensors.
        variant: public name such as `"T2TViT14"`; None: as the file or run says,
            T2TViT14 for a name.
        size: `(height, width)`; None for the weights' own, 224 px if unknown.
        names_path: JSON list of class names; None for CIFAR's, or `classes.json`
            beside a checkpoint.
        ema: bool, take the averaged weights of a run folder.
        raw: bool, take the raw weights of a torch checkpoint that has both.
        needs_head: bool, whether weights without a head are an error.

    Returns:
        `Classifier`.

    Raises:
        OSError: if a file is missing.
        ValueError: `weights` is none of these, is of another model or lacks a needed
            head, `ema` or `raw` asks for weights that it does not have, or the number
            of class names is not that of the classes.
        ImportError: if reading the checkpoint needs a library that is not installed.
    """
    weights = fetched(weights)
    by_name = weights in (RANDOM, *NAMES)
    if by_name and variant is None:
        variant = DEFAULT_VARIANT
    if variant is not None:
        builder(variant)  # an unknown name is an error first
    path = Path(weights)
    if ema and not path.is_dir():
        raise ValueError(
            f"--ema chooses the averaged weights of a run folder, but {str(weights)!r} "
            "is none; those of a torch checkpoint are used unless --raw is given"
        )
    if raw:
        check_torch("--raw", weights)
    if weights == RANDOM:  # which does not know ImageNet's classes
        names = numbered(IMAGENET_CLASSES)
        found = Classifier(RANDOM, variant, DEFAULT_SIZE, IMAGENET_CLASSES, names)
    elif by_name:
        found = _of_published(weights, published_weights(weights, variant))
    elif not path.exists():
        raise FileNotFoundError(not_found(weights))
    else:
        path = final_weights(path, ema) if path.is_dir() else path
        file = CheckpointFile(path, ema=not raw)
        found = _of_file(file, variant, names_path is None)
    if needs_head and found.classes is None:
        raise ValueError(f"{shown(weights)} has no head, so it cannot classify")
    if names_path is not None:
        names = read_class_names(names_path, found.classes)
        found = found._replace(class_names=names)
    return found if size is None else found._replace(size=tuple(size))


def not_found(weights):
    """The error for unknown `weights`: what is accepted, and similar names."""
    path = Path(weights)
    known = [RANDOM, *NAMES]
    with contextlib.suppress(OSError):
        known += map(str, itertools.islice(path.parent.iterdir(), MAX_NAMES))
    close = difflib.get_close_matches(str(weights), known)
    hint = f"; did you mean {' or '.join(map(shown, close))}?" if close else ""
    return (
        f"weights={shown(weights)!r} is no file or run folder that exists, nor one of "
        f"{', '.join(known[: len(NAMES) + 1])}, nor hf://OWNER/NAME{hint}"
    )


def _of_file(file, variant, reads_names):
    path = file.path
    # A published file under its original name.
    row = row_of_file(path)
    if row is not None and variant in (None, row.variant):
        return _of_published(path, row)._replace(file=file)
    names = path.with_name(CLASSES)
    names = read_class_names(names) if reads_names and names.is_file() else None
    run = read_run(path)
    if run is not None and variant in (None, run["model"]):
        found = Classifier(
            path,
            run["model"],
            (run["image_size"], run["image_size"]),
            file.contents.classes or (names and len(names)),
            crop=run["crop"],
            interpolation=run["interpolation"],
            exif_orientation=run["exif_orientation"],
            normalization=NORMALIZATIONS[run["normalization"]],
            run=run,
            file=file,
        )
    elif variant in RESNET_VARIANTS:
        classes, told = _resnet_classes(file), Pretrained(path).standardization
        size = file.contents.size or DEFAULT_SIZE
        found = Classifier(path, variant, size, classes, normalization=told)
    else:
        described, timm = file.description(variant), timm_preparation(path, cut=True)
        found = Classifier(
            path,
            described.variant,
            described.input_shape[:2],
            described.classes,
            normalization=Pretrained(path).standardization,
            file=file,
        )
        if timm is not None:
            found = found._replace(crop=timm.crop, interpolation=timm.interpolation)
    # Names beside the file may belong to another model.
    if names is not None and found.classes not in (None, len(names)):
        raise ValueError(
            f"{shown(path.with_name(CLASSES))} has {len(names)} class names, but the "
            f"head of {shown(path.name)} is for {found.classes} classes"
        )
    return found._replace(class_names=names)


def _of_published(weights, row):
    return Classifier(
        weights,
        row.variant,
        (row.size, row.size),
        row.classes,
        row.class_names,
        row.crop,
        row.interpolation,
        (row.mean, row.std),
        row,
    )


def _resnet_classes(file):
    """Number of classes of the ResNet50 in a file that Keras wrote."""
    if not file.by_keras:
        raise ValueError(
            "the weights of ResNet50 must be a "
            f"{' or '.join(keras_file.SUFFIXES)} file, got {str(file.path)!r}"
        )
    contents = file.contents
    if "predictions/1" not in contents.tensors or contents.classes is None:
        raise ValueError(f"{shown(file.path)} is no ResNet50 with a head")
    return contents.classes


def final_weights(folder, ema=False):
    """The file of a run folder with its final weights, raw or averaged; a ValueError if
    it is no finished run, or has no average."""
    path = folder / (FINAL_EMA if ema else FINAL)
    if path.is_file():
        return path
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{str(folder)!r} is no run folder: it has no {CONFIG}")
    if (folder / FINAL).is_file():
        raise ValueError(
            f"{str(folder)!r} has no {FINAL_EMA}: its run averaged no weights"
        )
    best = f"; its best weights so far are {BEST}" if (folder / BEST).is_file() else ""
    raise ValueError(
        f"{str(folder)!r} has no {path.name}: its run is not finished{best}"
    )


def read_run(path):
    """The record of the run that made a file of weights, None if there is none; a
    ValueError in one line with file and key, if it is no valid record."""
    beside = path.with_name(CONFIG)
    if not beside.is_file():
        return None
    record = read_json(beside)
    if isinstance(record, dict) and is_record(record) and own_model(record):
        raise ValueError(
            f"{shown(path)} is of a run with a custom model "
            f"({shown(own_model(record))}), which has no builder: load it whole with "
            "keras_t2t.load"
        )
    whole = isinstance(record, dict) and record.keys() >= set(OF_WEIGHTS)
    if path.name not in RUN_WEIGHTS and not is_record(record) and not whole:
        return None  # another program's file of this name
    return checked_record(record, beside)


def own_model(record):
    """The name of a run's custom model in its record, None if there is none."""
    own = record.get("own")
    row = own.get("model") if isinstance(own, dict) else None
    if not isinstance(row, dict):
        return None
    return str(row.get("name") or row.get("function") or "unnamed")


def top_classes(probabilities, names, top=5):
    """The most probable classes of one image: `(name, probability)`, best first.

    `names` None means ImageNet's, from Keras. If those cannot be downloaded, a line on
    standard error says so, and the classes are numbered, as they also are if there are
    not 1,000.
    """
    if names is None and len(probabilities) == IMAGENET_CLASSES:
        names = imagenet_names()
    names = names or numbered(len(probabilities))
    best = probabilities.argsort()[::-1][:top]
    return [(names[i], probabilities[i]) for i in best]


def imagenet_names():
    """The names of ImageNet's 1,000 classes, from Keras. If they cannot be downloaded,
    a line on standard error says so, and it is None."""
    try:
        numbers = np.arange(float(IMAGENET_CLASSES))
        (best_first,) = decode_predictions(numbers[None], top=IMAGENET_CLASSES)
    except Exception as error:  # Keras raises a bare one where there is no network
        print(f"no ImageNet class names: {escaped(str(error))}", file=sys.stderr)
        return None
    return [name for _, name, _ in reversed(best_first)]


def numbered(classes):
    """Numbers in place of names."""
    return [f"class {i}" for i in range(classes)]
