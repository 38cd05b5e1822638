"""The flags that the training scripts share, and what they do with them."""

import json
import sys

from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.setting import add_flags
from keras_t2t.training.distribution.cores import one_device_per_core
from keras_t2t.training.run import train


def add_training_flags(parser, weights=None):
    """Adds the settings of `TrainingConfig` as flags.

    Args:
        parser: `argparse.ArgumentParser`.
        weights: what a script that starts from weights does so by default; None for
            others.
    """
    add_flags(parser, TrainingConfig, with_weights=weights is not None)
    parser.epilog = "Settings that are left out have defaults per data set."
    parser.set_defaults(weights=weights)


def train_from_flags(settings):
    """`train` with the progress that suits standard output.

    Args:
        settings: dict, attributes of a `TrainingConfig`.

    Returns:
        What `train` returns.
    """
    one_device_per_core(settings)
    # A progress bar redraws itself; a log file gets one line per epoch.
    verbose = 1 if sys.stdout.isatty() else 2
    return train(TrainingConfig(**settings), verbose=verbose)


def print_result(result):
    """Prints what `train` gave as JSON in one line."""
    if result is not None:  # torchrun starts a script once per device
        print(json.dumps(result), flush=True)
