"""LiteRT (TensorFlow Lite), of built-in operators only."""

from keras_t2t.export.signatures import frozen_function


def write(model, path, options):
    """Writes the file `path`, with the signature `serving_default`."""
    import tempfile
    from pathlib import Path

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
