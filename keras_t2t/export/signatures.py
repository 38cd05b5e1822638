"""TensorFlow functions of a serving model."""


def image_spec(shape, dtype="float32"):
    import tensorflow as tf

    return tf.TensorSpec(shape, dtype, name="image")


def serve(model, image):
    """The model's outputs by name, each float32 with a plain name in the graph."""
    import tensorflow as tf

    return {
        name: tf.identity(tf.cast(value, "float32"), name=name)
        for name, value in model(image, training=False).items()
    }


def frozen_function(model, options):
    """A concrete function of `image` whose weights are constants.

    Returns:
        The function, and what must be kept alive with it.
    """
    import tensorflow as tf

    shape = (options.batch_size, *model.inputs[0].shape[1:])

    @tf.function(input_signature=[image_spec(shape)], autograph=False)
    def serving_default(image):
        return serve(model, image)

    return serving_default
