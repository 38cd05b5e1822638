"""Weights from files and by name, and saving in the authors' format."""

from keras_t2t.checkpoints.adapters import add_adapters, load_adapters, save_adapters
from keras_t2t.checkpoints.foreign_file import save_official
from keras_t2t.checkpoints.loading import CheckpointFile, load_checkpoint
from keras_t2t.checkpoints.published_file import Pretrained
from keras_t2t.checkpoints.registry import PUBLISHED, published_weights

__all__ = [
    "PUBLISHED",
    "CheckpointFile",
    "Pretrained",
    "add_adapters",
    "load_adapters",
    "load_checkpoint",
    "published_weights",
    "save_adapters",
    "save_official",
]
