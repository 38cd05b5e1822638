"""Weights from files and by name, and back into the authors' format."""

from keras_t2t.checkpoints.builder_weights import load_weights, standardization
from keras_t2t.checkpoints.describe import describe
from keras_t2t.checkpoints.loading import load_checkpoint
from keras_t2t.checkpoints.registry import PUBLISHED, published_weights
from keras_t2t.checkpoints.saving import save_official

__all__ = [
    "PUBLISHED",
    "describe",
    "load_checkpoint",
    "load_weights",
    "published_weights",
    "save_official",
    "standardization",
]
