"""Writers for TensorFlow's graph of a serving model: SavedModel, LiteRT, OpenVINO."""

import tempfile
from pathlib import Path

import keras

from keras_t2t.export.reduced_precision import in_precision


def write_saved_model(model, path, options):
    """TensorFlow's SavedModel: the folder `path`.

    Signatures, each giving `logits` and `probabilities` (or `features`):
    `serving_default` takes `image`, float32 `(batch, height, width, channels)`; with
    the preprocessing inside there are also `serve_uint8`, the same in uint8, and
    `serve_jpeg`, which takes `image_bytes`, strings `(batch,)`: files of any size, in
    JPEG, PNG, GIF, WebP or BMP.
    """
    import tensorflow as tf

    from keras_t2t.export.graph_image import evaluation_image

    model = in_precision(model, options.precision)
    _, height, width, _ = model.inputs[0].shape
    shape = (options.batch_size, *model.inputs[0].shape[1:])

    def serving_default(image):
        return serve(model, image)

    def serve_uint8(image):
        return serve(model, tf.cast(image, "float32"))

    def serve_jpeg(image_bytes):
        images = tf.map_fn(
            lambda encoded: evaluation_image(
                encoded,
                (height, width),
                options.crop,
                options.interpolation,
                options.exif_orientation,
            ),
            image_bytes,
            fn_output_signature=tf.TensorSpec((height, width, 3), "uint8"),
        )
        return serve_uint8(images)

    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", serving_default, [image_spec(shape)])
    if options.include_preprocessing:
        spec = image_spec(shape, "uint8")
        archive.add_endpoint("serve_uint8", serve_uint8, [spec])
        encoded = tf.TensorSpec((options.batch_size,), "string", name="image_bytes")
        archive.add_endpoint("serve_jpeg", serve_jpeg, [encoded])
    archive.write_out(str(path), verbose=False)


def write_litert(model, path, options):
    """LiteRT (TensorFlow Lite): the file `path`, with built-in operators only and the
    signature `serving_default`."""
    import tensorflow as tf

    function = frozen_function(model, options)
    module = tf.Module()
    module.serving_default = function
    module.weights = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(
            module,
            folder,
            signatures={"serving_default": function.get_concrete_function()},
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if options.precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if options.precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        Path(path).write_bytes(converter.convert())


def write_openvino(model, path, options):
    """OpenVINO's graph at `path`, and its weights beside it in a `.bin` file."""
    import openvino

    function = frozen_function(model, options).get_concrete_function()
    converted = openvino.convert_model(function)
    for port in converted.inputs:
        port.set_names({"image"})
    openvino.save_model(
        converted, str(path), compress_to_fp16=options.precision == "float16"
    )


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
    """The model as a `tf.function` of `image`, with a fixed signature."""
    import tensorflow as tf

    shape = (options.batch_size, *model.inputs[0].shape[1:])

    @tf.function(input_signature=[image_spec(shape)], autograph=False)
    def serving_default(image):
        return serve(model, image)

    return serving_default
