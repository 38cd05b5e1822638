"""Random erasing (Zhong et al., 2020) as the authors train: noise, not a colour."""

from keras_t2t._ground.normalizations import IMAGENET_MEAN, IMAGENET_STD
from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()


def erase(image, box, noise):
    """Replace one rectangle by noise that is N(0, 1) once the image is normalised.

    Args:
        image: (height, width, 3) in 0..255.
        box: (4,) int32: top, left, height, width; of no pixels for nothing.
        noise: function that gives (box height, box width, 3) float32.

    Returns:
        (height, width, 3) float32; the noise is neither rounded nor cut to 0..255.
    """
    image = tf.cast(image, "float32")
    top, left, height, width = tf.unstack(box)

    def erased():
        filling = 255 * (
            tf.constant(IMAGENET_MEAN) + tf.constant(IMAGENET_STD) * noise()
        )
        rows = image[top : top + height]
        rows = tf.concat([rows[:, :left], filling, rows[:, left + width :]], axis=1)
        return tf.concat([image[:top], rows, image[top + height :]], axis=0)

    result = tf.cond(height * width > 0, erased, lambda: image)
    return tf.ensure_shape(result, image.shape)
