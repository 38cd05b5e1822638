"""LoRA: low-rank adapters beside frozen weights, and the file of the adapters alone.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021
(arXiv:2106.09685), through Keras's `Dense.enable_lora`: a kernel W that stays as it is
becomes W + alpha / rank * A B, and B begins as zero.
"""

import contextlib
import hashlib
import re
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_t2t._ground.arguments import brief, check_path, integer, shown
from keras_t2t._ground.files import replacing
from keras_t2t._ground.types import FilePath
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.fitting import all_or_nothing, is_finite, numpy_dtype
from keras_t2t.checkpoints.official import official_entries
from keras_t2t.layers.inner_state import parts_of

SUFFIX = ".lora.h5"  # KerasHub's, whose files have no names of layers
HEADS = ("head", "aux_head")
A, B, ALPHA, BASE = "lora_kernel_a", "lora_kernel_b", "lora_alpha", "kernel_sha256"


def add_adapters(model: keras.Model, rank: int) -> None:
    """Gives every Dense of the blocks an adapter, and leaves only these and the heads
    to be trained.

    The outputs stay what they were until the adapters are trained. The tokens before
    the blocks have none: what is in front of the first adapter needs no gradient.

    Args:
        model: a `keras.Model` of `keras_t2t.T2TViT`, `keras_t2t.ViT` or one of their
            variants.
        rank: int, of the adapters: each has `rank * (inputs + outputs)` weights.

    Raises:
        ValueError: if `model` is another one, is quantized or has adapters already.
    """
    rank = integer("rank", rank)
    official_entries(model)  # raises for other models
    parts = adaptable(model)
    if any(part.lora_enabled for part in parts.values()):
        raise ValueError(f"`model` {model.name!r} has adapters already")
    for part in parts.values():
        part.enable_lora(rank)
    train_adapters_only(model, parts)


def save_adapters(model: keras.Model, path: FilePath) -> None:
    """Saves the adapters and the heads alone, a small part of the model's file.

    Args:
        model: `keras.Model` that `add_adapters` or `load_adapters` was given, or as
            many of whose blocks' Dense have Keras's LoRA.
        path: file that ends in `.lora.h5`.

    Raises:
        ValueError: if `model` has no adapters, or `path` another ending.
        OSError: if it could not be written.
    """
    path = adapters_path(path)
    official_entries(model)
    if not has_adapters(model):
        raise ValueError(
            f"`model` {model.name!r} has no adapters: keras_t2t.add_adapters(model, 8)"
        )
    with replacing(path) as temporary:
        write_adapters(model, temporary)


def load_adapters(model: keras.Model, path: FilePath) -> None:
    """Puts adapters and heads of a file onto the weights that they were trained on.

    The model then gives what the trained one gave, and only adapters and heads are left
    to be trained; other adapters of the same rank can be loaded in their place. What
    `model.save`, `save_official` and `export_model` write has them merged.

    Args:
        model: `keras.Model` with the weights that the adapters were trained on and a
            head of as many classes.
        path: a file of `save_adapters`; a run with `lora` leaves `adapters.lora.h5`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or of another kind, or of another model, other
            weights, another number of classes, or another rank than adapters that are
            there already; the model is then unchanged.
    """
    path = adapters_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be an existing file, got {str(path)!r}")
    official_entries(model)
    parts, found = adaptable(model), read_adapters(path)
    check_fit(model, parts, found, shown(path.name))
    for name, part in parts.items():
        if not part.lora_enabled:
            part.enable_lora(found[f"{name}/{A}"].shape[1])
    with all_or_nothing() as assign:
        for variable, key in targets(model, parts):
            assign(variable, found[key].astype(numpy_dtype(variable)))
    for name, part in parts.items():
        part.lora_alpha = float(found[f"{name}/{ALPHA}"])
    train_adapters_only(model, parts)


def has_adapters(model):
    """Whether the blocks' Dense have adapters, all of them."""
    parts = adaptable(model).values()
    return bool(parts) and all(part.lora_enabled for part in parts)


@contextlib.contextmanager
def merged_adapters(model):
    """Within, `model` is one without adapters: their share is in the kernels."""
    parts = [part for part in adaptable(model).values() if part.lora_enabled]
    kernels = [keras.ops.convert_to_numpy(part._kernel).copy() for part in parts]
    ranks = [part.lora_rank for part in parts]
    try:
        for part in parts:
            part._kernel.assign(keras.ops.convert_to_numpy(part.kernel))
            part.lora_enabled, part.lora_rank = False, None
        yield
    finally:
        for part, kernel, rank in zip(parts, kernels, ranks, strict=True):
            part._kernel.assign(kernel)
            part.lora_enabled, part.lora_rank = True, rank


# === What has adapters ===
def adaptable(model):
    """Every Dense of the blocks by its name, `block_3_attention/qkv`."""
    return {
        f"{layer.name}/{path}": part
        for layer in model.layers
        if re.match(r"block_\d+", layer.name)
        for path, part, _ in parts_of(layer)
        if isinstance(part, keras.layers.Dense)
    }


def train_adapters_only(model, parts):
    train_only(model, [variable for variable, _ in targets(model, parts)])


def train_only(model, weights):
    """Freezes the other weights of a model."""
    kept = {id(weight) for weight in weights}
    # Not the layers: they would come back frozen from the saved model.
    for weight in model.trainable_weights:
        weight.trainable = id(weight) in kept


# === The file ===
def adapters_path(path):
    check_path("path", path)
    if not str(path).endswith(SUFFIX):
        raise ValueError(f"`path` must end in {SUFFIX}, got {str(path)!r}")
    return Path(path)


def targets(model, parts):
    """Yields (variable, key in the file) of all that is trained."""
    for name, part in parts.items():
        yield part.lora_kernel_a, f"{name}/{A}"
        yield part.lora_kernel_b, f"{name}/{B}"
    yield from head_targets(model)


def head_targets(model):
    for head in (layer for layer in model.layers if layer.name in HEADS):
        yield head._kernel, f"{head.name}/kernel"
        yield head.bias, f"{head.name}/bias"


def write_adapters(model, path):
    """HDF5 as Keras's weights files are, layers in layers, a SHA-256 at its end."""
    parts = adaptable(model)
    arrays = {
        key: keras.ops.convert_to_numpy(variable)
        for variable, key in targets(model, parts)
    }
    for name, part in parts.items():
        arrays[f"{name}/{ALPHA}"] = np.float64(part.lora_alpha)
        arrays[f"{name}/{BASE}"] = fingerprint(part)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            *layers, variable = key.split("/")
            group = file.require_group("layers")
            for layer in layers:
                group = group.require_group(layer)
                group.require_group("vars").attrs["name"] = layer
            group["vars"][variable] = array
    keras_file.seal(path)


def fingerprint(part):
    """SHA-256 of the frozen kernel: what the adapter was trained on."""
    kernel = keras.ops.convert_to_numpy(part._kernel)
    digest = hashlib.sha256(np.ascontiguousarray(kernel, "<f4"))
    return np.frombuffer(digest.digest(), "uint8")


def read_adapters(path):
    """The arrays of a file by their keys.

    Raises:
        ValueError: it is damaged, or holds no adapters.
    """
    if keras_file.seal_of(path) is None:
        raise keras_file.Damaged(path, ValueError("its checksum is not at its end"))
    arrays = keras_file.read(path).arrays
    if not any(key.endswith(f"/{A}") for key in arrays):
        raise ValueError(f"{shown(path.name)} holds no adapters")
    return arrays


def check_fit(model, parts, found, label):
    """
    Raises:
        ValueError: `found` is not of a model like this one, in one line.
    """
    for variable, key in head_targets(model):
        if key.endswith("/bias") and key in found and found[key].ndim == 1:
            classes, own = found[key].shape[0], variable.shape[0]
            if classes != own:
                raise ValueError(
                    f"{label} has a head for {classes} classes, and the model "
                    f"{model.name!r} one for {own}: build it with classes={classes}"
                )
    expected = {key for _, key in head_targets(model)}
    expected |= {f"{name}/{kind}" for name in parts for kind in (A, B, ALPHA, BASE)}
    if differing := sorted(found.keys() ^ expected):
        key = differing[0]
        sides = ("model", "file") if key in expected else ("file", "model")
        raise ValueError(
            f"{label} is of another model than {model.name!r}: the {sides[0]} has "
            f"{shown(key)}, the {sides[1]} does not"
        )
    for name, part in parts.items():
        check_adapter(name, part, found, label)
    for variable, key in head_targets(model):
        check_array(key, found[key], tuple(variable.shape), label)


def check_adapter(name, part, found, label):
    a, alpha = found[f"{name}/{A}"], found[f"{name}/{ALPHA}"]
    inputs, outputs = part._kernel.shape
    rank = a.shape[1] if a.ndim == 2 else 0
    if part.lora_enabled and rank != part.lora_rank:
        raise ValueError(
            f"{label} has adapters of rank {rank}, and the model has some of rank "
            f"{part.lora_rank}: build it anew"
        )
    if not rank:
        raise ValueError(f"{label}: {name}/{A} must have two axes, got {a.shape}")
    check_array(f"{name}/{A}", a, (inputs, rank), label)
    check_array(f"{name}/{B}", found[f"{name}/{B}"], (rank, outputs), label)
    check_array(f"{name}/{ALPHA}", alpha, (), label)
    if alpha <= 0:
        raise ValueError(f"{label}: {name}/{ALPHA} must be positive, got {alpha}")
    # Half precision has rounded what was hashed.
    exact = keras.backend.standardize_dtype(part._kernel.dtype) == "float32"
    if exact and not np.array_equal(found[f"{name}/{BASE}"], fingerprint(part)):
        raise ValueError(
            f"{label} was trained on other weights than the model has in {name}: load "
            "those first that its run started from"
        )


def check_array(key, array, shape, label):
    if array.shape != shape:
        raise ValueError(
            f"{label} is of another model: {key} has the shape {array.shape}, and the "
            f"model needs {shape}"
        )
    if array.dtype.kind != "f" or not is_finite(array, np.dtype("float32")):
        raise ValueError(f"{label}: {key} must hold finite numbers, got {brief(array)}")
