"""Checks of what is given to public functions: one error that names the argument, the
value and what is accepted."""

import functools
import inspect
import math
import numbers
import os

import numpy as np


def python_numbers(function):
    """Makes a function take NumPy's numbers as Python's own, which Keras, JSON and
    configurations need."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = python_number(value)
        return function(*bound.args, **bound.kwargs)

    return call


def python_number(value):
    """A NumPy scalar as Python's number, tuples and lists of them likewise."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(map(python_number, value))
    return value


def is_integer(value, at_least=1):
    return (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and value >= at_least
    )


def is_number(value):
    """Whether it is a finite real number."""
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def check_counts(**counts):
    """Raises a ValueError unless every value is an integer of at least 1."""
    for argument, value in counts.items():
        if not is_integer(value):
            raise ValueError(f"`{argument}` must be a positive integer, got {value!r}")


def check_rates(**rates):
    """Raises a ValueError unless every value is in [0, 1)."""
    for argument, value in rates.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ValueError(f"`{argument}` must be in [0, 1), got {value!r}")


def check_positive(**values):
    """Raises a ValueError unless every value is a finite number above 0."""
    for argument, value in values.items():
        if not is_number(value) or value <= 0:
            raise ValueError(f"`{argument}` must be positive, got {value!r}")


def check_share(argument, value):
    """Raises a ValueError unless the value is in (0, 1]."""
    if not is_number(value) or not 0 < value <= 1:
        raise ValueError(f"`{argument}` must be in (0, 1], got {value!r}")


def check_flags(**flags):
    """Raises a ValueError unless every value is True or False."""
    for argument, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"`{argument}` must be True or False, got {value!r}")


def check_choice(argument, value, accepted):
    """Raises a ValueError unless `value` is one of the names `accepted`."""
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(
            f"`{argument}` must be one of {sorted(accepted)}, got {value!r}"
        )


def check_path(argument, value):
    """Raises a ValueError unless the value is text or a path."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"`{argument}` must be text or a path, got {short(value)}")


def check_size(argument, value):
    """Raises a ValueError unless the value is (height, width) of 1 px or more."""
    if (
        not isinstance(value, (tuple, list))
        or len(value) != 2
        or not all(map(is_integer, value))
    ):
        raise ValueError(
            f"`{argument}` must be (height, width) of 1 px or more, got {value!r}"
        )


def short(value):
    """What is shown of a value of any kind: one short line."""
    text = repr(value).replace("\n", " ")
    text = text if len(text) < 80 else text[:77] + "..."
    return f"{type(value).__name__} {text}"
