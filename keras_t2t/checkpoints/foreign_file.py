"""Reads and writes the authors' format in torch's and safetensors' files.

No code in a file is run. mmpretrain's files have the same tensors under other names.
Our own files also store the token grid and the number of heads, which shapes do not
show.
"""

import hashlib
import json
import logging
from pathlib import Path

import keras
import numpy as np

from keras_t2t._ground.arguments import check_path, is_integer, is_pair, shown
from keras_t2t._ground.files import replacing
from keras_t2t._ground.optional_imports import import_safetensors, import_torch
from keras_t2t._ground.types import FilePath
from keras_t2t.checkpoints import torch_file
from keras_t2t.checkpoints.architecture import architecture_of
from keras_t2t.checkpoints.fitting import Checkpoint
from keras_t2t.checkpoints.official import num_heads, token_grid, whole_entries
from keras_t2t.checkpoints.unreadable import reading

logger = logging.getLogger(__name__)

TORCH_SUFFIXES = (".pth", ".pth.tar", ".pt")
SUFFIXES = (*TORCH_SUFFIXES, ".safetensors")
# The keys of the tensors in the released files; "net" in the CIFAR fine-tunes.
STATE_DICT_KEYS = ("state_dict", "net")
EMA_KEY = "state_dict_ema"
# What our own files store beside the tensors; in a safetensors header as JSON.
GRID, NUM_HEADS, SHA256 = "grid", "num_heads", "sha256"
# In this order: part of a name in mmpretrain -> in the authors' state dict.
MMPRETRAIN = (
    ("backbone.encoder.", "blocks."),
    ("backbone.", ""),
    ("head.layers.head.", "head."),
    (".ln1.", ".norm1."),
    (".ln2.", ".norm2."),
    (".ffn.layers.0.0.", ".mlp.fc1."),
    (".ffn.layers.1.", ".mlp.fc2."),
)


def check_torch(flag, path):
    """Raises a `ValueError` if `path` is no torch file, which alone may hold both raw
    and averaged weights."""
    if not Path(path).name.endswith(TORCH_SUFFIXES):
        raise ValueError(
            f"{flag} chooses the raw weights of a torch checkpoint "
            f"({', '.join(TORCH_SUFFIXES)}), got {str(path)!r}"
        )


def read(path, ema=True):
    """The `Checkpoint` in a file in the authors' or mmpretrain's format, with the
    averaged weights if the file has both and `ema`."""
    if str(path).endswith(".safetensors"):
        tensors, beside = _read_safetensors(path)
    else:
        tensors, beside = _read_torch(path, ema)
    own_names = {}
    for name, official in _official_names(tensors).items():
        if official in own_names:
            raise ValueError(
                f"{shown(path)} has two tensors for {shown(official)}: "
                f"{shown(own_names[official])} and {shown(name)}"
            )
        own_names[official] = name
    tensors = {official: tensors[name] for official, name in own_names.items()}
    grid, heads = beside.get(GRID), beside.get(NUM_HEADS)
    if not (grid is None or is_pair(grid)) or not (heads is None or is_integer(heads)):
        raise ValueError(
            f"{shown(path)} is damaged: its {GRID} must be two positive integers, and "
            f"its {NUM_HEADS} one"
        )
    return Checkpoint(
        tensors,
        own_names,
        architecture_of({name: array.shape for name, array in tensors.items()}),
        None if grid is None else tuple(grid),
        heads,
    )


def save_official(model: keras.Model, path: FilePath) -> None:
    """Saves a model as a checkpoint of the authors' code.

    Args:
        model: a `keras.Model` of `keras_t2t.T2TViT`, `keras_t2t.ViT` or one of their
            variants.
        path: file to write; it ends in `.pth`, `.pth.tar` or `.pt` (a dict with
            `state_dict`, as released) or `.safetensors` (the tensors alone). Float32
            weights are stored exactly, half-precision ones in float32, and LoRA is
            merged.

    Raises:
        ValueError: if `path` ends otherwise, or `model` is no T2T-ViT or ViT, is
            quantized or has layers of your own with weights.
        ImportError: if torch or safetensors, which writes the file, is not installed.
        OSError: if the file cannot be written; nothing half-written stays.
    """
    check_path("path", path)
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise ValueError(
            f"`path` must end in one of {', '.join(SUFFIXES)}, got {str(path)!r}"
        )
    tensors = {}
    for entry in whole_entries(model, "save_official"):
        array = entry.layout.to_torch(entry.value())
        dtype = "float64" if array.dtype == np.float64 else "float32"
        tensors[entry.name] = np.array(array, dtype, order="C")
    beside = {GRID: list(token_grid(model)), NUM_HEADS: num_heads(model)}
    if path.name.endswith(".safetensors"):
        save = import_safetensors().numpy.save_file
        header = {"format": "pt", **{k: json.dumps(v) for k, v in beside.items()}}
        header[SHA256] = sha256(tensors, header)
        with replacing(path) as temporary:
            save(tensors, temporary, metadata=header)
        return
    torch = import_torch()
    state_dict = {name: torch.from_numpy(value) for name, value in tensors.items()}
    with replacing(path) as temporary:
        torch.save({"state_dict": state_dict, **beside}, temporary)


def _official_names(names):
    """Name in a file -> the authors' name of the same tensor."""
    # torch's DataParallel adds a prefix.
    official = {name: name.removeprefix("module.") for name in names}
    if any(name.startswith("backbone.") for name in official.values()):
        for theirs, authors in MMPRETRAIN:
            official = {
                k: name.replace(theirs, authors) for k, name in official.items()
            }
    return official


# === safetensors ===
def _read_safetensors(path):
    """Tensors by name, and what the file says of them."""
    safetensors = import_safetensors()
    with reading(path, "no safetensors file"):
        with safetensors.safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if SHA256 not in header:
            logger.debug("%s has no checksum, so its numbers are not checked", path)
        elif header[SHA256] != sha256(tensors, header):
            raise ValueError("the SHA-256 in its header is not that of its tensors")
        beside = {k: json.loads(header[k]) for k in (GRID, NUM_HEADS) if k in header}
    return tensors, beside


def sha256(tensors, header):
    """Hexadecimal SHA-256 of the tensors and the header (the metadata) of one of our
    files, without the header's own `sha256`."""
    rest = {name: value for name, value in header.items() if name != SHA256}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()


# === torch ===
def _read_torch(path, ema):
    """Tensors by name, and what is beside them."""
    content = torch_file.read(path)
    keys = (EMA_KEY, *STATE_DICT_KEYS) if ema else STATE_DICT_KEYS
    beside = content if isinstance(content, dict) else {}
    inner = (beside.get(key) for key in keys)
    state_dict = next((v for v in inner if isinstance(v, dict) and v), content)
    if (
        not isinstance(state_dict, dict)
        or not state_dict
        or not all(isinstance(name, str) for name in state_dict)
        or not all(isinstance(value, np.ndarray) for value in state_dict.values())
    ):
        found = sorted(str(key)[:50] for key in list(beside)[:20])
        raise ValueError(
            f"{shown(path)} has no state dict: expected tensors by name, alone or "
            f"under one of {', '.join(keys)}, got {found or type(content).__name__}"
        )
    return state_dict, beside
