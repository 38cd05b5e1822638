"""The formats that Keras exports to: SavedModel, LiteRT, OpenVINO, torch, `.keras`."""

import tempfile
import warnings
from pathlib import Path

import keras

from keras_t2t.export.serving_model import in_precision
from keras_t2t.layers.soft_split import copied_patches


def write_saved_model(model, path, options):
    """TensorFlow's SavedModel: the folder `path`, with the signatures that
    `export_model` describes."""
    import tensorflow as tf

    from keras_t2t.export.graph_image import evaluation_image

    model = in_precision(model, options.precision)
    _, height, width, channels = model.inputs[0].shape
    transform = options.crop, options.interpolation, options.exif_orientation

    def serving_default(image):
        return model(image, training=False)

    def serve_uint8(image):
        return serving_default(tf.cast(image, "float32"))

    def serve_jpeg(image_bytes):
        images = tf.map_fn(
            lambda encoded: evaluation_image(encoded, (height, width), *transform),
            image_bytes,
            fn_output_signature=tf.TensorSpec((height, width, 3), "uint8"),
        )
        return serve_uint8(images)

    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", serving_default, signature(model, options))
    if options.include_preprocessing:
        pixels = signature(model, options, "uint8")
        archive.add_endpoint("serve_uint8", serve_uint8, pixels)
    if options.include_preprocessing and channels == 3:
        encoded = tf.TensorSpec((options.batch_size,), "string", name="image_bytes")
        archive.add_endpoint("serve_jpeg", serve_jpeg, [encoded])
    archive.write_out(str(path), verbose=False)


def write_litert(model, path, options):
    """LiteRT (TensorFlow Lite): the file `path`, with built-in operators only and the
    signature `serving_default`."""
    import tensorflow as tf

    target = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    if options.precision == "float16":
        target["supported_types"] = [tf.float16]
    reduced = options.precision != "float32"
    model.export(
        path,
        "litert",
        verbose=False,
        input_signature=signature(model, options),
        target_spec=target,
        optimizations=[tf.lite.Optimize.DEFAULT] if reduced else [],
    )


def write_openvino(model, path, options):
    """OpenVINO's graph at `path`, and its weights beside it in a `.bin` file."""
    import openvino

    # Keras's export has no float16.
    with tempfile.TemporaryDirectory() as folder:
        whole = str(Path(folder) / "model.xml")
        inputs = signature(model, options)
        with copied_patches(model):
            model.export(whole, "openvino", verbose=False, input_signature=inputs)
        half = options.precision == "float16"
        openvino.save_model(
            openvino.Core().read_model(whole), str(path), compress_to_fp16=half
        )


def signature(model, options, dtype="float32"):
    """The list of the one input of a TensorFlow function."""
    import tensorflow as tf

    shape = (options.batch_size, *model.inputs[0].shape[1:])
    return [tf.TensorSpec(shape, dtype, name="image")]


def write_torch(model, path, options):
    """An ExportedProgram: the file `path`, which `torch.export.load` reads."""
    import torch

    model = in_precision(model, options.precision)
    batch = {0: torch.export.Dim("batch")} if options.dynamic_batch else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about weights that are not on the CPU
        model.export(path, "torch", verbose=False, dynamic_shapes=batch)


def write_keras(model, path, options):
    """The serving model as a `.keras` file."""
    in_precision(model, options.precision).save(path)
