"""One encoded image to the pixels that a model sees, in training and in evaluation."""

import numpy as np

from keras_t2t._ground.images import decode_rgb
from keras_t2t.data.draws.crop import crop_window, padded_corner
from keras_t2t.data.grain_reader.operations import FILTERS, Image, operated
from keras_t2t.preprocessing import covering, resize_and_crop, resize_and_cut

METHODS = dict(zip(("bilinear", "bicubic"), FILTERS, strict=True))


def training_image(encoded, image_size, draws, augmentation, exif_orientation=False):
    """Random crop, horizontal flip and the operations that were drawn.

    Args:
        encoded: bytes of an image file.
        image_size: height and width of the result, in pixels.
        draws: `ImageDraws` of one image.
        augmentation: the `Augmentation` that they were drawn from; what it does to
            batches is not done here.
        exif_orientation: whether the image is turned as its EXIF data says.

    Returns:
        (image_size, image_size, 3) uint8.

    Raises:
        OSError: the bytes are no image.
    """
    image = decode_rgb(encoded, exif_orientation=exif_orientation)
    filter = FILTERS[bool(draws.bicubic)]
    if augmentation.crop_scale:
        image = _random_crop(image, image_size, draws, augmentation, filter)
    elif augmentation.crop_padding:
        image = _padded_crop(image, image_size, draws, augmentation, filter)
    else:
        image = resize_and_crop(image, (image_size, image_size), 0.9, Image.BICUBIC)
    if draws.flipped:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    return np.asarray(operated(image, draws))


def evaluation_image(
    encoded, image_size, crop=0.9, method="bicubic", exif_orientation=False
):
    """Resize until image_size / crop is covered, then cut the centre.

    Args:
        encoded: bytes of an image file.
        image_size: side of the square result, in pixels.
        crop: float in (0, 1], side of the result over that of the resized image.
        method: `"bicubic"` or `"bilinear"`.
        exif_orientation: as of `training_image`.

    Returns:
        (image_size, image_size, 3) uint8.

    Raises:
        OSError: the bytes are no image.
    """
    size = image_size, image_size
    image = decode_rgb(encoded, exif_orientation=exif_orientation)
    return np.asarray(resize_and_crop(image, size, crop, METHODS[method]))


def _random_crop(image, image_size, draws, augmentation, filter):
    top, left, height, width = crop_window(
        *(image.height, image.width, draws.crop),
        *(augmentation.crop_scale, augmentation.crop_ratio),
    )
    image = image.crop((left, top, left + width, top + height))
    return image.resize((image_size, image_size), filter)


def _padded_crop(image, image_size, draws, augmentation, filter):
    width, height = covering(image.size, (image_size, image_size))
    padding = int(image_size * augmentation.crop_padding)
    top, left = padded_corner(height, width, image_size, padding, draws.crop)
    inside = (
        *(max(left, 0), max(top, 0)),
        *(min(left + image_size, width), min(top + image_size, height)),
    )
    square = Image.new("RGB", (image_size, image_size))
    part = resize_and_cut(image, (width, height), inside, filter)
    square.paste(part, (inside[0] - left, inside[1] - top))
    return square
