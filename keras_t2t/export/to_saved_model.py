"""TensorFlow's SavedModel, with signatures for tensors, bytes and JPEGs."""

import keras

from keras_t2t.export.precision import in_precision
from keras_t2t.export.signatures import image_spec, serve


def write(model, path, options):
    """Writes the folder `path`.

    Signatures, each giving `logits` and `probabilities` (or `features`):
    `serving_default` takes `image`, float32 `(batch, height, width, channels)`; with
    the preprocessing inside there are also `serve_uint8`, the same in uint8, and
    `serve_jpeg`, which takes `image_bytes`, strings `(batch,)`: files of any size, in
    JPEG, PNG, GIF, WebP or BMP.
    """
    import tensorflow as tf

    from keras_t2t.data.transforms import evaluation_image

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
                encoded, (height, width), options.crop, options.interpolation
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
