"""Writes the authors' format."""

from pathlib import Path

import keras
import numpy as np

from keras_t2t.arguments import check_path
from keras_t2t.checkpoints.foreign_file import (
    GRID,
    NUM_HEADS,
    SHA256,
    SUFFIXES,
    require,
    sha256,
)
from keras_t2t.checkpoints.official import num_heads, official_entries, token_grid
from keras_t2t.files import replacing
from keras_t2t.types import FilePath


def save_official(model: keras.Model, path: FilePath) -> None:
    """Saves a model as a checkpoint of the authors' code.

    Args:
        model: a `keras.Model` of `keras_t2t.T2TViT` or one of its variants.
        path: file to write; it ends in `.pth`, `.pth.tar` or `.pt` (a dict with
            `state_dict`, as released) or `.safetensors` (the tensors alone). Float32
            weights come back bit for bit; half-precision ones are stored in float32,
            those with LoRA merged.

    Raises:
        ValueError: if `path` ends otherwise, or `model` is no T2T-ViT or quantized.
        ImportError: if torch or safetensors, which write these, is not installed.
        OSError: if the file cannot be written; nothing half-written stays.
    """
    check_path("path", path)
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise ValueError(
            f"`path` must end in one of {', '.join(SUFFIXES)}, got {str(path)!r}"
        )
    tensors = {
        entry.name: np.ascontiguousarray(entry.to_official(_float32(entry.value())))
        for entry in official_entries(model)
    }
    grid = token_grid(model)
    if path.name.endswith(".safetensors"):
        save = require("safetensors").numpy.save_file
        metadata = {
            "format": "pt",
            GRID: "x".join(map(str, grid)),
            NUM_HEADS: str(num_heads(model)),
        }
        metadata[SHA256] = sha256(tensors, metadata)
        with replacing(path) as temporary:
            save(tensors, temporary, metadata=metadata)
        return
    torch = require("torch")
    state_dict = {name: torch.from_numpy(value) for name, value in tensors.items()}
    with replacing(path) as temporary:
        facts = {GRID: list(grid), NUM_HEADS: num_heads(model)}
        torch.save({"state_dict": state_dict, **facts}, temporary)


def _float32(array):
    """A copy in float32, or in float64 if it is that."""
    return array.astype("float64" if array.dtype == np.float64 else "float32")
