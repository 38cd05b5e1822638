"""Loads any checkpoint file into a model, or describes it without one."""

import functools
import logging
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_t2t._ground.arguments import check_flags, check_pair, check_path, shown
from keras_t2t._ground.types import FilePath
from keras_t2t.checkpoints import foreign_file, keras_file
from keras_t2t.checkpoints.fitting import load_tensors
from keras_t2t.checkpoints.official import HEADS, official_entries
from keras_t2t.checkpoints.position_table import table_grid
from keras_t2t.checkpoints.registry import row_of_file
from keras_t2t.checkpoints.standardization import check_standardization
from keras_t2t.variants import VARIANTS, VIT_VARIANTS

logger = logging.getLogger(__name__)

SUFFIXES = (*keras_file.SUFFIXES, *foreign_file.SUFFIXES)
PIXELS_PER_TOKEN = 16


class Description(NamedTuple):
    """The builder's arguments for a model that fits a file's weights."""

    variant: str  # row of `VARIANTS` or `VIT_VARIANTS`
    classes: int | None  # None without a head
    grid: tuple  # (rows, columns) of the patch tokens
    size: tuple | None = None  # (height, width) of the images, if the file says

    @property
    def input_shape(self):
        """`(height, width, 3)` as in the file, else of images with this many tokens."""
        size = tuple(PIXELS_PER_TOKEN * side for side in self.grid)
        if self.size is not None and all(
            # Layers of somebody's own before the T2T-ViT may resize.
            abs(own - side) < PIXELS_PER_TOKEN
            for own, side in zip(self.size, size, strict=True)
        ):
            size = self.size
        return (*size, 3)


def load_checkpoint(
    model: keras.Model,
    path: FilePath,
    ema: bool = True,
    grid: tuple[int, int] | None = None,
) -> None:
    """Fills all weights of a T2T-ViT or ViT from a file, at any input size.

    Strict: every tensor of the file is used, and every weight of the T2T-ViT or ViT is
    set; layers of your own around it keep theirs.
    Two things may differ. The position table is resized to the model's token grid as
    the authors do (class row kept, grid bicubic). A head with another number of
    classes is not loaded: the model keeps its own, and a log line says so.

    Args:
        model: a `keras.Model` of `keras_t2t.T2TViT`, `keras_t2t.ViT` or one of their
            variants.
        path: the authors', mmpretrain's or (of a ViT) timm's checkpoint (`.pth`,
            `.pth.tar`, `.pt`, `.safetensors`), or a file that Keras wrote
            (`.weights.h5`, `.keras`). No code in a file is ever run.
        ema: bool, whether to take the averaged weights (`state_dict_ema`) of a torch
            file that has both.
        grid: `(rows, columns)` of the checkpoint's patch tokens. None: as the file
            says, as files of this package do, else square, as in all released
            checkpoints.

    Raises:
        FileNotFoundError: if `path` does not exist.
        ValueError: if the file is damaged, of an unknown kind, would run code, does
            not fit, or is for pixels that were standardised in another way than `model`
            does itself; the model is then unchanged. The error names the variant of a
            checkpoint of another variant.
        ImportError: if safetensors is needed and not installed.
    """
    check_flags(ema=ema)
    if grid is not None:
        check_pair("grid", grid, "(rows, columns), at least 1 each")
    file = CheckpointFile(path, ema)
    official_entries(model)  # raises for other models
    check_standardization(model, file.path)
    file.load(model, grid)


class CheckpointFile:
    """A checkpoint file of any format, read at most once, when it is first needed."""

    def __init__(self, path, ema=True):
        self.path, self.ema = existing_file(path), ema
        self.by_keras = self.path.name.endswith(keras_file.SUFFIXES)

    @functools.cached_property
    def contents(self):
        """The file's `Checkpoint`."""
        if self.by_keras:
            return keras_file.read(self.path)
        return foreign_file.read(self.path, self.ema)

    def description(self, variant=None):
        """The `Description` of the model that the weights belong to, called `variant`
        if that is known.

        If a file does not say its grid, it is assumed to be square; if it does not say
        its number of heads, and shapes leave more than one variant, it is assumed to be
        the first, and a log line says so.
        """
        label, contents = shown(self.path.name), self.contents
        architecture = contents.architecture
        name = "position_embedding/0" if self.by_keras else "pos_embed"
        table = contents.tensors.get(name)
        if architecture is None or np.ndim(table) != 3:
            raise ValueError(f"{label} is no checkpoint of a T2T-ViT or ViT")
        variant = variant or self._variant(label)
        grid = table_grid(table.shape[1], contents.grid, model_grid=())
        return Description(variant, contents.classes, grid, contents.size)

    def _variant(self, label):
        architecture, heads = self.contents.architecture, self.contents.num_heads
        rows, found = {**VARIANTS, **VIT_VARIANTS}, architecture.variants
        if not found:
            raise ValueError(f"{label} is {architecture}, which is no named variant")
        if heads is not None:
            found = [name for name in found if rows[name].num_heads == heads]
        if not found:
            raise ValueError(
                f"{label} has the shapes of {architecture}, but its attention has "
                f"{heads} heads, which is no named variant"
            )
        published = row_of_file(self.path)
        if published is not None and published.variant in found:
            return published.variant
        if len(found) > 1:
            logger.warning(
                "%s may be %s, which differ only in heads: taken as %s; name the model "
                "to choose",
                label,
                " or ".join(found),
                found[0],
            )
        return found[0]

    def load(self, model, grid=None):
        """Fills `model`, as `load_checkpoint` says; the file is then let go."""
        entries, checkpoint = official_entries(model), self.contents
        if self.by_keras:
            checkpoint = _from_keras(checkpoint, model, entries)
        if grid is not None:
            checkpoint = checkpoint._replace(grid=tuple(grid))
        load_tensors(model, checkpoint, self.path.name)
        del self.contents


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


def _from_keras(checkpoint, model, entries):
    """The `Checkpoint` of a file that Keras wrote, by the names of `entries`."""
    keys = {id(v): key for key, v in keras_file.variable_keys(model).items()}
    left, tensors, own_names = dict(checkpoint.tensors), {}, {}
    for entry in entries:
        key = keys[id(entry.variable)]
        if (array := left.pop(key, None)) is None:
            continue
        shape = tuple(entry.variable.shape)
        same_axes = array.ndim == len(shape) and entry.layout.any_size
        if array.shape == shape or same_axes:
            array = entry.layout.to_torch(array)
        tensors[entry.name], own_names[entry.name] = array, key
    if "head.bias" not in tensors:  # the file's heads, for a model without one
        for head in HEADS:
            for place, name in enumerate(("weight", "bias")):
                if (array := left.pop(f"{head}/{place}", None)) is not None:
                    tensors[f"{head}.{name}"] = array
    tensors |= left  # which keep their own names
    return checkpoint._replace(tensors=tensors, own_names=own_names)
