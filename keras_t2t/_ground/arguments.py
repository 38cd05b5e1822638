"""Checks of arguments of public functions: one error that names the argument, the value
and what is accepted."""

import contextlib
import functools
import inspect
import math
import numbers
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import TypeVar

LARGEST = 2**31 - 1
# Characters that change the direction of text: bidirectional classes, and single marks.
DIRECTION_CLASSES = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
DIRECTION_MARKS = "\u200e\u200f\u061c"


Function = TypeVar("Function", bound=Callable)


def python_numbers(function: Function) -> Function:
    """Decorator that converts NumPy's numbers in the arguments to Python's, which
    Keras, JSON and configurations need."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = python_number(value)
        return function(*bound.args, **bound.kwargs)

    return call  # type: ignore[return-value]


def python_number(value):
    """A NumPy scalar as Python's number, tuples and lists of them likewise."""
    # Not imported here: that would take most of the time of a command's --help.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(map(python_number, value))
    return value


def is_integer(value, at_least=1):
    """Whether it is an integer from `at_least` to the largest that a shape may have."""
    return (
        isinstance(value, numbers.Integral)
        and not isinstance(value, bool)
        and at_least <= value <= LARGEST
    )


def is_number(value):
    """Whether it is a finite real number."""
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and is_finite(value)
    )


def is_finite(value):
    """Whether a real number is finite as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def require(holds, argument, accepted, value, show=None):
    """Raises a ValueError that names the argument and the value unless it holds."""
    if not holds:
        got = (show or brief)(value)
        raise ValueError(f"`{argument}` must be {accepted}, got {got}")


def check_counts(**counts):
    """Raises a ValueError unless every value is an integer of at least 1."""
    for argument, value in counts.items():
        integer(argument, value)


def integer(argument, value, at_least=1):
    """`value` as Python's integer; a ValueError unless it is one and large enough."""
    value = python_number(value)
    accepted = f"an integer of at least {at_least}"
    if at_least == 1:
        accepted = "a positive integer"
    require(is_integer(value, at_least), argument, accepted, value)
    return value


def check_rates(**rates):
    """Raises a ValueError unless every value is in [0, 1)."""
    for argument, value in rates.items():
        require(is_number(value) and 0 <= value < 1, argument, "in [0, 1)", value)


def check_positive(**values):
    """Raises a ValueError unless every value is in (0, 2^31)."""
    for argument, value in values.items():
        holds = is_number(value) and 0 < value <= LARGEST
        require(holds, argument, "positive", value)


def check_share(argument, value):
    """Raises a ValueError unless the value is in (0, 1]."""
    require(is_number(value) and 0 < value <= 1, argument, "in (0, 1]", value)


def check_flags(**flags):
    """Raises a ValueError unless every value is True or False."""
    for argument, value in flags.items():
        holds = isinstance(python_number(value), bool)
        require(holds, argument, "True or False", value)


def check_choice(argument, value, accepted):
    """Raises a ValueError unless `value` is one of the names `accepted`."""
    holds = isinstance(value, str) and value in accepted
    require(holds, argument, f"one of {sorted(accepted)}", value)


def check_text(argument, value):
    """Raises a ValueError unless the value is text."""
    require(isinstance(value, str), argument, "text", value, short)


def is_unicode(text):
    """Whether text can be written as UTF-8: lone surrogates, as in JSON, cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_path(argument, value):
    """Raises a ValueError unless the value is text or a path."""
    holds = isinstance(value, (str, os.PathLike))
    require(holds, argument, "text or a path", value, short)


def check_colours(argument, value, above=None):
    """Raises a ValueError unless the value is three finite numbers, for red, green and
    blue, each greater than `above`."""
    import numpy as np

    try:
        numbers = np.asarray(value, "float64")
    except (TypeError, ValueError):
        numbers = np.full(3, np.nan)
    holds, least = numbers.shape == (3,) and np.isfinite(numbers).all(), ""
    if above is not None:
        holds, least = holds and (numbers > above).all(), f" greater than {above}"
    accepted = f"three numbers{least}, for red, green and blue"
    require(holds, argument, accepted, value, short)


def check_pair(argument, value, meaning="(height, width), at least 1 px each"):
    """Raises a ValueError unless the value is two positive integers."""
    require(is_pair(value), argument, meaning, value)


def is_pair(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(map(is_integer, value))
    )


def short(value):
    """The type and value of anything, in one short line."""
    return f"{type(value).__name__} {brief(value)}"


def brief(value):
    """The value of anything, in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) < 80 else text[:77] + "..."


def shown(text):
    """A path or a name from outside, as one line that is safe to print."""
    text = os.fsdecode(text)
    with contextlib.suppress(UnicodeEncodeError):  # lone surrogates, in no path
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return escaped(text)


def escaped(text, kept=""):
    """Text with control characters, line breaks and changes of direction escaped, but
    for the characters in `kept`."""
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in kept
        and (
            unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            or unicodedata.bidirectional(character) in DIRECTION_CLASSES
            or character in DIRECTION_MARKS
        )
        else character
        for character in text
    )


def reason(error):
    """The message of an exception, in one short line that is safe to print; with its
    type, except for a ValueError."""
    text = escaped(" ".join(str(error).split())[:200])
    return text if isinstance(error, ValueError) else f"{type(error).__name__} {text}"
