"""Weights from files and by name, and saving in the authors' format."""

from keras_t2t.checkpoints.foreign_file import save_official
from keras_t2t.checkpoints.loading import CheckpointFile, load_checkpoint
from keras_t2t.checkpoints.published_file import load_weights, standardization
from keras_t2t.checkpoints.registry import PUBLISHED, published_weights

__all__ = [
    "PUBLISHED",
    "CheckpointFile",
    "load_checkpoint",
    "load_weights",
    "published_weights",
    "save_official",
    "standardization",
]
