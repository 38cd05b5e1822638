"""A model for NVIDIA's Triton inference server: its configuration and an ONNX file."""

from keras_t2t.export.onnx_format import write_onnx
from keras_t2t.export.serving_model import output_names

CONFIG, MODEL = "config.pbtxt", "1/model.onnx"  # 1: the version
MAX_BATCH_SIZE = 64  # of the batches that the server assembles


def write_triton(model, path, options):
    """Writes the folder of one model in a model repository, named after the folder."""
    (path / MODEL).parent.mkdir(parents=True)
    write_onnx(model, path / MODEL, options)
    (path / CONFIG).write_text(config_of(model, path.name, options), encoding="utf-8")


def config_of(model, name, options):
    """Triton's description of the model, in the text format of protocol buffers."""
    limit = MAX_BATCH_SIZE if options.dynamic_batch else 0
    lines = [f'name: "{name}"', 'backend: "onnxruntime"', f"max_batch_size: {limit}"]
    names = ["image", *output_names(model)]
    # If the server assembles batches, the dimensions do not include the batch axis.
    batch = [] if options.dynamic_batch else [1]
    for tensor, name in zip([*model.inputs, *model.outputs], names, strict=True):
        lines += [
            "input {" if name == "image" else "output {",
            f'  name: "{name}"',
            "  data_type: TYPE_FP32",
            f"  dims: {[*batch, *tensor.shape[1:]]}",
            "}",
        ]
    if options.dynamic_batch:
        lines.append("dynamic_batching {}")
    return "\n".join(lines) + "\n"
