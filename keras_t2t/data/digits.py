"""scikit-learn's handwritten digits: real images in its package, no TensorFlow."""

import math

import keras
import numpy as np

from keras_t2t._ground.optional_imports import import_library
from keras_t2t.data.dataset import Dataset
from keras_t2t.data.draws.order import shuffled_indices
from keras_t2t.data.sharding import Shard


class Digits(Dataset):
    """1,797 grey 8x8 images of ten digits; a fixed fifth of each class validates.

    Training images are shuffled and cannot be augmented: a mirrored digit is another
    sign, and TensorFlow is not needed.
    """

    name = known_as = "digits"
    class_names = tuple("0123456789")

    def __init__(self):
        digits = import_library("sklearn.datasets").load_digits()
        labels = np.eye(self.num_classes, dtype="float32")[digits.target]
        split = import_library("sklearn.model_selection").train_test_split(
            digits.images.astype("float32"),  # 0..16
            labels,
            test_size=0.2,
            stratify=digits.target,
            random_state=0,
        )
        self._train, self._validation = split[::2], split[1::2]  # images, labels
        self.num_train, self.num_validation = len(split[0]), len(split[1])
        self.class_counts = split[2].sum(axis=0).astype("int64")

    def _train_batches(self, asked):
        augmentation = asked.augmentation
        if augmentation is not None and not augmentation.is_off:
            raise ValueError(
                "augmentation of the digits must be None, or "
                f'AUGMENTATIONS["none"]; got {augmentation}'
            )
        return _ShuffledForever(*self._train, asked)

    def _validation_batches(self, asked):
        return _InOrder(*self._validation, asked)


class _Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, asked):
        super().__init__()
        self.images, self.labels, self.asked = images, labels, asked
        self.shard = Shard(asked.batch_size, asked.shard)
        self.interpolation = _bilinear_matrix(images.shape[1], asked.image_size)

    def _positions(self, step):
        """Of this shard's images in batch number `step`, counted over all shards."""
        local = self.shard.batch_size
        return self.shard.positions(np.arange(step * local, (step + 1) * local))

    def _batch(self, indices):
        """The images (batch, size, size, 3) uint8 and one-hot labels at `indices`."""
        images = self.interpolation @ self.images[indices] @ self.interpolation.T
        images = np.round(images * (255 / 16)).astype("uint8")
        return np.repeat(images[..., None], 3, axis=-1), self.labels[indices]


class _ShuffledForever(_Batches):
    """Batch number `step` of an endless stream: a new permutation every epoch."""

    num_batches = None  # Keras: infinite

    def __getitem__(self, step):
        positions = self._positions(self.asked.first_step + step)
        count, seed = len(self.images), self.asked.seed
        return self._batch(shuffled_indices(positions, count, seed))


class _InOrder(_Batches):
    """One pass; with `pad`, batches of one size with weights 1, and 0 of filling."""

    @property
    def num_batches(self):
        rows = self.shard.num_rows(len(self.images), self.asked.pad)
        return math.ceil(rows / self.shard.batch_size)

    def __getitem__(self, step):
        positions = self._positions(step)
        there = positions < len(self.images)
        if not self.asked.pad:
            return self._batch(positions[there])
        images, labels = self._batch(np.where(there, positions, 0))
        images[~there], labels[~there] = 0, 0
        return images, labels, there.astype("float32")


def _bilinear_matrix(length, new_length):
    """(new_length, length): row i weighs the old pixels that make up new pixel i."""
    centres = (np.arange(new_length) + 0.5) * length / new_length - 0.5
    old_pixels = np.eye(length)
    columns = [np.interp(centres, np.arange(length), pixel) for pixel in old_pixels]
    return np.stack(columns, axis=1).astype("float32")
