"""Reads torch's and safetensors' files, without running anything inside them."""

import hashlib
import json
import logging

import numpy as np

from keras_t2t.arguments import escaped, shown
from keras_t2t.checkpoints import torch_file
from keras_t2t.checkpoints.architecture import official_architecture
from keras_t2t.checkpoints.fitting import Checkpoint
from keras_t2t.checkpoints.mmpretrain import is_mmpretrain, official_name

logger = logging.getLogger(__name__)

TORCH_SUFFIXES = (".pth", ".pth.tar", ".pt")
SUFFIXES = (*TORCH_SUFFIXES, ".safetensors")
# Where the released files keep their tensors: "net" in the CIFAR fine-tunes.
STATE_DICT_KEYS = ("state_dict", "net")
EMA_KEY = "state_dict_ema"
# What our own files say beside the tensors.
GRID, NUM_HEADS, SHA256 = "grid", "num_heads", "sha256"


def read(path, ema=True):
    """Reads a checkpoint in the authors' or mmpretrain's format.

    Args:
        path: file that ends in `.pth`, `.pth.tar`, `.pt` or `.safetensors`.
        ema: bool, whether to take the averaged weights where the file has both.

    Returns:
        A `Checkpoint`. The tensors of a torch file are `torch_file.Tensor`.

    Raises:
        ValueError: if the file is damaged, would run code, or holds no state dict.
        ImportError: if safetensors is needed and not installed.
    """
    reader = _read_safetensors if str(path).endswith(".safetensors") else _read_torch
    tensors, facts = reader(path, ema)
    own_names = {}
    convert = official_name if is_mmpretrain(map(_plain, tensors)) else str
    for name in tensors:
        official = convert(_plain(name))
        if official in own_names:
            raise ValueError(
                f"{shown(path)} has two tensors for {shown(official)}: "
                f"{shown(own_names[official])} and {shown(name)}"
            )
        own_names[official] = name
    tensors = {official: tensors[name] for official, name in own_names.items()}
    shapes = {name: value.shape for name, value in tensors.items()}
    return Checkpoint(
        tensors,
        {official: _plain(name) for official, name in own_names.items()},
        official_architecture(shapes),
        _grid(path, facts.get(GRID)),
        num_heads=_num_heads(path, facts.get(NUM_HEADS)),
    )


def require(library):
    """Imports `torch`, to write its files, or `safetensors`, or says how to get it.

    Raises:
        ImportError: in one line.
    """
    extra = "torch"
    try:
        if library == "torch":
            import torch

            return torch
        extra = "convert"
        import safetensors
        import safetensors.numpy

        return safetensors
    except ImportError:
        raise ImportError(
            f"{library} is needed for this checkpoint and is not installed: "
            f'pip install "keras-t2t[{extra}]"',
            name=library,
        ) from None


def _plain(name):
    """Without what torch's DataParallel adds."""
    return name.removeprefix("module.")


def _grid(path, grid):
    if grid is None:
        return None
    try:
        rows, columns = map(int, grid.split("x") if isinstance(grid, str) else grid)
    except (TypeError, ValueError):
        rows = columns = 0
    if rows < 1 or columns < 1:
        raise ValueError(f"{shown(path)} is damaged: its grid is {str(grid)[:50]!r}")
    return rows, columns


def _num_heads(path, heads):
    if heads is None:
        return None
    if not str(heads).isascii() or not str(heads).isdigit():
        raise ValueError(
            f"{shown(path)} is damaged: its num_heads is {str(heads)[:50]!r}"
        )
    return int(heads)


# === safetensors ===
def _read_safetensors(path, ema):
    safetensors = require("safetensors")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        # The last two: types that NumPy or the library lacks.
        message = escaped(" ".join(str(error).split())[:200])
        raise ValueError(
            f"{shown(path)} is damaged or no safetensors file: {message}"
        ) from None
    if SHA256 not in facts:
        logger.debug("%s has no checksum, so its numbers are not checked", path)
    elif facts[SHA256] != sha256(tensors, facts):
        raise ValueError(
            f"{shown(path)} is damaged: its tensors have not the SHA-256 in its header"
        )
    return tensors, facts


def sha256(tensors, facts):
    """Hexadecimal SHA-256 of all that a file of ours holds, but for itself.

    Args:
        tensors: dict, name -> NumPy array.
        facts: dict of str, the header's metadata.
    """
    said = {name: value for name, value in facts.items() if name != SHA256}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()


# === torch ===
def _read_torch(path, ema):
    content = torch_file.read(path)
    keys = (EMA_KEY, *STATE_DICT_KEYS) if ema else STATE_DICT_KEYS
    state_dict, facts = content, {}
    if isinstance(content, dict):
        facts = content
        held = (content.get(key) for key in keys)
        state_dict = next((v for v in held if isinstance(v, dict) and v), content)
    if (
        not isinstance(state_dict, dict)
        or not state_dict
        or not all(isinstance(name, str) for name in state_dict)
        or not all(isinstance(v, torch_file.Tensor) for v in state_dict.values())
    ):
        held = type(content).__name__
        if isinstance(content, dict):
            held = sorted(str(key)[:50] for key in list(content)[:20])
        raise ValueError(
            f"{shown(path)} holds no state dict: expected tensors by name, alone or "
            "under "
            f"one of {', '.join(keys)}, got {held}"
        )
    return state_dict, facts
