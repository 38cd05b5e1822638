"""The base class of data sets, whatever they are read from."""

import abc
from typing import NamedTuple

import numpy as np

from keras_t2t._ground.arguments import check_choice, check_share, integer
from keras_t2t.data.augmentation import AUGMENTATIONS, Augmentation

METHODS = "bilinear", "bicubic"


class Training(NamedTuple):
    """The arguments of `Dataset.train_batches`."""

    image_size: int
    batch_size: int
    seed: int
    augmentation: Augmentation | None = None
    first_step: int = 0
    shard: tuple = (0, 1)
    crop: float = 0.9
    interpolation: str = "bicubic"


class Validation(NamedTuple):
    """The arguments of `Dataset.validation_batches`."""

    image_size: int
    batch_size: int
    shard: tuple = (0, 1)
    pad: bool = False
    crop: float = 0.9
    interpolation: str = "bicubic"

    @property
    def augmentation(self):
        return AUGMENTATIONS["none"]

    @property
    def seed(self):
        return 0  # nothing is drawn


class Dataset(abc.ABC):
    """Images of classes, for training and validation.

    Images are (batch, image_size, image_size, 3) in 0..255, not normalised: uint8, or
    float32 if they are mixed or erased (the noise that fills an erased rectangle
    exceeds 0..255). Targets are (batch, num_classes) float32 with sum 1: one-hot, or
    soft if images are mixed. In a data set opened for evaluation only, each of an
    image's labels has target 1. Label smoothing is left to the loss; it is linear, so
    it may follow mixing. Both streams go into `keras.Model.fit` on every backend, the
    infinite one with `steps_per_epoch=num_train // batch_size`.

    Attributes:
        name: str, for messages and names of folders.
        known_as: the name by which `open_dataset` opened it; None for a folder and for
            custom batches, whose `name` may be any.
        class_names: tuple of str, by label.
        num_train, num_validation: int, images.
        validation_share: the share of the images used for validation, if the files
            have no validation or test split; else None.
        num_shared: int, the images of which this share is taken; else None.
        class_counts: (classes,) training images by label, None if not known.
        notes: tuple of str, printed with the description of the data: which split is
            used for validation, which splits are ignored.
        reader: name of what decodes images, see `readers`; None if nothing does.
        exif_orientation: whether images are turned as their EXIF data says.
    """

    name: str
    known_as: str | None = None
    class_names: tuple
    num_train: int
    num_validation: int
    validation_share: float | None = None
    num_shared: int | None = None
    class_counts: np.ndarray | None = None
    notes: tuple = ()
    reader: str | None = None
    exif_orientation: bool = False

    @property
    def num_classes(self):
        return len(self.class_names)

    def train_batches(
        self,
        image_size,
        batch_size,
        seed,
        augmentation=None,
        first_step=0,
        shard=(0, 1),
        crop=0.9,
        interpolation="bicubic",
    ):
        """An infinite stream, shuffled anew each epoch.

        Args:
            image_size: int, height and width in pixels.
            batch_size: int, images of all shards together.
            seed: int. The same seed gives the same stream, whatever the number of
                threads and shards.
            augmentation: an `Augmentation`; None: random crop and flip. The digits
                are never augmented, and accept only None or `AUGMENTATIONS["none"]`.
            first_step: int; `first_step=k` gives the same stream without its first k
                batches.
            shard: (i, n), to get rows i x batch_size / n to (i + 1) x batch_size / n
                of each batch.
            crop, interpolation: as of `validation_batches`, where the augmentation
                crops as evaluation does.

        Returns:
            An iterable of (images, targets).

        Raises:
            ValueError: naming the argument that is not accepted.
        """
        first_step = integer("first_step", first_step, at_least=0)
        _check_transform(crop, interpolation)
        asked = image_size, batch_size, seed, augmentation, first_step, shard
        return self._train_batches(Training(*asked, crop, interpolation))

    def validation_batches(
        self,
        image_size,
        batch_size,
        shard=(0, 1),
        pad=False,
        crop=0.9,
        interpolation="bicubic",
    ):
        """One pass in a fixed order, each image in one shard.

        The last batch may be smaller, and may be missing in some shards.

        Args:
            image_size, batch_size, shard: as for `train_batches`.
            pad: whether all batches have the same size, and all shards the same number
                of batches. Black images fill the rest, and each batch has weights
                (batch,) float32: 1 for images, 0 for the filling.
            crop, interpolation: as for `preprocessing.evaluation_transform`; they have
                no effect on the digits.

        Returns:
            An iterable of (images, targets) or (images, targets, weights).

        Raises:
            ValueError: naming the argument that is not accepted.
        """
        _check_transform(crop, interpolation)
        return self._validation_batches(
            Validation(image_size, batch_size, shard, pad, crop, interpolation)
        )

    @abc.abstractmethod
    def _train_batches(self, asked):
        """What `train_batches` gives for a `Training`."""

    @abc.abstractmethod
    def _validation_batches(self, asked):
        """What `validation_batches` gives for a `Validation`."""

    def watched(self, batches, function):
        """The same batches. Where images are decoded, the function is called as each
        batch is handed over."""
        return batches

    def diagnose(self, error):
        """Explain an error that was raised while batches were read.

        Returns:
            A ValueError that names the images or files that caused it, or None.
        """
        return None


def _check_transform(crop, interpolation):
    check_share("crop", crop)
    check_choice("interpolation", interpolation, METHODS)
