"""Reads torch's and safetensors' files, without running anything inside them."""

import argparse
import re
import zipfile

import numpy as np

from keras_t2t.checkpoints.architecture import official_architecture
from keras_t2t.checkpoints.fitting import Checkpoint
from keras_t2t.checkpoints.mmpretrain import is_mmpretrain, official_name

TORCH_SUFFIXES = (".pth", ".pth.tar", ".pt")
SUFFIXES = (*TORCH_SUFFIXES, ".safetensors")
# Where the released files keep their tensors: "net" in the CIFAR fine-tunes.
STATE_DICT_KEYS = ("state_dict", "net")
EMA_KEY = "state_dict_ema"


def read(path, ema=True):
    """Reads a checkpoint in the authors' or mmpretrain's format.

    Args:
        path: file that ends in `.pth`, `.pth.tar`, `.pt` or `.safetensors`.
        ema: bool, whether to take the averaged weights where the file has both.

    Returns:
        A `Checkpoint`. The arrays of a torch file may be views of the file itself.

    Raises:
        ValueError: if the file is damaged, would run code, or holds no state dict.
        ImportError: if the library that reads it is not installed.
    """
    reader = _read_safetensors if str(path).endswith(".safetensors") else _read_torch
    tensors, grid = reader(path, ema)
    tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    own_names = {}
    if is_mmpretrain(tensors):
        own_names = {official_name(name): name for name in tensors}
        tensors = {official_name(name): value for name, value in tensors.items()}
    shapes = {name: value.shape for name, value in tensors.items()}
    return Checkpoint(tensors, own_names, official_architecture(shapes), grid)


def require(library):
    """Imports `torch` or `safetensors`, or says how to get it.

    Raises:
        ImportError: in one line.
    """
    try:
        if library == "torch":
            import torch

            return torch
        import safetensors
        import safetensors.numpy

        return safetensors
    except ImportError:
        raise ImportError(
            f"{library} is needed for this checkpoint and is not installed: "
            'pip install "keras-t2t[convert]"',
            name=library,
        ) from None


def _read_safetensors(path, ema):
    safetensors = require("safetensors")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            grid = (file.metadata() or {}).get("grid")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None
    return tensors, tuple(map(int, grid.split("x"))) if grid else None


def _read_torch(path, ema):
    content = _torch_load(path)
    keys = (EMA_KEY, *STATE_DICT_KEYS) if ema else STATE_DICT_KEYS
    state_dict, grid = content, None
    if isinstance(content, dict):
        grid = content.get("grid")
        state_dict = next((content[key] for key in keys if content.get(key)), content)
    torch = require("torch")
    if (
        not isinstance(state_dict, dict)
        or not state_dict
        or not all(isinstance(value, torch.Tensor) for value in state_dict.values())
    ):
        held = sorted(map(str, content)) if isinstance(content, dict) else type(content)
        raise ValueError(
            f"{path} holds no state dict: expected tensors by name, alone or under "
            f"one of {', '.join(keys)}, got {held}"
        )
    tensors = {name: _to_numpy(value, torch) for name, value in state_dict.items()}
    return tensors, tuple(grid) if grid else None


def _torch_load(path):
    torch = require("torch")
    with open(path, "rb"):
        pass  # from here on an OSError too is the file's content
    try:
        # The released files keep their training arguments beside the tensors.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(
                str(path),
                map_location="cpu",
                weights_only=True,
                mmap=zipfile.is_zipfile(path),  # EMA and raw weights: read only one
            )
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle fails in every way there is
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise ValueError(
                f"{path} is refused: loading it would call {refused[1]}, and a "
                "checkpoint may hold tensors and argparse.Namespace only"
            ) from None
        first_line = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{path} is damaged, cut short or no torch file: {first_line}"
        ) from None


def _to_numpy(tensor, torch):
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type
        tensor = tensor.float()
    return np.asarray(tensor.cpu())
