"""Description of a checkpoint file, without a model to load it into."""

from typing import NamedTuple

import numpy as np

from keras_t2t.arguments import shown
from keras_t2t.checkpoints import foreign_file, keras_file
from keras_t2t.checkpoints.architecture import keras_architecture
from keras_t2t.checkpoints.loading import existing_file
from keras_t2t.checkpoints.position_table import table_grid
from keras_t2t.types import FilePath

PIXELS_PER_TOKEN = 16


class Description(NamedTuple):
    """What must be asked of a builder to hold a file's weights."""

    variant: str  # row of `VARIANTS` or `VIT_VARIANTS`
    classes: int | None  # None without a head
    grid: tuple  # (rows, columns) of the patch tokens

    @property
    def input_shape(self):
        """`(height, width, 3)` of images with this many tokens."""
        return (*(PIXELS_PER_TOKEN * side for side in self.grid), 3)


def describe(path: FilePath) -> Description:
    """Reads the variant, class count and token grid off a checkpoint.

    Args:
        path: any file that `keras_t2t.load_checkpoint` reads.

    Returns:
        A `Description`. Where a file does not tell its grid, it is taken for square.

    Raises:
        FileNotFoundError: if `path` does not exist.
        ValueError: if it cannot be read, or is of no variant.
        ImportError: if safetensors is needed and not installed.
    """
    path = existing_file(path)
    if path.name.endswith(keras_file.SUFFIXES):
        arrays, grid, *_ = keras_file.read(path)
        architecture = keras_architecture({key: a.shape for key, a in arrays.items()})
        table, bias = arrays.get("position_embedding/0"), arrays.get("head/1")
    else:
        checkpoint = foreign_file.read(path)
        architecture, grid = checkpoint.architecture, checkpoint.grid
        table, bias = (checkpoint.tensors.get(n) for n in ("pos_embed", "head.bias"))
    if architecture is None or np.ndim(table) != 3 or np.ndim(bias) > 1:
        raise ValueError(f"{shown(path.name)} is no checkpoint of a T2T-ViT or ViT")
    if not architecture.variants:
        raise ValueError(
            f"{shown(path.name)} is {architecture}, which is no named variant"
        )
    grid = table_grid(table.shape[1], grid, model_grid=())
    classes = np.shape(bias)[0] if np.ndim(bias) else None
    return Description(architecture.variants[0], classes, grid)


def head_classes(path):
    """Number of classes of the head in a file of any model, None without one.

    Args, Raises: as for `describe`; the model need not be a variant.
    """
    path = existing_file(path)
    if path.name.endswith(keras_file.SUFFIXES):
        arrays = keras_file.read(path).arrays
        # The second is Keras's ResNet50's.
        bias = arrays.get("head/1", arrays.get("predictions/1"))
    else:
        bias = foreign_file.read(path).tensors.get("head.bias")
    return np.shape(bias)[0] if np.ndim(bias) == 1 else None
