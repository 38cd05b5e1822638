"""Loads a checkpoint file of any format into a model."""

from pathlib import Path

import keras
import numpy as np

from keras_t2t.arguments import check_flags, check_grid, check_path, shown
from keras_t2t.checkpoints import foreign_file, keras_file
from keras_t2t.checkpoints.architecture import keras_architecture
from keras_t2t.checkpoints.fitting import Checkpoint, load_tensors
from keras_t2t.checkpoints.official import official_entries, token_grid
from keras_t2t.types import FilePath

SUFFIXES = (*keras_file.SUFFIXES, *foreign_file.SUFFIXES)


def load_checkpoint(
    model: keras.Model,
    path: FilePath,
    ema: bool = True,
    grid: tuple[int, int] | None = None,
) -> None:
    """Fills all weights of a T2T-ViT or ViT from a file, at any input size.

    Strict: every tensor of the file is used and every weight of the model is set.
    Two things may differ. The position table is resized to the model's token grid as
    the authors do (class row kept, grid bicubic). A head with another number of
    classes is not loaded; the model's fresh one stays, and a log line says so.

    Args:
        model: a `keras.Model` of `keras_t2t.T2TViT` or one of its variants.
        path: the authors' or mmpretrain's checkpoint (`.pth`, `.pth.tar`, `.pt`,
            `.safetensors`), or a file that Keras wrote (`.weights.h5`, `.keras`).
            Nothing inside a file is ever run.
        ema: bool, whether to take the averaged weights (`state_dict_ema`) of a torch
            file that has both.
        grid: `(rows, columns)` of the checkpoint's patch tokens. None: as the file
            says, else square, as all released checkpoints are; a `.weights.h5` with
            as many positions as the model is taken to have the model's grid.

    Raises:
        FileNotFoundError: if `path` does not exist.
        ValueError: if the file is damaged, of an unknown kind, would run code, or
            does not fit; the model is then unchanged. A checkpoint of another
            variant is named.
        ImportError: if safetensors is needed and not installed.
    """
    check_flags(ema=ema)
    if grid is not None:
        check_grid("grid", grid)
    path, entries = existing_file(path), official_entries(model)
    if path.name.endswith(keras_file.SUFFIXES):
        checkpoint = keras_checkpoint(path, model, entries)
    else:
        checkpoint = foreign_file.read(path, ema)
    if grid is not None:
        checkpoint = checkpoint._replace(grid=tuple(grid))
    load_tensors(model, checkpoint, path.name)


def existing_file(path):
    """`path` as a `Path`, once it is known to be a file that can be read."""
    check_path("path", path)
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise ValueError(
            f"`path` must end in one of {', '.join(SUFFIXES)}, got {str(path)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be an existing file, got {str(path)!r}")
    return path


def keras_checkpoint(path, model, entries):
    """The `Checkpoint` in a file that Keras wrote, by the names of `entries`."""
    arrays, grid, num_heads, standardization = keras_file.read(path)
    check_standardization(model, standardization, shown(path.name))
    architecture = keras_architecture({key: a.shape for key, a in arrays.items()})
    keys = {id(v): key for key, v in keras_file.variable_keys(model).items()}
    tensors, own_names = {}, {}
    for entry in entries:
        key = keys[id(entry.variable)]
        if key not in arrays:
            continue
        array = arrays.pop(key)
        if entry.name == "pos_embed" and grid is None and array.shape == entry.shape:
            grid = token_grid(model)
        shape = tuple(entry.variable.shape)
        same_axes = array.ndim == len(shape) and entry.layout.any_size
        if array.shape == shape or same_axes:
            array = entry.to_official(array)
        tensors[entry.name], own_names[entry.name] = array, key
    if "head.bias" not in own_names:  # the head of a model without one
        heads = {
            f"{head}.{name}": f"{head}/{place}"
            for head in ("head", "aux_head")
            for place, name in enumerate(("weight", "bias"))
        }
        tensors |= {
            name: arrays.pop(key) for name, key in heads.items() if key in arrays
        }
    tensors |= arrays  # what is left over keeps its own name
    return Checkpoint(tensors, own_names, architecture, grid, True, num_heads)


def check_standardization(model, expected, label):
    """Refuses a model that standardises its pixels otherwise than the file's.

    Args:
        model: a model that may have a layer `preprocessing`.
        expected: `keras_file.Contents.standardization`.

    Raises:
        ValueError: if the two differ; where one of them has none, nothing is known.
    """
    layer = next((la for la in model.layers if la.name == "preprocessing"), None)
    if not isinstance(layer, keras.layers.Normalization) or expected is None:
        return
    settings = layer.get_config()
    mean = np.ravel(settings["mean"]) / 255
    std = np.sqrt(np.ravel(settings["variance"])) / 255
    if not np.allclose([mean, std], expected, rtol=1e-5, atol=0):
        raise ValueError(
            f"{label} standardises pixels with mean and deviation "
            f"{np.round(expected, 4).tolist()}, and the model {model.name!r} with "
            f"{np.round([mean, std], 4).tolist()}"
        )
