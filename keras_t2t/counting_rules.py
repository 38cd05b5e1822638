"""Multiply-accumulates of one layer or operation for one image."""

import inspect
import math

import keras
from keras import layers, tree


def macs_of(operation, args, kwargs, outputs):
    """MACs of `operation(*args, **kwargs)`, called with `keras.KerasTensor`s.

    Args:
        operation: layer or other `keras.Operation`.
        args, kwargs: its arguments.
        outputs: structure of `keras.KerasTensor`.

    Returns:
        int, or None where no rule is known.
    """
    if hasattr(operation, "macs"):
        return operation.macs(first_tensor(args, kwargs).shape)
    for kind in type(operation).__mro__:
        if kind in LAYER_RULES:
            return LAYER_RULES[kind](operation, arguments(operation, args, kwargs))
        if kind.__module__.startswith("keras.src.ops."):
            return operation_macs(operation, args, outputs)
        if is_free(kind):
            return 0
        if "call" in vars(kind):
            # It computes something of its own: its base's rule says nothing about it.
            return None
    return None


def first_tensor(args, kwargs):
    flat = tree.flatten((args, kwargs))
    return next(x for x in flat if isinstance(x, keras.KerasTensor))


def arguments(layer, args, kwargs):
    """The call's arguments by name, the first also as `inputs`."""
    bound = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    return {**bound, "inputs": next(iter(bound.values()))}


def positions(shape):
    """How many vectors an image has in a tensor `(batch, ..., channels)`."""
    return math.prod(shape[1:-1])


# === Layers ===
def dense(layer, call):
    shape = call["inputs"].shape
    return positions(shape) * shape[-1] * layer.units


def einsum_dense(layer, call):
    return einsum(layer.equation, call["inputs"].shape, layer.kernel.shape)


def convolution(layer, call):
    """Every output position is a product with the kernel (of its channel group)."""
    shape = layer.compute_output_shape(call["inputs"].shape)
    return spatial(layer, shape) * math.prod(layer.kernel.shape)


def transposed_convolution(layer, call):
    """Every input position is a product with the kernel."""
    return spatial(layer, call["inputs"].shape) * math.prod(layer.kernel.shape)


def separable_convolution(layer, call):
    shape = layer.compute_output_shape(call["inputs"].shape)
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    return spatial(layer, shape) * sum(math.prod(kernel.shape) for kernel in kernels)


def spatial(layer, shape):
    """How many pixels an image or sequence has, whatever the layer's data format."""
    first = layer.data_format == "channels_first"
    return math.prod(shape[2:] if first else shape[1:-1])


def multi_head_attention(layer, call):
    query, value = call["query"].shape, call["value"].shape
    key = value if call.get("key") is None else call["key"].shape
    axes = getattr(layer, "_attention_axes", None) or range(1, len(query) - 1)
    pairs = positions(query) * math.prod(value[axis] for axis in axes)
    # Where value and key differ from the query in width, so do their kernels.
    projections = (
        positions(query) * kernel_size(layer, "_query_dense")
        + positions(query) * kernel_size(layer, "_gate_dense")
        + positions(key) * kernel_size(layer, "_key_dense")
        + positions(value) * kernel_size(layer, "_value_dense")
        + positions(query) * kernel_size(layer, "_output_dense")
    )
    *_, heads, key_dim = layer._query_dense.kernel.shape
    value_dim = layer._value_dense.kernel.shape[-1]
    return projections + pairs * heads * (key_dim + value_dim)


def kernel_size(layer, name):
    part = getattr(layer, name, None)
    return 0 if part is None else math.prod(part.kernel.shape)


def attention(layer, call):
    query, value, *key = (x.shape for x in call["inputs"])
    if layer.score_mode != "dot":
        return None
    (key,) = key or (value,)
    return positions(query) * positions(key) * (key[-1] + value[-1])


LAYER_RULES = {
    layers.Dense: dense,
    layers.EinsumDense: einsum_dense,
    layers.Conv1D: convolution,
    layers.Conv2D: convolution,
    layers.Conv3D: convolution,
    layers.DepthwiseConv1D: convolution,
    layers.DepthwiseConv2D: convolution,
    layers.SeparableConv1D: separable_convolution,
    layers.SeparableConv2D: separable_convolution,
    layers.Conv1DTranspose: transposed_convolution,
    layers.Conv2DTranspose: transposed_convolution,
    layers.Conv3DTranspose: transposed_convolution,
    layers.MultiHeadAttention: multi_head_attention,
    layers.GroupQueryAttention: multi_head_attention,
    layers.Attention: attention,
}

# Keras layers that only move, pool, normalise or rescale values, told by the modules
# that define them: their base classes have no public names.
FREE_MODULES = (
    "activations",
    *("core.embedding", "core.identity", "core.input_layer", "core.masking"),
    *("merging.add", "merging.average", "merging.concatenate", "merging.maximum"),
    *("merging.minimum", "merging.multiply", "merging.subtract"),
    *("normalization.batch_normalization", "normalization.group_normalization"),
    *("normalization.layer_normalization", "normalization.rms_normalization"),
    "normalization.unit_normalization",
    "pooling",
    *("preprocessing.image_preprocessing", "preprocessing.normalization"),
    "preprocessing.rescaling",
    "regularization",
    "reshaping",
)


def is_free(kind):
    module = kind.__module__.removeprefix("keras.src.layers.")
    return module != kind.__module__ and any(
        module == free or module.startswith(f"{free}.") for free in FREE_MODULES
    )


# === Operations of keras.ops in a functional model ===
FREE_OPERATIONS = ("core", "image", "nn", "numpy")
# What these take is not counted, since it is not known from shapes or nobody asked.
UNKNOWN_OPERATIONS = (
    *("Corrcoef", "Correlate", "Cross", "Dot", "Inner", "Kron", "Outer", "Tensordot"),
    *("Trapezoid", "Vander", "Vdot", "Slogdet"),
    *("Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv"),
    *("CTCDecode", "CTCLoss", "DotProductAttention"),
    *("AssociativeScan", "Cond", "ForiLoop", "Map", "Scan", "Switch", "VectorizedMap"),
    *("WhileLoop", "ElasticTransform", "GaussianBlur", "SobelEdges", "SSIM"),
)


def operation_macs(operation, args, outputs):
    name, module = type(operation).__name__, type(operation).__module__
    if name == "Matmul":
        # The sum runs over the first factor's last axis.
        return math.prod(of_one_image(outputs.shape)) * args[0].shape[-1]
    if name == "Einsum" and len(args) == 2:
        return einsum(operation.subscripts, *(x.shape for x in args))
    known = module.removeprefix("keras.src.ops.") in FREE_OPERATIONS
    return 0 if known and name not in UNKNOWN_OPERATIONS else None


def of_one_image(shape):
    """The shape with a batch of one where the first axis is the open batch."""
    return (1, *shape[1:]) if shape and shape[0] is None else tuple(shape)


def einsum(equation, *shapes):
    """Products of all axes of a two-factor einsum, each axis once."""
    factors = equation.replace(" ", "").partition("->")[0].split(",")
    sizes = {}
    for labels, shape in zip(factors, map(of_one_image, shapes), strict=True):
        before, dots, after = labels.partition("...")
        # Axes under the dots line up from the right.
        hidden = len(shape) - len(before) - len(after) if dots else 0
        names = [*before, *range(hidden, 0, -1), *after]
        for axis, size in zip(names, shape, strict=True):
            sizes[axis] = max(size, sizes.get(axis, 1))
    return math.prod(sizes.values())
