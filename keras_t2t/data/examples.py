"""What both readers do with an example, in NumPy: its target, mixing and erasing."""

import numpy as np

from keras_t2t._ground.normalizations import IMAGENET_MEAN, IMAGENET_STD
from keras_t2t.data.draws import Purpose, generator
from keras_t2t.data.draws.image_draws import draws_at
from keras_t2t.data.draws.mixing import batch_mixing, kept_share


class LabelError(ValueError):
    """An image's label is the number of no class."""


def target_of(labels, num_classes, split, index):
    """(num_classes,) float32: 1 for each label, int64 or array (labels,), of the image
    `index` of a `Split`; a `LabelError` that names it if one is of no class."""
    if np.any((labels < 0) | (labels >= num_classes)):
        raise LabelError(
            f"{split.name(index)} has the label {labels}; accepted are 0 to "
            f"{num_classes - 1}"
        )
    target = np.zeros(num_classes, "float32")
    target[labels] = 1
    return target


def mixed_and_erased(images, targets, positions, asked):
    """Mixes and erases images (n, size, size, 3) uint8 at positions (n,), two where
    images are mixed, as of a `Training`. Those that are mixed or erased are float32."""
    if asked.augmentation.mixes:
        batch = int(positions[0]) // asked.batch_size
        mixing = batch_mixing(batch, asked.seed, asked.image_size, asked.augmentation)
        images, targets = mix_pair(images, targets, mixing)
    if asked.augmentation.erasing_probability:
        images = images.astype("float32", copy=False)
        for image, position in zip(images, positions, strict=True):
            erase(image, draws_at(position, asked).erased, asked.seed, int(position))
    return images, targets


def mix_pair(images, targets, mixing):
    """Mix two images (2, height, width, 3), which become float32 and are not rounded,
    and their targets (2, classes) float32; both keep the same share of themselves.

    The authors mix each image with the one at its place in the reversed batch. The
    order is random, so any pairs are as good: neighbours can be mixed before they are
    batched, in parallel, and stay together when the batch is cut into shards.
    """
    share = kept_share(mixing, *images.shape[1:3])
    targets = share * targets + (1 - share) * targets[::-1]
    first, second = images = images.astype("float32")
    if mixing.kept != 1:
        moved = first - second
        moved *= mixing.kept
        images = np.empty_like(images)
        np.add(second, moved, out=images[0])
        np.subtract(first, moved, out=images[1])
    top, left, rows, columns = mixing.box
    inside = np.s_[:, top : top + rows, left : left + columns]
    images[inside] = images[inside][::-1].copy()
    return images, targets


def erase(image, box, seed, position):
    """Replace one rectangle of an image (height, width, 3) float32 in place by noise
    that is N(0, 1) once the image is normalised by ImageNet's mean and deviation. The
    noise is neither rounded nor cut to 0..255."""
    top, left, height, width = map(int, box)
    if height and width:
        random = generator(Purpose.NOISE, seed, position)
        noise = random.standard_normal((height, width, 3), dtype="float32")
        image[top : top + height, left : left + width] = 255 * (
            np.float32(IMAGENET_MEAN) + np.float32(IMAGENET_STD) * noise
        )
