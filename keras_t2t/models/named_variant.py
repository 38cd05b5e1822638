"""Makes the public builders of the rows of `variants.py`."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec

import keras

from keras_t2t.variants import FAMILIES, family_of

# What type checkers and editors know of the builder of a row: the arguments of the
# general one, but for the first, which are the architecture.
Rest = ParamSpec("Rest")
Named = Callable[[str], Callable[Rest, keras.Model]]


def named_t2t_vit(
    general: Callable[
        Concatenate[Any, Any, Any, Any, Any, Any, Any, Any, Rest], keras.Model
    ],
) -> Named[Rest]:
    return partial(named_variant, general)


def named_vit(
    general: Callable[
        Concatenate[Any, Any, Any, Any, Any, Any, Any, Rest], keras.Model
    ],
) -> Named[Rest]:
    return partial(named_variant, general)


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
        f"{row}\n\nArguments, outputs and errors are those of "
        f"`keras_t2t.{general.__name__}`."
    )
    return build
