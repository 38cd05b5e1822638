"""Quantizes ONNX to 8-bit integers with ONNX Runtime's static quantization."""

import tempfile
from pathlib import Path

import numpy as np

# Operators that may come between a product and the exponential of its values.
ELEMENTWISE = ("Add", "Sub", "Reshape")


def quantize(path, calibration, batch_size):
    """Quantizes the float32 file `path` in place.

    Products with weights get 8-bit weights, per channel, and 8-bit activations, whose
    ranges come from the calibration images. Products of two activations (attention
    scores, the Performer's sums) and everything between products stay in float32, and
    so does the Performer's product in the exponent, which would magnify errors.
    """
    import onnx
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = (
                {"image": np.asarray(calibration[i : i + batch_size], "float32")}
                for i in range(0, len(calibration), batch_size)
            )

        def get_next(self):
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quantization.quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            str(path),
            Images(),
            nodes_to_quantize=products_with_weights(onnx.load(prepared).graph),
            per_channel=True,
            reduce_range=True,  # else CPUs without VNNI saturate
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def products_with_weights(graph):
    """Names of the nodes that multiply by weights, but not in an exponent."""
    weights = {tensor.name for tensor in graph.initializer}
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return [
        node.name
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm", "Conv")
        and weights.intersection(node.input)
        and not feeds_exponential(node, readers)
    ]


def feeds_exponential(node, readers):
    following = [reader for name in node.output for reader in readers.get(name, ())]
    return any(
        reader.op_type == "Exp"
        or (reader.op_type in ELEMENTWISE and feeds_exponential(reader, readers))
        for reader in following
    )
