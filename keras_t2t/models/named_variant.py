"""Makes the public builder of one row of `variants.py`.

Editors and type checkers read its signature from the protocols, which
`tests/models/test_signatures.py` compares with the real one.
"""

import inspect
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
from keras_t2t.variants import FAMILIES, family_of


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


def named_variant(general, public_name):
    """The function `public_name`: `general`, a builder such as `T2TViT`, with the
    architecture of that row."""
    row = FAMILIES[family_of(public_name)][public_name]
    signature = inspect.signature(general)
    signature = signature.replace(
        parameters=[
            parameter.replace(default=row.default_name)
            if parameter.name == "name"
            else parameter
            for parameter in signature.parameters.values()
            if parameter.name not in row.architecture
        ]
    )

    def build(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs)
        arguments.apply_defaults()
        return general(**row.architecture, **arguments.arguments)

    build.__name__ = build.__qualname__ = public_name
    build.__module__ = general.__module__
    build.__signature__ = signature
    build.__doc__ = (
        f"{row.summary}\n\nArguments, outputs and errors are those of "
        f"`keras_t2t.{general.__name__}`."
    )
    return build
