"""LoRA: low-rank adapters beside frozen weights, and files of adapters alone.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021
(arXiv:2106.09685), through Keras's `Dense.enable_lora`: W + alpha / rank * A B replaces
the kernel W, which is frozen; B starts at zero.
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
from keras_t2t._ground.hub_files import fetched
from keras_t2t._ground.types import FilePath
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.fitting import all_or_nothing, is_finite, numpy_dtype
from keras_t2t.checkpoints.official import HEADS, whole_entries
from keras_t2t.layers.composite import parts_of

SUFFIX = ".lora.h5"  # as KerasHub's, whose files do not name layers
SHA256_BYTES = 32
A, B, ALPHA, BASE = "lora_kernel_a", "lora_kernel_b", "lora_alpha", "kernel_sha256"


def add_adapters(model: keras.Model, rank: int) -> None:
    """Adds an adapter to every Dense of the blocks; only adapters and heads are then
    trainable.

    Until training, the outputs do not change. The token layers before the blocks get no
    adapters, so that they need no gradient.

    Args:
        model: a `keras.Model` of `keras_t2t.T2TViT`, `keras_t2t.ViT` or one of their
            variants.
        rank: int, of the adapters: each has `rank * (inputs + outputs)` weights.

    Raises:
        ValueError: if `model` is of another kind, has layers of your own with weights,
            is quantized or already has adapters.
    """
    rank = integer("rank", rank)
    whole_entries(model, "add_adapters")  # raises for other models
    parts = adaptable(model)
    if any(part.lora_enabled for part in parts.values()):
        raise ValueError(f"`model` {model.name!r} has adapters already")
    for part in parts.values():
        part.enable_lora(rank)
    train_adapters(model, adapters_and_heads(model, parts))


def save_adapters(model: keras.Model, path: FilePath) -> None:
    """Saves only the adapters and heads, a small part of the model's file.

    Args:
        model: a `keras.Model` with adapters from `add_adapters`, `load_adapters` or
            Keras's LoRA, on every Dense of its blocks.
        path: file that ends in `.lora.h5`.

    Raises:
        ValueError: if `model` lacks adapters, has other weights that are trainable or
            layers of your own with weights, or `path` has another ending.
        OSError: if the file cannot be written.
    """
    path = adapters_path(path)
    whole_entries(model, "save_adapters")
    if not has_adapters(model):
        raise ValueError(
            f"`model` {model.name!r} has no adapters: keras_t2t.add_adapters(model, 8)"
        )
    held = set(map(id, adapters_and_heads(model, adaptable(model)).values()))
    for weight in model.trainable_weights:
        if id(weight) not in held:
            raise ValueError(
                f"`model` {model.name!r} also trains {weight.path}, which a file of "
                "adapters does not hold: freeze it before training, or save the model"
            )
    with replacing(path) as temporary:
        write_adapters(model, temporary)


def load_adapters(model: keras.Model, path: FilePath) -> None:
    """Loads adapters and heads into a model with the weights they were trained on.

    The model then gives the same outputs as the trained one, and only adapters and
    heads are trainable; other adapters of the same rank can replace them later.
    `model.save`, `save_official` and `export_model` write them merged.

    Args:
        model: `keras.Model` with the weights that the adapters were trained on, and a
            head for as many classes.
        path: a file of `save_adapters`; a run with `lora` leaves `adapters.lora.h5`,
            and `keras_t2t.push_to_hub` puts it on the Hugging Face hub:
            `hf://OWNER/NAME/adapters.lora.h5`.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError, ConnectionError: as for `weights="hf://..."` of the models.
        ValueError: if it is damaged or of another kind, or for another model, other
            weights, another number of classes, or another rank than the model's
            adapters, or if the model has layers of your own with weights; the model is
            then unchanged.
    """
    path = adapters_path(fetched(path))
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be an existing file, got {str(path)!r}")
    whole_entries(model, "load_adapters")
    keras_file.check_sealed(path)
    parts, found = adaptable(model), keras_file.read(path).tensors
    if not any(key.endswith(f"/{A}") for key in found):
        raise ValueError(f"{shown(path.name)} has no adapters")
    check_fit(model, parts, found, shown(path.name))
    for name, part in parts.items():
        if not part.lora_enabled:
            part.enable_lora(found[f"{name}/{A}"].shape[1])
    trained = adapters_and_heads(model, parts)
    with all_or_nothing() as assign:
        for key, variable in trained.items():
            assign(variable, found[key].astype(numpy_dtype(variable)))
    for name, part in parts.items():
        part.lora_alpha = float(found[f"{name}/{ALPHA}"])
    train_adapters(model, trained)


def has_adapters(model):
    """Whether every Dense of the blocks has an adapter."""
    parts = adaptable(model).values()
    return bool(parts) and all(part.lora_enabled for part in parts)


@contextlib.contextmanager
def merged_adapters(model):
    """Context in which the adapters of `model` are merged into its kernels."""
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


# === Layers with adapters ===
def adaptable(model):
    """Every Dense of the blocks by name, such as `block_3_attention/qkv`."""
    return {
        f"{layer.name}/{path}": part
        for layer in model.layers
        if re.match(r"block_\d+", layer.name)
        for path, part, _ in parts_of(layer)
        if isinstance(part, keras.layers.Dense)
    }


def train_adapters(model, weights):
    """Freezes all but the adapters and heads, in layers that were frozen too."""
    model.trainable = True
    train_only(model, weights.values())
    # What was compiled before would go on without the adapters.
    model.train_function = model.test_function = model.predict_function = None


def train_only(model, weights):
    """Freezes all weights of a model but these."""
    kept = {id(weight) for weight in weights}
    # Not the layers, which would still be frozen after saving and loading.
    for weight in model.trainable_weights:
        weight.trainable = id(weight) in kept


# === The file ===
def adapters_path(path):
    check_path("path", path)
    if not str(path).endswith(SUFFIX):
        raise ValueError(f"`path` must end in {SUFFIX}, got {str(path)!r}")
    return Path(path)


def adapters_and_heads(model, parts):
    """Dict of key in the file -> variable, for all weights that are trained."""
    variables = {}
    for name, part in parts.items():
        variables[f"{name}/{A}"] = part.lora_kernel_a
        variables[f"{name}/{B}"] = part.lora_kernel_b
    return variables | heads_of(model)


def heads_of(model):
    variables = {}
    for head in (layer for layer in model.layers if layer.name in HEADS):
        variables[f"{head.name}/kernel"] = head._kernel
        variables[f"{head.name}/bias"] = head.bias
    return variables


def write_adapters(model, path):
    """Writes HDF5 in the layout of Keras's weights files, with a SHA-256 at its end."""
    parts = adaptable(model)
    arrays = {
        key: keras.ops.convert_to_numpy(variable)
        for key, variable in adapters_and_heads(model, parts).items()
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
    """SHA-256 of the frozen kernel that the adapter was trained on."""
    kernel = keras.ops.convert_to_numpy(part._kernel)
    digest = hashlib.sha256(np.ascontiguousarray(kernel, "<f4"))
    return np.frombuffer(digest.digest(), "uint8")


def check_fit(model, parts, found, label):
    """Raises a ValueError, in one line, unless the arrays of a file fit a model."""
    heads = {key: tuple(variable.shape) for key, variable in heads_of(model).items()}
    classes, own = np.shape(found.get("head/bias")), heads.get("head/bias")
    if own and len(classes) == 1 and classes != own:
        raise ValueError(
            f"{label} has a head for {classes[0]} classes, but the model "
            f"{model.name!r} one for {own[0]}: build it with classes={classes[0]}"
        )
    shapes = {}
    for name, part in parts.items():
        inputs, outputs = part._kernel.shape
        first = found.get(f"{name}/{A}")
        theirs = first.shape[1] if np.ndim(first) == 2 else 1
        rank = part.lora_rank or max(1, theirs)
        shapes |= {f"{name}/{A}": (inputs, rank), f"{name}/{B}": (rank, outputs)}
        shapes |= {f"{name}/{ALPHA}": (), f"{name}/{BASE}": (SHA256_BYTES,)}
    shapes |= heads
    if differing := sorted(found.keys() ^ shapes.keys()):
        key = differing[0]
        sides = ("model", "file") if key in shapes else ("file", "model")
        raise ValueError(
            f"{label} is for another model than {model.name!r}: the {sides[0]} has "
            f"{shown(key)}, the {sides[1]} does not"
        )
    for key, shape in shapes.items():
        if found[key].shape != shape:
            raise ValueError(
                f"{label} is for another model: {key} has shape {found[key].shape}, "
                f"but the model needs {shape}"
            )
    for key, array in found.items():
        finite = array.dtype.kind == "f" and is_finite(array, np.dtype("float32"))
        if not finite and not key.endswith(BASE):
            raise ValueError(
                f"{label}: {key} must have finite numbers, got {brief(array)}"
            )
    for name, part in parts.items():
        if (alpha := found[f"{name}/{ALPHA}"]) <= 0:
            raise ValueError(f"{label}: {name}/{ALPHA} must be positive, got {alpha}")
        # In half precision the kernel is rounded, and has another hash.
        exact = keras.backend.standardize_dtype(part._kernel.dtype) == "float32"
        if exact and not np.array_equal(found[f"{name}/{BASE}"], fingerprint(part)):
            raise ValueError(
                f"{label} was trained on other weights than the model's in {name}: "
                "first load the weights that its run started from"
            )
