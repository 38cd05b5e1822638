"""The devices and processes that share a run, per backend."""

from keras_t2t.training.distribution.connecting import connected

__all__ = ["connected"]
