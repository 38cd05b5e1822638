"""The flags that the training scripts share, and what they do with them."""

import argparse
import json
import sys

from keras_t2t.training.config import TrainingConfig
from keras_t2t.training.distribution.cores import one_device_per_core
from keras_t2t.training.run import train
from keras_t2t.training.settings import add_flags


def training_parser(description, backend, weights=None):
    """A parser whose flags are the settings of `TrainingConfig`.

    Args:
        description: str, the script's docstring; its first paragraph is shown.
        backend: parser with the flag `--backend`, which the script reads before Keras
            is imported.
        weights: what a script that starts from weights does so by default; None for
            others.
    """
    parser = argparse.ArgumentParser(
        description=description.split("\n\n")[0],
        epilog="Settings that are left out have defaults per data set.",
        parents=[backend],
    )
    add_flags(parser, TrainingConfig, with_weights=weights is not None)
    parser.set_defaults(weights=weights)
    return parser


def train_from_flags(settings):
    """Trains, and prints the result as JSON in the last line; ends the process with a
    one-line error where that fails.

    Args:
        settings: dict, attributes of a `TrainingConfig`, and `backend`.
    """
    settings.pop("backend")
    one_device_per_core(settings)
    try:
        # A progress bar redraws itself; a log file gets one line per epoch.
        verbose = 1 if sys.stdout.isatty() else 2
        result = train(TrainingConfig(**settings), verbose=verbose)
    except (ImportError, ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    if result is not None:  # torchrun starts this once per device
        print(json.dumps(result), flush=True)
