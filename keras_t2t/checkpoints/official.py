"""The published state dicts: which tensor is which weight, and in which layout.

The names are the authors' for T2T-ViT and timm's for ViT.

A torch Linear stores (out, in) where Dense stores (in, out); a convolution
(out, in, rows, columns) where Keras has (rows, columns, in, out); and a torch unfold
orders a patch (channel, row, column) where `SoftSplit` orders it (row, column,
channel). So weights that read a long patch vector are permuted.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

# The classifiers of the class token and, with token labelling, of the patch tokens.
HEADS = ("head", "aux_head")


# === Layouts ===
class Layout(NamedTuple):
    """A pair of functions, torch array -> Keras array and back."""

    to_keras: Callable
    to_torch: Callable
    any_size: bool = True  # whether both take arrays of every size


SAME = Layout(np.asarray, np.asarray)
LINEAR = Layout(np.transpose, np.transpose)
CONVOLUTION = Layout(
    lambda tensor: np.transpose(tensor, (2, 3, 1, 0)),
    lambda array: np.transpose(array, (3, 2, 0, 1)),
)
# A depthwise convolution of kernel size 1: (channels, 1, 1) and (channels,).
CHANNEL_SCALE = Layout(
    lambda tensor: tensor[:, 0, 0], lambda array: array[:, None, None]
)


def patch_vector(size):
    """Vectors over patches of `size` rows and columns, such as a norm's."""

    def to_keras(tensor):
        tensor = tensor.reshape(*tensor.shape[:-1], -1, size, size)
        tensor = np.moveaxis(tensor, -3, -1)
        return tensor.reshape(*tensor.shape[:-3], -1)

    def to_torch(array):
        array = array.reshape(*array.shape[:-1], size, size, -1)
        array = np.moveaxis(array, -1, -3)
        return array.reshape(*array.shape[:-3], -1)

    return Layout(to_keras, to_torch, any_size=False)


def patch_linear(size):
    """The kernel of a Linear that reads patches of `size` rows and columns."""
    vector = patch_vector(size)
    return Layout(
        lambda tensor: vector.to_keras(tensor).T,
        lambda array: vector.to_torch(array.T),
        any_size=False,
    )


# === All tensors ===
class Entry(NamedTuple):
    """One tensor of the official state dict and the weight it fills."""

    name: str  # official name
    variable: Any  # Keras variable
    layout: Layout = SAME
    layer: Any = None  # a Dense, whose kernel may have LoRA

    def value(self):
        """The weight as a NumPy array, with LoRA merged."""
        merged = self.variable if self.added is None else self.layer.kernel
        return keras.ops.convert_to_numpy(merged)

    @property
    def added(self):
        """LoRA's second factor, zero where it adds nothing; None without LoRA."""
        has_lora = getattr(self.layer, "lora_enabled", False)
        return self.layer.lora_kernel_b if has_lora else None

    @property
    def shape(self):
        """Shape of the official tensor."""
        array = np.broadcast_to(0.0, tuple(self.variable.shape))
        return self.layout.to_torch(array).shape


def official_entries(model):
    """A list of `Entry`, one for every weight of a T2T-ViT or ViT.

    Raises:
        ValueError: if `model` is not such a model, or is quantized.
    """
    layers = {layer.name: layer for layer in getattr(model, "layers", ())}
    if not {"class_token", "position_embedding", "project", "norm"} <= set(layers):
        raise ValueError(
            "`model` must be a whole T2T-ViT or ViT made by a keras_t2t builder, got "
            f"{getattr(model, 'name', model)!r} of type {type(model).__name__}"
        )
    if quantized := [name for name, layer in layers.items() if is_quantized(layer)]:
        raise ValueError(
            f"`model` must have floating-point weights, but {model.name!r} is "
            f"quantized: its layer {quantized[0]!r} has integers"
        )
    entries = [
        Entry("cls_token", layers["class_token"].class_token),
        Entry("pos_embed", layers["position_embedding"].table),
        *token_entries(layers),
        *backbone_entries(layers),
        *norm_entries(layers["norm"], "norm"),
    ]
    for head in HEADS:
        if head in layers:
            entries += dense_entries(layers[head], head)
    return entries


def whole_entries(model, function):
    """As `official_entries`, but raises a ValueError if other layers of the model have
    weights, except for statistics of pixels in a Normalization and adapters (LoRA).

    `function` is what the user called, for the message.
    """
    entries = official_entries(model)
    known = {id(entry.variable) for entry in entries}
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            known.update(map(id, layer.weights))
        for name in ("lora_kernel_a", "lora_kernel_b"):
            known.add(id(getattr(layer, name, None)))
    others = [
        layer.name
        for layer in model.layers
        if not known.issuperset(map(id, layer.weights))
    ]
    if others:
        raise ValueError(
            f"`model` {model.name!r} has weights outside the T2T-ViT, in the layers "
            f"{', '.join(others)}: call {function} on the T2T-ViT before you add "
            "layers, or build it with classes=N"
        )
    return entries


def num_heads(model):
    """Number of heads of the blocks' attention, the same in all of them."""
    return model.get_layer("block_0_attention").num_heads


def token_grid(model):
    """`(rows, columns)` of the patch tokens, as the model was built."""
    return tuple(model.get_layer("project").output.shape[1:3])


# === From the image to the tokens ===
def token_entries(layers):
    if "tokens_1" in layers:
        return soft_split_entries(layers)
    if "convolution_0" in layers:
        names = {
            "convolution_0": "tokens_to_token.soft_split0",
            "convolution_1": "tokens_to_token.soft_split1",
            "project": "tokens_to_token.project",
        }
    else:
        names = {"project": "patch_embed.proj"}
    return [
        entry
        for layer, name in names.items()
        for entry in dense_entries(layers[layer], name, CONVOLUTION)
    ]


def soft_split_entries(layers):
    entries = []
    for i in (1, 2):
        name = f"tokens_to_token.attention{i}"
        size = patch_size(layers, i - 1, f"tokens_{i}")
        entries += token_layer_entries(layers[f"tokens_{i}"], name, size)
    layout = patch_linear(patch_size(layers, 2, "project"))
    dense = layers["project"].dense
    return entries + dense_entries(dense, "tokens_to_token.project", layout)


def patch_size(layers, i, reader):
    """Side of a patch of soft split `i`, which may be inside the layer `reader`."""
    return (layers.get(f"soft_split_{i}") or layers[reader].soft_split).kernel_size


def token_layer_entries(layer, prefix, patch_size):
    vector, linear = patch_vector(patch_size), patch_linear(patch_size)
    entries = norm_entries(layer.norm_1, f"{prefix}.norm1", vector)
    if hasattr(layer, "random_projection"):
        entries += [Entry(f"{prefix}.w", layer.random_projection)]
        entries += dense_entries(layer.kqv, f"{prefix}.kqv", linear)
        entries += dense_entries(layer.projection, f"{prefix}.proj")
        mlp_names = ("mlp.0", "mlp.2")
    else:
        entries += dense_entries(layer.qkv, f"{prefix}.attn.qkv", linear)
        entries += dense_entries(layer.projection, f"{prefix}.attn.proj")
        mlp_names = ("mlp.fc1", "mlp.fc2")
    entries += norm_entries(layer.norm_2, f"{prefix}.norm2")
    entries += dense_entries(layer.mlp.expand, f"{prefix}.{mlp_names[0]}")
    entries += dense_entries(layer.mlp.contract, f"{prefix}.{mlp_names[1]}")
    return entries


# === Blocks ===
def backbone_entries(layers):
    """In the order of computation; transitions of the dense design count as blocks."""
    entries, place = [], 0
    for name, layer in layers.items():
        if name.startswith("transition_"):
            entries += dense_entries(layer, f"blocks.{place}.linear")
            place += 1
        elif name.startswith("block_") and name.endswith("_attention"):
            block = name.removesuffix("_attention")
            entries += block_entries(layers, block, f"blocks.{place}")
            place += 1
    return entries


def block_entries(layers, block, prefix):
    entries = [
        *norm_entries(layers[f"{block}_norm_1"], f"{prefix}.norm1"),
        *attention_entries(layers[f"{block}_attention"], f"{prefix}.attn"),
        *norm_entries(layers[f"{block}_norm_2"], f"{prefix}.norm2"),
        *mlp_entries(layers[f"{block}_mlp"], f"{prefix}.mlp"),
    ]
    if (gate := layers.get(f"{block}_squeeze_excitation")) is not None:
        entries += dense_entries(gate.squeeze, f"{prefix}.attn.se_layer.fc.0")
        entries += dense_entries(gate.excite, f"{prefix}.attn.se_layer.fc.2")
    if (growth := layers.get(f"{block}_growth")) is not None:
        entries += dense_entries(growth, f"{prefix}.dense_linear")
    return entries


def attention_entries(layer, prefix):
    if not hasattr(layer, "scales"):
        entries = dense_entries(layer.qkv, f"{prefix}.qkv")
    else:
        entries = []
        for part, half, scale in zip("qkv", layer.halves, layer.scales, strict=True):
            entries += dense_entries(half, f"{prefix}.{part}")
            entries.append(scale_entry(scale, f"{prefix}.cheap_operation_{part}"))
    return entries + dense_entries(layer.projection, f"{prefix}.proj")


def mlp_entries(layer, prefix):
    entries = dense_entries(layer.expand, f"{prefix}.fc1")
    for i, scale in enumerate(getattr(layer, "scales", ()), start=2):
        entries.append(scale_entry(scale, f"{prefix}.cheap_operation{i}"))
    return entries + dense_entries(layer.contract, f"{prefix}.fc2")


# === Single layers ===
def is_quantized(layer):
    if isinstance(layer, keras.layers.Normalization):  # it counts the images it saw
        return False
    return any(
        "int" in keras.backend.standardize_dtype(weight.dtype)
        for weight in layer.weights
    )


def norm_entries(layer, name, layout=SAME):
    return [
        Entry(f"{name}.weight", layer.gamma, layout),
        Entry(f"{name}.bias", layer.beta, layout),
    ]


def dense_entries(layer, name, layout=LINEAR):
    entries = [Entry(f"{name}.weight", layer._kernel, layout, layer)]
    if layer.use_bias:
        entries.append(Entry(f"{name}.bias", layer.bias))
    return entries


def scale_entry(layer, name):
    return Entry(f"{name}.weight", layer.scale, CHANNEL_SCALE)
