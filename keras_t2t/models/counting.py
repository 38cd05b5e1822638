"""Parameters and multiply-accumulates (MACs) of a model, without running it."""

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import layers, tree

from keras_t2t._ground.arguments import short
from keras_t2t.models.pixel_input import graph_of, required_graph


class LayerCount(NamedTuple):
    """One layer of a model, or one operation, at one place in the graph."""

    name: str  # of a nested model: "model/layer"
    type: str
    output_shape: tuple  # with the batch, None; of several outputs a structure
    trainable: int  # parameters; 0 if an earlier row has counted them
    fixed: int  # parameters that training does not change
    macs: int | None  # per image; None if there is no rule for this layer


class Summary(NamedTuple):
    """What `summarize` returns."""

    rows: list  # of LayerCount, in the order of computation
    trainable: int
    fixed: int
    macs: int  # of the rows that have a rule
    unknown: list  # names of the layers that have none

    @property
    def parameters(self):
        return self.trainable + self.fixed

    def __str__(self):
        header = ("layer", "type", "output shape", "trainable", "fixed", "MACs")
        totals = ("total", "", "", self.trainable, self.fixed, self.macs)
        table = [[_text(cell) for cell in row] for row in (header, *self.rows, totals)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        sides = zip("<<<>>>", widths, strict=True)
        aligned = "  ".join(f"{{:{side}{width}}}" for side, width in sides)
        first, *lines, last = (aligned.format(*row) for row in table)
        rule = "-" * len(first)
        lines = [first, rule, *lines, rule, last]
        if self.unknown:
            lines.append(
                f"MACs not counted, for want of a rule: {_listed(self.unknown)}"
            )
        return "\n".join(lines)


def count_macs(model: keras.Model, input_shape: Any = None) -> int:
    """Multiply-accumulates of a model for one image (or other input).

    A product with its addition counts as one MAC, which is two FLOPs. Counted are the
    products of every Dense, convolution and attention (the projections, q k^T and the
    sum over v; for a Performer the products with random features). Not counted are
    norms, activations, softmax, biases, pooling, elementwise sums and products,
    resizing, and the copying of pixels into patches, which Keras does by a convolution
    with ones and zeros. This is the rule behind the paper's tables.

    Args:
        model: functional or Sequential `keras.Model`, nested or not.
        input_shape: shape without the batch, needed if the model leaves sizes open
            (for several inputs a structure of shapes, like `model.input_shape`).

    Returns:
        int.

    Raises:
        ValueError: if `model` is not functional, a needed size is not known, or a
            layer has no rule; the message lists such layers. A custom layer can have a
            method `macs(input_shape)`, which takes the shape with the batch and
            returns the count for one image.
    """
    counted = _count(model, input_shape)
    if counted.unknown:
        raise ValueError(
            f"there is no rule for the MACs of {_listed(counted.unknown)} in "
            f"{model.name}; give such a layer a method `macs(input_shape)`, or use "
            "`keras_t2t.summarize`, which counts the others"
        )
    return counted.macs


def summarize(
    model: keras.Model,
    input_shape: Any = None,
    print_fn: Callable[[str], Any] | None = print,
) -> Summary:
    """Prints and returns parameters and multiply-accumulates, per layer and in total.

    The counting rule is that of `count_macs`. Each layer of a nested model has a row;
    a layer that is used twice has two, with its parameters in the first.

    Args:
        model: functional or Sequential `keras.Model`, nested or not.
        input_shape: as for `count_macs`.
        print_fn: called with the table, one aligned row per layer; None: not printed.

    Returns:
        `Summary`: `rows` (of `name`, `type`, `output_shape`, `trainable`, `fixed`,
        `macs`), the totals `trainable`, `fixed` and `macs`, and `unknown`, the names
        of the layers without a rule, whose `macs` is None and not in the total.

    Raises:
        ValueError: if `model` is not functional or a needed size is not known.
    """
    counted = _count(model, input_shape)
    if print_fn is not None:
        print_fn(str(counted))
    return counted


def _count(model, input_shape):
    graph = required_graph(model)
    rows, seen = [], set()
    _walk(graph, _inputs(graph, input_shape), "", rows, seen)
    return Summary(
        rows,
        sum(row.trainable for row in rows),
        sum(row.fixed for row in rows),
        sum(row.macs or 0 for row in rows),
        [f"{row.name} ({row.type})" for row in rows if row.macs is None],
    )


def _inputs(graph, input_shape):
    """KerasTensors like the inputs of `graph`, with `input_shape` if given."""
    if input_shape is None:
        return [keras.KerasTensor(x.shape, x.dtype) for x in graph.inputs]
    one = len(graph.inputs) == 1
    shapes = [input_shape] if one else input_shape
    if not isinstance(shapes, (list, tuple)):
        shapes = []
    accepted = [x.shape[1:] for x in graph.inputs]
    if len(shapes) != len(accepted) or not all(map(_fits, shapes, accepted)):
        raise ValueError(
            f"`input_shape` must fit the inputs of {graph.name}, "
            f"{accepted[0] if one else accepted}, got {short(input_shape)}"
        )
    return [
        keras.KerasTensor((x.shape[0], *shape), x.dtype)
        for x, shape in zip(graph.inputs, shapes, strict=True)
    ]


def _fits(shape, accepted):
    return (
        isinstance(shape, (list, tuple))
        and len(shape) == len(accepted)
        and all(
            expected in (None, size)
            for size, expected in zip(shape, accepted, strict=True)
        )
    )


def _walk(graph, inputs, prefix, rows, seen):
    """Adds a row for every operation of `graph`; returns its outputs' KerasTensors."""

    def visitor(operation):
        def visit(*args, **kwargs):
            nested = graph_of(operation)
            if nested is not None:
                given = tree.flatten(args or kwargs["inputs"])
                return _walk(nested, given, f"{prefix}{operation.name}/", rows, seen)
            outputs = operation.compute_output_spec(*args, **kwargs)
            name = prefix + operation.name
            shape = tree.map_structure(lambda x: tuple(x.shape), outputs)
            parameters = _parameters(operation, seen)
            macs = _macs(operation, args, kwargs, outputs, name)
            rows.append(
                LayerCount(name, type(operation).__name__, shape, *parameters, macs)
            )
            return outputs

        return visit

    return graph._run_through_graph(inputs, operation_fn=visitor)


def _parameters(operation, seen):
    """(trainable, fixed) parameters that are not in `seen` yet."""
    sizes = {True: 0, False: 0}
    trainable = {id(weight) for weight in getattr(operation, "trainable_weights", ())}
    for weight in getattr(operation, "weights", ()):
        if id(weight) not in seen:
            seen.add(id(weight))
            sizes[id(weight) in trainable] += math.prod(weight.shape)
    return sizes[True], sizes[False]


def _macs(operation, args, kwargs, outputs, name):
    try:
        return macs_of(operation, args, kwargs, outputs)
    except TypeError:
        shapes = [x.shape for x in tree.flatten((args, kwargs)) if hasattr(x, "shape")]
        if not any(None in shape[1:] for shape in shapes):
            raise
        raise ValueError(
            f"the MACs of {name} depend on a size that is not known, its input is "
            f"{', '.join(map(str, shapes))}: give `input_shape`"
        ) from None


def _text(cell):
    if cell is None:
        return "unknown"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _listed(names):
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


# === The rules, for one layer or operation ===
def macs_of(operation, args, kwargs, outputs):
    """MACs of an operation that is called with `keras.KerasTensor`s; None without a
    rule."""
    if hasattr(operation, "macs"):
        flat = tree.flatten((args, kwargs))
        first = next(x for x in flat if isinstance(x, keras.KerasTensor))
        return operation.macs(first.shape)
    for kind in type(operation).__mro__:
        if kind in LAYER_RULES:
            return LAYER_RULES[kind](operation, arguments(operation, args, kwargs))
        if kind.__module__.startswith("keras.src.ops."):
            return operation_macs(operation, args, outputs)
        if is_free(kind):
            return 0
        if "call" in vars(kind):
            # It has its own computation, to which its base's rule does not apply.
            return None
    return None


def arguments(layer, args, kwargs):
    """The call's arguments by name, the first also as `inputs`."""
    bound = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    return {**bound, "inputs": next(iter(bound.values()))}


def positions(shape):
    """The number of vectors per image in a tensor `(batch, ..., channels)`."""
    return math.prod(shape[1:-1])


# === Layers ===
def dense(layer, call):
    shape = call["inputs"].shape
    return positions(shape) * shape[-1] * layer.units


def einsum_dense(layer, call):
    return einsum(layer.equation, call["inputs"].shape, layer.kernel.shape)


def convolution(layer, call):
    """Each output position takes a product with the kernel (of its channel group)."""
    shape = layer.compute_output_shape(call["inputs"].shape)
    return spatial(layer, shape) * math.prod(layer.kernel.shape)


def transposed_convolution(layer, call):
    """Each input position takes a product with the kernel."""
    return spatial(layer, call["inputs"].shape) * math.prod(layer.kernel.shape)


def separable_convolution(layer, call):
    shape = layer.compute_output_shape(call["inputs"].shape)
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    return spatial(layer, shape) * sum(math.prod(kernel.shape) for kernel in kernels)


def spatial(layer, shape):
    """The number of pixels or positions, in either data format."""
    first = layer.data_format == "channels_first"
    return math.prod(shape[2:] if first else shape[1:-1])


def multi_head_attention(layer, call):
    query, value = call["query"].shape, call["value"].shape
    key = value if call.get("key") is None else call["key"].shape
    axes = getattr(layer, "_attention_axes", None) or range(1, len(query) - 1)
    pairs = positions(query) * math.prod(value[axis] for axis in axes)
    # Value and key may have other widths than the query, and so may their kernels.
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
    **dict.fromkeys((layers.Conv1D, layers.Conv2D, layers.Conv3D), convolution),
    **dict.fromkeys((layers.DepthwiseConv1D, layers.DepthwiseConv2D), convolution),
    layers.SeparableConv1D: separable_convolution,
    layers.SeparableConv2D: separable_convolution,
    layers.Conv1DTranspose: transposed_convolution,
    layers.Conv2DTranspose: transposed_convolution,
    layers.Conv3DTranspose: transposed_convolution,
    layers.MultiHeadAttention: multi_head_attention,
    layers.GroupQueryAttention: multi_head_attention,
    layers.Attention: attention,
}

# Keras layers that only move, pool, normalise or rescale values, by the modules that
# define them, since their base classes have no public names.
FREE_MODULES = """
    activations core.embedding core.identity core.input_layer core.masking
    merging.add merging.average merging.concatenate merging.maximum merging.minimum
    merging.multiply merging.subtract normalization.batch_normalization
    normalization.group_normalization normalization.layer_normalization
    normalization.rms_normalization normalization.unit_normalization pooling
    preprocessing.image_preprocessing preprocessing.normalization
    preprocessing.rescaling regularization reshaping
""".split()


def is_free(kind):
    module = kind.__module__.removeprefix("keras.src.layers.")
    return module != kind.__module__ and any(
        module == free or module.startswith(f"{free}.") for free in FREE_MODULES
    )


# === Operations of keras.ops in a functional model ===
FREE_OPERATIONS = ("core", "image", "nn", "numpy")
# Operations that multiply, but have no rule here.
UNKNOWN_OPERATIONS = """
    Corrcoef Correlate Cross Dot Inner Kron Outer Tensordot Trapezoid Vander Vdot
    Slogdet Conv ConvTranspose DepthwiseConv SeparableConv CTCDecode CTCLoss
    DotProductAttention AssociativeScan Cond ForiLoop Map Scan Switch VectorizedMap
    WhileLoop ElasticTransform GaussianBlur SobelEdges SSIM
""".split()


def operation_macs(operation, args, outputs):
    name, module = type(operation).__name__, type(operation).__module__
    if name == "Matmul":
        # The sum runs over the first factor's last axis.
        return math.prod(of_one_image(outputs.shape)) * args[0].shape[-1]
    if name == "Einsum" and len(args) == 2:
        return einsum(operation.subscripts, *(x.shape for x in args))
    free = module.removeprefix("keras.src.ops.") in FREE_OPERATIONS
    return 0 if free and name not in UNKNOWN_OPERATIONS else None


def of_one_image(shape):
    """The shape, with a batch of one if the first axis is an open batch."""
    return (1, *shape[1:]) if shape and shape[0] is None else tuple(shape)


def einsum(equation, *shapes):
    """MACs of a two-factor einsum: the product of the sizes of all its axes."""
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
