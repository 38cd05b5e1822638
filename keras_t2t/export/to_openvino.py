"""OpenVINO's intermediate representation."""

from keras_t2t.export.signatures import frozen_function


def write(model, path, options):
    """Writes `path`, the graph, and its weights beside it in a `.bin` file."""
    import openvino

    function = frozen_function(model, options).get_concrete_function()
    converted = openvino.convert_model(function)
    for port in converted.inputs:
        port.set_names({"image"})
    openvino.save_model(
        converted, str(path), compress_to_fp16=options.precision == "float16"
    )
