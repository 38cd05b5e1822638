"""The flags that `train` and `finetune` share, and what they do with them."""

import argparse
import contextlib
import dataclasses
import json
import sys

from keras_t2t.cli.ending import add_stop_timeout
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.setting import add_flags


def add_training_flags(parser, weights=None, recipe=None):
    """Adds the settings of `TrainingConfig` as flags.

    Args:
        parser: `argparse.ArgumentParser`.
        weights: what a command that starts from weights does so by default; None for
            others.
        recipe: that of the command; None for the authors'.

    Returns:
        The group of the flags of devices.
    """
    filled_in = with_recipe(recipe, weights)
    groups = add_flags(parser, TrainingConfig, weights is not None, filled_in)
    add_stop_timeout(groups["run"])
    parser.epilog = (
        "The defaults are those of the recipe for a folder of photographs; ImageNet "
        f"and the digits have their own (docs/training.md).\n\n{parser.epilog}"
    )
    parser.set_defaults(weights=weights, recipe=recipe)
    return groups["devices"]


def with_recipe(recipe, weights):
    """A configuration with the values of the recipe that the command line names."""
    early = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    early.add_argument("--recipe", default=recipe)
    # What is wrong is told by the real parser.
    with contextlib.suppress(ValueError, argparse.ArgumentError):
        chosen = early.parse_known_args()[0].recipe
        filled = TrainingConfig(recipe=chosen, weights=weights).with_defaults("", 2)
        if weights is None:
            return filled
        return dataclasses.replace(filled, model=None, image_size=None)  # the weights'


def train_from_flags(settings):
    """`train` with the progress that suits standard output.

    Args:
        settings: dict, attributes of a `TrainingConfig`.

    Returns:
        What `train` returns.
    """
    # Help needs neither, nor Keras.
    from keras_t2t.training.distribution.cores import one_device_per_core
    from keras_t2t.training.run import train

    one_device_per_core(settings)
    # A progress bar redraws itself; a log file gets one line per epoch.
    verbose = 1 if sys.stdout.isatty() else 2
    return train(TrainingConfig(**settings), verbose=verbose)


def print_result(result):
    """Prints what `train` gave as JSON in one line."""
    if result is not None:  # torchrun starts a script once per device
        print(json.dumps(result), flush=True)
