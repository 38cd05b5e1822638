"""The part of an image that was decided on, decoded and resized by TensorFlow."""

import functools

from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()

KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}
# Of JPEGs: Pillow's inverse cosine transform. TensorFlow's default is coarser (10 grey
# levels off) and was no faster when measured.
JPEG = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}


def pixels(cut, image_size, method):
    """Decode, resize and turn what a `Cut` says.

    Args:
        cut: `Cut`, of tensors or arrays.
        image_size: height and width of the result, in pixels.
        method: `"bilinear"` or `"bicubic"`, with antialias.

    Returns:
        (image_size, image_size, 3) float32 in 0..255, not rounded.

    Raises:
        tf.errors.InvalidArgumentError: a JPEG cannot be decoded.
    """

    def decode(ratio):
        return tf.io.decode_and_crop_jpeg(cut.jpeg, cut.window, ratio=ratio, **JPEG)

    reductions = [functools.partial(decode, ratio) for ratio in (1, 2, 4, 8)]
    image = tf.cond(
        tf.strings.length(cut.jpeg) > 0,
        lambda: tf.switch_case(tf.convert_to_tensor(cut.reduction), reductions),
        lambda: cut.pixels,
    )
    image = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=(image_size, image_size),
        scale=cut.scale,
        translation=cut.shift,
        kernel_type=KERNELS[method],
        antialias=True,
    )
    image = tf.clip_by_value(image[0], 0, 255)  # which bicubic overshoots
    image = tf.transpose(image, cut.axes)[:: cut.steps[0], :: cut.steps[1]]
    return tf.ensure_shape(image, (image_size, image_size, 3))
