"""The flags that the training scripts share, and what they do with them."""

import argparse
import json
import sys

from keras_t2t.training.config import CHOICES, TrainingConfig
from keras_t2t.training.run import train


def training_parser(description, backend):
    """A parser whose flags are the attributes of `TrainingConfig`.

    Args:
        description: str, the script's docstring; its first paragraph is shown.
        backend: parser with the flag `--backend`, which the script reads before Keras
            is imported.

    Returns:
        An `argparse.ArgumentParser`, whose `recipe` is the group of the recipe's flags.
    """
    parser = argparse.ArgumentParser(
        description=description.split("\n\n")[0],
        epilog="Settings that are left out have defaults per data set.",
        parents=[backend],
    )
    add = parser.add_argument
    add("--model", metavar="NAME", help="public name, such as T2TViT14")
    add("--dataset", metavar="NAME", help="digits, or a name in TensorFlow Datasets")
    add(
        "--data-dir",
        metavar="DIR",
        help="image folders train/<class>/* and val/<class>/*; with --dataset, "
        "where TensorFlow Datasets keeps its data",
    )
    add("--image-size", type=int, metavar="PIXELS", help="height and width")
    add("--seed", type=int, metavar="N")
    add("--skip-corrupt", action="store_true", help="leave unreadable images out")
    add("--preview", metavar="PNG", help="draw a training batch to this file first")

    parser.recipe = parser.add_argument_group("recipe")
    add = parser.recipe.add_argument
    add("--epochs", type=int, metavar="N", help="with the cooldown")
    add("--batch-size", type=int, metavar="N", help="images per step, on all devices")
    add("--learning-rate", type=float, metavar="RATE", help="peak, after the warmup")
    add("--final-learning-rate", type=float, metavar="RATE", help="end of the cosine")
    add("--weight-decay", type=float, metavar="RATE")
    add("--warmup-epochs", type=float, metavar="N")
    add("--cooldown-epochs", type=float, metavar="N")
    add(
        "--rate-changes",
        choices=CHOICES["rate_changes"],
        help="how often the rate changes",
    )
    add("--drop-path", type=float, metavar="RATE", help="stochastic depth")
    add("--label-smoothing", type=float, metavar="SHARE")
    add("--augmentation", choices=CHOICES["augmentation"])
    add("--mixup", type=float, metavar="ALPHA", help="0: off")
    add("--cutmix", type=float, metavar="ALPHA", help="0: off")
    add("--randaugment", action=argparse.BooleanOptionalAction)
    add("--random-erasing", type=float, metavar="PROBABILITY")
    add("--crop", type=float, metavar="SHARE", help="of validation images")
    add("--interpolation", choices=CHOICES["interpolation"], help="of the same")
    add("--normalization", choices=CHOICES["normalization"], help="of pixels")
    add("--ema-decay", type=float, metavar="DECAY", help="of averaged weights, 0: off")
    add("--clip-norm", type=float, metavar="NORM", help="of all gradients together")
    add("--gradient-accumulation", type=int, metavar="STEPS", help="per update")
    add("--mixed-precision", choices=CHOICES["mixed_precision"])
    add("--steps-per-epoch", type=int, metavar="N", help="shortens epochs, for trials")

    add = parser.add_argument_group("run folder").add_argument
    add("--output-dir", metavar="DIR", help="run folder (default: a new one in runs/)")
    add("--overwrite", action="store_true", help="replace the run in --output-dir")
    add("--resume", action="store_true", help="continue the run in --output-dir")
    add("--snapshot-every", type=int, metavar="STEPS", default=1000)
    add("--snapshots-kept", type=int, metavar="N", default=2)
    add("--wandb", metavar="PROJECT", help="log to Weights & Biases too")

    add_device_flags(parser)
    return parser


def add_device_flags(parser):
    """The flags that `keras_t2t.training.distribution.connected` reads."""
    add = parser.add_argument_group("devices").add_argument
    add("--devices", type=int, metavar="N", help="of this host (default: all)")
    add("--coordinator", metavar="HOST:PORT", help="JAX on several hosts; or auto")
    add("--num-processes", type=int, metavar="N", help="JAX on several hosts")
    add("--process-id", type=int, metavar="N", help="JAX on several hosts")
    add("--host-timeout", type=float, metavar="SECONDS", default=600)


def train_from_flags(settings):
    """Trains, and prints the result as JSON in the last line; ends the process with a
    one-line error where that fails.

    Args:
        settings: dict, attributes of a `TrainingConfig`, and `backend`.
    """
    settings.pop("backend")
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
