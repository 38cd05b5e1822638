"""A setting: a field of a configuration that is declared once, with its range,
its flag, and whether a resumed run may change it."""

import argparse
import dataclasses
import math
import numbers
import os
import re
import typing
from collections.abc import Callable

from keras_t2t._ground.arguments import brief, is_finite, python_number

# The types accepted for each kind, and in words; only bool accepts True and False.
ACCEPTED = {
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    bool: (bool, "True or False"),
    str: ((str, os.PathLike), "text or a path"),
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """The description of one setting, beside its name and default."""

    help: str  # for `--help` and the docstring
    group: str  # title in `--help`
    metavar: str | None = None  # name of its value in `--help`
    at_least: float = -math.inf
    greater_than: float = -math.inf
    less_than: float = math.inf
    at_most: float = math.inf
    choices: tuple | None = None  # the accepted values
    pattern: tuple[str, str] | None = None  # what text must match, and a description
    free: bool = False  # whether a resumed run may have another value
    with_weights: bool = False  # whether only starting from weights has its flag
    flag: str | None = None  # where that is not its name
    parse: Callable | None = None  # from the flag's text, where `kind` does not do it
    kind: type = str  # of all values but None: int, float, bool or str

    def checked(self, name, value):
        """`value` as Python's own type, if the setting accepts it."""
        if not self.accepts(value):
            raise ValueError(f"{name} must be {self.accepted()}, got {brief(value)}")
        return os.fspath(value) if self.kind is str else self.kind(value)

    def accepts(self, value):
        value = python_number(value)
        if not isinstance(value, ACCEPTED[self.kind][0]):
            return False
        if self.choices is not None:
            return value in self.choices
        if self.pattern is not None:
            return re.fullmatch(self.pattern[0], os.fspath(value)) is not None
        if self.kind in (int, float):
            return (
                not isinstance(value, bool)
                and is_finite(value)
                and self.at_least <= value <= self.at_most
                and self.greater_than < value < self.less_than
            )
        return True

    def accepted(self):
        """What `accepts` accepts, in words."""
        if self.choices is not None:
            return f"one of {', '.join(self.choices)}"
        if self.pattern is not None:
            return self.pattern[1]
        limits = " and ".join(
            f"{name.replace('_', ' ')} {getattr(self, name)}"
            for name in ("at_least", "greater_than", "less_than", "at_most")
            if math.isfinite(getattr(self, name))
        )
        if self.kind is float and limits:
            return limits
        return f"{ACCEPTED[self.kind][1]} {limits}".rstrip()


def setting(help, metavar=None, default=None, *, group, **attributes):
    """A field of a dataclass that is a setting; see `Setting`."""
    spec = Setting(help, group, metavar, **attributes)
    return dataclasses.field(default=default, metadata={"setting": spec})


def settings_of(config):
    """`(name, default, Setting)` of each field of a configuration or its class."""
    for field in dataclasses.fields(config):
        kind = (typing.get_args(field.type) or (field.type,))[0]
        spec = dataclasses.replace(field.metadata["setting"], kind=kind)
        yield field.name, field.default, spec


def documented(config):
    """Adds each setting's help to the docstring of a configuration's class."""
    rows = []
    for name, _, spec in settings_of(config):
        text = spec.help.replace(" (default: %(default)s)", "")
        if spec.kind in (int, float):
            text += f"; {spec.accepted()}"
        rows.append(f"        {name}: {text}.")
    head, raises, rest = config.__doc__.partition("    Raises:")
    attributes = "\n".join(["    Attributes:", *rows])
    config.__doc__ = f"{head}{attributes}\n\n{raises}{rest}"
    return config


def check_settings(config):
    """Checks all settings, and makes their values Python's own."""
    for name, default, spec in settings_of(config):
        value = getattr(config, name)
        if value is not None or default is not None:
            # The configuration is frozen.
            object.__setattr__(config, name, spec.checked(name, value))


def add_flags(parser, config, with_weights, filled_in, titles):
    """Adds a flag for each setting of a configuration's class to a parser, in groups of
    these titles, which are returned; `with_weights` those too that need weights. For
    settings without a default `--help` shows the values of `filled_in`, if given."""
    groups = {title: parser.add_argument_group(title) for title in titles}
    for name, default, spec in settings_of(config):
        if spec.with_weights and not with_weights:
            continue
        value = getattr(filled_in, name, None) if default is None else default
        add_flag(groups[spec.group], name, default, spec, value)
    return groups


def add_flag(group, name, default, spec, value=None):
    """Adds a setting's flag to a group or parser; `--help` shows the value."""
    text = spec.help
    if value is not None and value is not False and "(default:" not in text:
        value = f"{value:g}" if spec.kind is float else value
        text += f" (default: {value})"
    options = {"help": text, "default": default}
    if spec.choices is not None:
        options["choices"] = spec.choices
    elif spec.kind is not bool:
        options.update(type=spec.parse or spec.kind, metavar=spec.metavar)
    elif default is False:
        options["action"] = "store_true"
    else:
        options["action"] = argparse.BooleanOptionalAction
    flag = spec.flag or f"--{name.replace('_', '-')}"
    group.add_argument(flag, dest=name, **options)
