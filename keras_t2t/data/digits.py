"""scikit-learn's handwritten digits: real images in its package, no TensorFlow."""

import keras
import numpy as np

from keras_t2t.data.optional_imports import import_sklearn


class Digits:
    """1,797 grey 8x8 images of ten digits; a fixed fifth of each class validates.

    Training images are shuffled and not augmented: a mirrored digit is another sign.

    Raises:
        ImportError: scikit-learn is not installed.
    """

    name = "digits"
    class_names = tuple("0123456789")
    num_classes = 10

    def __init__(self):
        digits = import_sklearn("datasets").load_digits()
        labels = np.eye(self.num_classes, dtype="float32")[digits.target]
        train_images, validation_images, train_labels, validation_labels = (
            import_sklearn("model_selection").train_test_split(
                digits.images.astype("float32"),  # 0..16
                labels,
                test_size=0.2,
                stratify=digits.target,
                random_state=0,
            )
        )
        self._train = train_images, train_labels
        self._validation = validation_images, validation_labels
        self.num_train = len(train_images)
        self.num_validation = len(validation_images)

    def train_batches(self, image_size, batch_size, seed, first_step=0):
        return _ShuffledForever(*self._train, image_size, batch_size, seed, first_step)

    def validation_batches(self, image_size, batch_size):
        return _InOrder(*self._validation, image_size, batch_size)

    def diagnose(self, error):
        return None


class _Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, image_size, batch_size):
        super().__init__()
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.interpolation = _bilinear_matrix(images.shape[1], image_size)

    def _batch(self, indices):
        """The images (batch, size, size, 3) uint8 and one-hot labels at `indices`."""
        images = self.interpolation @ self.images[indices] @ self.interpolation.T
        images = np.round(images * (255 / 16)).astype("uint8")
        return np.repeat(images[..., None], 3, axis=-1), self.labels[indices]


class _ShuffledForever(_Batches):
    """Batch number `step` of an endless stream: a new permutation every epoch."""

    def __init__(self, images, labels, image_size, batch_size, seed, first_step):
        super().__init__(images, labels, image_size, batch_size)
        self.seed = seed
        self.first_step = first_step

    num_batches = None  # Keras: infinite

    def __getitem__(self, step):
        step += self.first_step
        count = len(self.images)
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, count)
        indices = np.empty_like(positions)
        for epoch in np.unique(epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(count)
            indices[epochs == epoch] = order[offsets[epochs == epoch]]
        return self._batch(indices)


class _InOrder(_Batches):
    @property
    def num_batches(self):
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, step):
        start = step * self.batch_size
        return self._batch(slice(start, start + self.batch_size))


def _bilinear_matrix(length, new_length):
    """(new_length, length): row i weighs the old pixels that make up new pixel i."""
    centres = (np.arange(new_length) + 0.5) * length / new_length - 0.5
    old_pixels = np.eye(length)
    columns = [np.interp(centres, np.arange(length), pixel) for pixel in old_pixels]
    return np.stack(columns, axis=1).astype("float32")
