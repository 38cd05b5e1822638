"""The published state dicts: which tensor is which weight, and in which layout.

The names are the authors' for T2T-ViT and timm's for ViT.

A torch Linear stores (out, in) where Dense stores (in, out); a convolution
(out, in, rows, columns) where Keras has (rows, columns, in, out); and a torch unfold
orders a patch (channel, row, column) where `SoftSplit` orders it (row, column,
channel). So weights that read a long patch vector are permuted.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_t2t.layers.composite import parts_of

# The classifiers of the class token and, with token labelling, of the patch tokens.
HEADS = ("head", "aux_head")


# === Names ===
# A weight's name in Keras's files is its layer's path in the model, such as
# `block_3_attention/qkv`, and its index there. These are the layers' official names,
# and those of weights that are no layer's `weight` (index 0) or `bias` (1).
WEIGHTS = {
    "class_token/0": "cls_token",
    "position_embedding/0": "pos_embed",
    "tokens_1/0": "tokens_to_token.attention1.w",
    "tokens_2/0": "tokens_to_token.attention2.w",
}
SOFT_SPLIT = {
    r"tokens_([12])/norm_([12])": r"tokens_to_token.attention\1.norm\2",
    "project/dense": "tokens_to_token.project",
}
TOKENS = {  # by a layer that only this type of tokens has
    "tokens_1/kqv": {
        **SOFT_SPLIT,
        r"tokens_([12])/kqv": r"tokens_to_token.attention\1.kqv",
        r"tokens_([12])/projection": r"tokens_to_token.attention\1.proj",
        r"tokens_([12])/mlp/expand": r"tokens_to_token.attention\1.mlp.0",
        r"tokens_([12])/mlp/contract": r"tokens_to_token.attention\1.mlp.2",
    },
    "tokens_1/qkv": {
        **SOFT_SPLIT,
        r"tokens_([12])/qkv": r"tokens_to_token.attention\1.attn.qkv",
        r"tokens_([12])/projection": r"tokens_to_token.attention\1.attn.proj",
        r"tokens_([12])/mlp/expand": r"tokens_to_token.attention\1.mlp.fc1",
        r"tokens_([12])/mlp/contract": r"tokens_to_token.attention\1.mlp.fc2",
    },
    "convolution_0": {
        r"convolution_([01])": r"tokens_to_token.soft_split\1",
        "project": "tokens_to_token.project",
    },
    "project": {"project": "patch_embed.proj"},
}
LAYERS = {
    r"block_(\d+)_norm_([12])": r"blocks.\1.norm\2",
    r"block_(\d+)_attention/qkv": r"blocks.\1.attn.qkv",
    r"block_(\d+)_attention/query": r"blocks.\1.attn.q",
    r"block_(\d+)_attention/query_scale": r"blocks.\1.attn.cheap_operation_q",
    r"block_(\d+)_attention/key": r"blocks.\1.attn.k",
    r"block_(\d+)_attention/key_scale": r"blocks.\1.attn.cheap_operation_k",
    r"block_(\d+)_attention/value": r"blocks.\1.attn.v",
    r"block_(\d+)_attention/value_scale": r"blocks.\1.attn.cheap_operation_v",
    r"block_(\d+)_attention/projection": r"blocks.\1.attn.proj",
    r"block_(\d+)_squeeze_excitation/squeeze": r"blocks.\1.attn.se_layer.fc.0",
    r"block_(\d+)_squeeze_excitation/excite": r"blocks.\1.attn.se_layer.fc.2",
    r"block_(\d+)_mlp/expand": r"blocks.\1.mlp.fc1",
    r"block_(\d+)_mlp/scale_(\d+)": r"blocks.\1.mlp.cheap_operation\2",
    r"block_(\d+)_mlp/contract": r"blocks.\1.mlp.fc2",
    r"block_(\d+)_growth": r"blocks.\1.dense_linear",
    r"transition_(\d+)": r"blocks.\1.linear",
    r"norm|head|aux_head": r"\g<0>",
}


def official_names(keys):
    """Dict of name in Keras's files -> official name, for the weights of a T2T-ViT or
    ViT among `keys`."""
    found = (names for layer, names in TOKENS.items() if f"{layer}/0" in keys)
    layers = LAYERS | next(found, {})
    names = {key: name for key, name in WEIGHTS.items() if key in keys}
    for key in keys:
        path, _, index = key.rpartition("/")
        for pattern, name in layers.items() if index in ("0", "1") else ():
            if match := re.fullmatch(pattern, path):
                names[key] = match.expand(name) + (".weight", ".bias")[int(index)]
    return names


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


# By pattern of the name in Keras's files.
LAYOUTS = {
    "tokens_1/norm_1/[01]": patch_vector(7),
    "tokens_2/norm_1/[01]": patch_vector(3),
    "tokens_1/(kqv|qkv)/0": patch_linear(7),
    "tokens_2/(kqv|qkv)/0": patch_linear(3),
    "project/dense/0": patch_linear(3),
    "(convolution_[01]|project)/0": CONVOLUTION,
    r".*/(\w+_scale|scale_\d+)/0": CHANNEL_SCALE,
}


def layout_of(key, layer):
    """The `Layout` of a weight of `layer`."""
    found = (row for pattern, row in LAYOUTS.items() if re.fullmatch(pattern, key))
    return next(found, LINEAR if isinstance(layer, keras.layers.Dense) else SAME)


# === All tensors ===
class Entry(NamedTuple):
    """One tensor of the official state dict and the weight it fills."""

    name: str  # official name
    key: str  # name in Keras's files
    variable: Any  # Keras variable
    layer: Any  # whose weight it is
    layout: Layout

    def value(self):
        """The weight as a NumPy array, with LoRA merged."""
        merged = self.variable if self.added is None else self.layer.kernel
        return keras.ops.convert_to_numpy(merged)

    @property
    def added(self):
        """LoRA's second factor, zero where it adds nothing; None without LoRA."""
        has_lora = getattr(self.layer, "lora_enabled", False)
        if has_lora and self.variable is self.layer._kernel:
            return self.layer.lora_kernel_b
        return None

    @property
    def shape(self):
        """Shape of the official tensor."""
        array = np.broadcast_to(0.0, tuple(self.variable.shape))
        return self.layout.to_torch(array).shape


def variable_keys(model):
    """Dict of name in Keras's files -> (layer, variable), of all weights of `model` but
    adapters (LoRA), which are merged in files."""
    return {
        f"{path}/{index}": (layer, variable)
        for path, layer, _ in parts_of(model)
        # Not the variable's path: that depends on where the model was built.
        for index, variable in enumerate(
            layer._trainable_variables + layer._non_trainable_variables
        )
        if variable.name not in ("lora_kernel_a", "lora_kernel_b")
    }


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
    weights = variable_keys(model)
    entries, places = [], {}
    for key, name in official_names(weights).items():
        # Transitions of the dense design count as blocks.
        if match := re.match(r"(block|transition)_\d+", key):
            place = places.setdefault(match[0], len(places))
            name = re.sub(r"\d+", str(place), name, count=1)
        layer, variable = weights[key]
        entries.append(Entry(name, key, variable, layer, layout_of(key, layer)))
    return entries


def is_quantized(layer):
    if isinstance(layer, keras.layers.Normalization):  # it counts the images it saw
        return False
    return any(
        "int" in keras.backend.standardize_dtype(weight.dtype)
        for weight in layer.weights
    )


def whole_entries(model, function):
    """As `official_entries`, but raises a ValueError if other layers of the model have
    weights, except for statistics of pixels in a Normalization and adapters (LoRA).

    `function` is what the user called, for the message.
    """
    entries = official_entries(model)
    known = {entry.key for entry in entries}
    others = {
        key.partition("/")[0]: None
        for key, (layer, _) in variable_keys(model).items()
        if key not in known and not isinstance(layer, keras.layers.Normalization)
    }
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
