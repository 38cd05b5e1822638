"""Signatures of the named builders, for editors and type checkers.

`tests/models/test_signatures.py` compares them with the builders' real signatures.
"""

from typing import Protocol

import keras

from keras_t2t._ground.types import (
    Activation,
    Features,
    Pooling,
    Shape,
    Tensor,
    Weights,
)


class NamedViT(Protocol):
    """A builder such as `keras_t2t.ViTB16`; arguments as for `keras_t2t.ViT`."""

    def __call__(
        self,
        include_top: bool = True,
        include_preprocessing: bool = False,
        weights: Weights = None,
        input_tensor: Tensor = None,
        input_shape: Shape = None,
        pooling: Pooling = None,
        classes: int = 1000,
        classifier_activation: Activation = "softmax",
        name: str = ...,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        remat: bool = False,
        features: Features = None,
    ) -> keras.Model: ...


class NamedT2TViT(Protocol):
    """A builder such as `keras_t2t.T2TViT14`; arguments as for `keras_t2t.T2TViT`."""

    def __call__(
        self,
        include_top: bool = True,
        include_preprocessing: bool = False,
        weights: Weights = None,
        input_tensor: Tensor = None,
        input_shape: Shape = None,
        pooling: Pooling = None,
        classes: int = 1000,
        classifier_activation: Activation = "softmax",
        name: str = ...,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        remat: bool = False,
        token_dropout: float | None = None,
        fused_soft_split: bool = True,
        features: Features = None,
    ) -> keras.Model: ...
