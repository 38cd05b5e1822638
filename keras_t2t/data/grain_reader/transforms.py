"""One encoded image to the pixels that a model sees."""

import io

import numpy as np

from keras_t2t._ground.images import Encoded
from keras_t2t.data.draws.crop import crop_window, padded_corner
from keras_t2t.data.grain_reader.operations import FILTERS, Image, operated
from keras_t2t.preprocessing import covering, decode_and_crop, reduction, resize_and_cut


def transformed(encoded, draws, asked, exif_orientation, reduced):
    """The bytes of an image file, cropped, flipped and operated on as was drawn, as a
    `Training` or `Validation` asks: (image_size, image_size, 3) uint8.

    What an augmentation does to batches is not done here.
    """
    encoded = Encoded(io.BytesIO(encoded), exif_orientation=exif_orientation)
    augmentation, filter = asked.augmentation, FILTERS[bool(draws.bicubic)]
    size = asked.image_size, asked.image_size
    if augmentation.crop_scale:
        image = _random_crop(encoded, size, draws, augmentation, filter)
    elif augmentation.crop_padding:
        image = _padded_crop(encoded, size, draws, augmentation, filter)
    else:
        image = decode_and_crop(encoded, size, asked.crop, filter, reduced)
    if draws.flipped:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    return np.asarray(operated(image, draws))


def _random_crop(encoded, size, draws, augmentation, filter):
    width, height = encoded.size
    ranges = augmentation.crop_scale, augmentation.crop_ratio
    top, left, rows, columns = crop_window(height, width, draws.crop, *ranges)
    image, whole = encoded.decode(reduction((columns, rows), size))
    box = left, top, left + columns, top + rows
    if image.size == encoded.size:
        # Cut out first: the filter sees nothing beyond, as in torchvision and timm.
        return image.crop(box).resize(size, filter)
    # That copy would take a tenth of the time of a phone's photograph.
    scale = (whole[2] - whole[0]) / width
    box = [whole[i % 2] + end * scale for i, end in enumerate(box)]
    return image.resize(size, filter, box)


def _padded_crop(encoded, size, draws, augmentation, filter):
    side, resized = size[0], covering(encoded.size, size)
    image, box = encoded.decode(reduction(encoded.size, resized))
    padding = int(side * augmentation.crop_padding)
    width, height = resized
    top, left = padded_corner(height, width, side, padding, draws.crop)
    right, bottom = min(left + side, width), min(top + side, height)
    inside = max(left, 0), max(top, 0), right, bottom
    square = Image.new("RGB", size)
    part = resize_and_cut(image, resized, inside, filter, box)
    square.paste(part, (inside[0] - left, inside[1] - top))
    return square
