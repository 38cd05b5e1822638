"""The authors' state dicts: which tensor is which weight, and in what layout.

A torch Linear stores (out, in) where Dense stores (in, out), and a torch unfold
orders a patch (channel, row, column) where `SoftSplit` orders it (row, column,
channel). So whatever reads a long patch vector is permuted on the way.
"""

from typing import Any, NamedTuple

import numpy as np


class Entry(NamedTuple):
    """One tensor of the official state dict and the weight it fills."""

    name: str  # official name
    variable: Any  # Keras variable
    transposed: bool = False  # a Dense kernel
    patch_size: int | None = None  # reads patches of this many rows and columns

    def to_keras(self, tensor):
        """Official NumPy array -> array in the variable's layout."""
        if self.patch_size is not None:
            side = self.patch_size
            tensor = tensor.reshape(*tensor.shape[:-1], -1, side, side)
            tensor = np.moveaxis(tensor, -3, -1)
            tensor = tensor.reshape(*tensor.shape[:-3], -1)
        return tensor.T if self.transposed else tensor

    @property
    def shape(self):
        """Shape of the official tensor."""
        shape = tuple(self.variable.shape)
        return shape[::-1] if self.transposed else shape

    def to_official(self, array):
        """Array in the variable's layout -> official NumPy array."""
        tensor = array.T if self.transposed else array
        if self.patch_size is not None:
            side = self.patch_size
            tensor = tensor.reshape(*tensor.shape[:-1], side, side, -1)
            tensor = np.moveaxis(tensor, -1, -3)
            tensor = tensor.reshape(*tensor.shape[:-3], -1)
        return np.ascontiguousarray(tensor)


def official_entries(model):
    """All tensors of the official state dict of a T2T-ViT, in its order.

    Args:
        model: a model of `keras_t2t.T2TViT` or one of its variants.

    Returns:
        List of `Entry`, one for every weight of the model.

    Raises:
        ValueError: if `model` is not such a model.
    """
    layers = {layer.name: layer for layer in getattr(model, "layers", ())}
    if not {"class_token", "position_embedding", "project"} <= set(layers):
        raise ValueError(
            "`model` must be a T2T-ViT that a builder of keras_t2t made, got "
            f"{getattr(model, 'name', model)!r} of type {type(model).__name__}"
        )
    entries = [
        Entry("cls_token", layers["class_token"].class_token),
        Entry("pos_embed", layers["position_embedding"].table),
    ]
    for i in (1, 2):
        patch_size = layers[f"soft_split_{i - 1}"].kernel_size
        entries += token_layer_entries(
            layers[f"tokens_{i}"], f"tokens_to_token.attention{i}", patch_size
        )
    patch_size = layers["soft_split_2"].kernel_size
    entries += dense_entries(
        layers["project"], "tokens_to_token.project", patch_size=patch_size
    )
    block = 0
    while f"block_{block}" in layers:
        entries += block_entries(layers, block)
        block += 1
    entries += norm_entries(layers["norm"], "norm")
    if "head" in layers:
        entries += dense_entries(layers["head"], "head")
    return entries


def token_grid(model):
    """`(rows, columns)` of the patch tokens, as the model was built."""
    return tuple(model.get_layer("project").output.shape[1:3])


def token_layer_entries(layer, prefix, patch_size):
    entries = norm_entries(layer.norm_1, f"{prefix}.norm1", patch_size)
    if hasattr(layer, "random_projection"):
        entries += [Entry(f"{prefix}.w", layer.random_projection)]
        entries += dense_entries(layer.kqv, f"{prefix}.kqv", patch_size=patch_size)
        entries += dense_entries(layer.projection, f"{prefix}.proj")
        mlp_names = ("mlp.0", "mlp.2")
    else:
        qkv = f"{prefix}.attn.qkv"
        entries += dense_entries(layer.qkv, qkv, patch_size=patch_size)
        entries += dense_entries(layer.projection, f"{prefix}.attn.proj")
        mlp_names = ("mlp.fc1", "mlp.fc2")
    entries += norm_entries(layer.norm_2, f"{prefix}.norm2")
    entries += dense_entries(layer.mlp.expand, f"{prefix}.{mlp_names[0]}")
    entries += dense_entries(layer.mlp.contract, f"{prefix}.{mlp_names[1]}")
    return entries


def block_entries(layers, block):
    prefix = f"blocks.{block}"
    attention, mlp = layers[f"block_{block}_attention"], layers[f"block_{block}_mlp"]
    return [
        *norm_entries(layers[f"block_{block}_norm_1"], f"{prefix}.norm1"),
        *dense_entries(attention.qkv, f"{prefix}.attn.qkv"),
        *dense_entries(attention.projection, f"{prefix}.attn.proj"),
        *norm_entries(layers[f"block_{block}_norm_2"], f"{prefix}.norm2"),
        *dense_entries(mlp.expand, f"{prefix}.mlp.fc1"),
        *dense_entries(mlp.contract, f"{prefix}.mlp.fc2"),
    ]


def norm_entries(layer, name, patch_size=None):
    return [
        Entry(f"{name}.weight", layer.gamma, patch_size=patch_size),
        Entry(f"{name}.bias", layer.beta, patch_size=patch_size),
    ]


def dense_entries(layer, name, patch_size=None):
    entries = [Entry(f"{name}.weight", layer.kernel, True, patch_size)]
    if layer.use_bias:
        entries.append(Entry(f"{name}.bias", layer.bias))
    return entries
