"""The operations on colours and shapes, RandAugment's and 3-Augment's: Pillow's own.

Each takes (image, level, sign, filter): the level is magnitude / 10, in 0..1; the sign
is 1 or -1; the filter is Pillow's. All take and give images of mode RGB.
"""

from keras_t2t._ground.optional_imports import import_library
from keras_t2t.data.draws.operations import CHANGE, FILL, NUMBERS_OF

Image, ImageEnhance, ImageFilter, ImageOps = (
    import_library(f"PIL.{name}")
    for name in ("Image", "ImageEnhance", "ImageFilter", "ImageOps")
)


def _affine(image, matrix, filter):
    return image.transform(image.size, Image.AFFINE, matrix, filter, fillcolor=FILL)


def _posterize(image, level, sign, filter):
    bits = 4 - int(4 * level)
    # Today's Pillow refuses 0 bits; the authors' made the image black.
    return ImageOps.posterize(image, bits) if bits else Image.new("RGB", image.size)


def _solarize_add(image, level, sign, filter):
    amount = int(110 * level)
    table = [value + amount if value < 128 else value for value in range(256)]
    return image.point(3 * table)


def _enhanced(kind):
    return lambda image, level, sign, _: kind(image).enhance(1 + sign * CHANGE * level)


OPERATIONS = {
    "auto_contrast": lambda image, level, sign, filter: ImageOps.autocontrast(image),
    "equalize": lambda image, level, sign, filter: ImageOps.equalize(image),
    "invert": lambda image, level, sign, filter: ImageOps.invert(image),
    "rotate": lambda image, level, sign, filter: image.rotate(
        sign * 30 * level, filter, fillcolor=FILL
    ),
    "posterize": _posterize,
    "solarize": lambda image, level, sign, filter: ImageOps.solarize(
        image, 256 - int(256 * level)
    ),
    "solarize_add": _solarize_add,
    "color": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "shear_x": lambda image, level, sign, filter: _affine(
        image, (1, sign * 0.3 * level, 0, 0, 1, 0), filter
    ),
    "shear_y": lambda image, level, sign, filter: _affine(
        image, (1, 0, 0, sign * 0.3 * level, 1, 0), filter
    ),
    "translate_x": lambda image, level, sign, filter: _affine(
        image, (1, 0, sign * 0.45 * level * image.width, 0, 1, 0), filter
    ),
    "translate_y": lambda image, level, sign, filter: _affine(
        image, (1, 0, 0, 0, 1, sign * 0.45 * level * image.height), filter
    ),
    "none": lambda image, level, sign, filter: image,
    "grey": lambda image, level, sign, filter: image.convert("L").convert("RGB"),
    "blur": lambda image, level, sign, filter: image.filter(
        ImageFilter.GaussianBlur(0.1 + 1.9 * level)
    ),
}
FILTERS = (Image.BILINEAR, Image.BICUBIC)
BY_NUMBER = [OPERATIONS[name] for name in NUMBERS_OF]


def operated(image, draws):
    """Apply the operations that were drawn, one after the other."""
    columns = draws.operations, draws.levels, draws.signs, draws.operations_bicubic
    for number, level, sign, bicubic in zip(*columns, strict=True):
        filter = FILTERS[bool(bicubic)]
        image = BY_NUMBER[number](image, float(level), float(sign), filter)
    return image
