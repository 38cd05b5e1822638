"""Weights from files."""

from keras_t2t.checkpoints.loading import load_weights

__all__ = ["load_weights"]
