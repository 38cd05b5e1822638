"""The flags that `train` and `finetune` share, and what they do with them."""

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import types
from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.run_files import CONFIG, SNAPSHOTS
from keras_t2t.checkpoints.registry import NAMES
from keras_t2t.cli.ending import add_stop_timeout
from keras_t2t.settings.config import GROUPS, TrainingConfig, shrunk
from keras_t2t.settings.flag_values import start_weights
from keras_t2t.settings.recipes import LORA
from keras_t2t.settings.recorded import repeated_settings, same_images
from keras_t2t.settings.setting import add_flags


def place(weights):
    """The same for all ways to write a path."""
    return os.path.abspath(str(weights))


# A setting, what of its value counts, and those that a run's record has because of it.
DERIVED = (
    ("augmentation", str, ("mixup", "cutmix", "randaugment", "random_erasing")),
    ("weights", place, ("normalization", "fresh_head")),
    ("weights", bool, ("layer_decay",)),
    ("linear_probe", bool, ("linear_probe", "drop_path")),
    ("lora", bool, tuple(LORA)),
)
# The data of a run, and what is recorded because of it.
OF_DATA = ("dataset", "data_dir", "validation_share", "exif_orientation", "fresh_head")


def add_training_flags(parser, weights=None, recipe=None, dataset=None):
    """Adds the settings of `TrainingConfig` as flags; returns the group of the
    devices'.

    Args:
        weights: the default of a command that starts from weights, else None.
        recipe: the command's default; None: the authors'.
        dataset: the data set if the command line names no data.
    """
    words = early_words()
    config = words.pop("config", None)
    if config and "recipe" in words:
        raise ValueError("--config and --recipe exclude each other; give one")
    starts = weights is not None
    repeated = adapted(read_config(config), words) if config else {}
    if config and weights is None and repeated.pop("weights", None):
        raise ValueError(
            f"--config {shown(config)} is of a run that started from weights: "
            "finetune --config repeats it"
        )
    if config:  # what that run did without, this one does without too
        weights, recipe = repeated.pop("weights", None), repeated.get("recipe")
        dataset = None
    images = {name: repeated.pop(name, None) for name in OF_DATA}
    images["dataset"] = images["dataset"] or dataset
    asked = {"weights": weights, "recipe": recipe, **words}
    filled = types.SimpleNamespace(**repeated) if repeated else with_recipe(asked)
    groups = add_flags(parser, TrainingConfig, starts, filled, GROUPS)
    groups["run"].add_argument(
        "--config",
        metavar="RUN",
        help="folder of a run, or its config.json: use its settings in place of a "
        "recipe's, except for those given here and what follows from them",
    )
    add_stop_timeout(groups["run"])
    parser.epilog = (
        "These are the defaults of this recipe for a folder of images. To see those\n"
        "for ImageNet or the digits, add --dataset imagenet2012 or --dataset digits.\n"
        f"\n{parser.epilog}"
    )
    parser.set_defaults(**{"weights": weights, "recipe": recipe, **repeated})
    parser.set_defaults(images=images)
    return groups["devices"]


def read_config(path):
    """The settings of another run, from the file that `--config` names."""
    path = Path(os.path.expanduser(path))
    if path.is_dir():
        path = path / CONFIG
    try:
        return repeated_settings(path)
    except OSError as error:
        raise ValueError(
            f"--config must be a run's config.json, got {shown(path)!r}: "
            f"{error.strerror}"
        ) from None


def adapted(repeated, words):
    """The settings of another run, where the command line has some of its own: without
    what was derived from the others, or scaled, as a recipe's are."""
    if words.get("lora"):
        words = {"linear_probe": False, **words}
    for name, of_value, derived in DERIVED:
        if name in words and of_value(words[name]) != of_value(repeated.get(name)):
            repeated = {k: v for k, v in repeated.items() if k not in derived}
    weights = words.get("weights")
    of_hub = (weights or "").startswith("hf://")
    if weights not in (None, *NAMES) and (of_hub or os.path.isdir(weights)):
        for name in ("model", "image_size"):  # that run has its own
            repeated.pop(name, None)
    rate_changes = words.get("rate_changes", repeated.get("rate_changes"))
    shorter = 0 < words.get("epochs", 0) < repeated["epochs"]
    if shorter or "rate_changes" in words:
        epochs = words["epochs"] if shorter else repeated["epochs"]
        repeated |= shrunk(repeated, epochs, rate_changes)
    for name in ("batch_size", "gradient_accumulation"):
        if words.get(name, 0) > 0 and {name, "learning_rate"} <= repeated.keys():
            repeated["learning_rate"] *= words[name] / repeated[name]
    return repeated


def early_words():
    """The flags given that decide the defaults of others, by name. Errors are left to
    the real parser."""
    # No two begin alike: what it takes for one of them is so, or an error, in the real
    # parser, which takes a flag cut short too.
    early = argparse.ArgumentParser(
        add_help=False, exit_on_error=False, argument_default=argparse.SUPPRESS
    )
    early.add_argument("--weights", type=start_weights)
    for name in "config recipe dataset model augmentation rate-changes".split():
        early.add_argument(f"--{name}")
    for name in ("epochs", "batch-size", "gradient-accumulation"):
        early.add_argument(f"--{name}", type=float)
    early.add_argument("--lora", type=int)
    early.add_argument("--linear-probe", action=argparse.BooleanOptionalAction)
    try:
        return vars(early.parse_known_args()[0])
    except argparse.ArgumentError:
        return {}


def with_recipe(asked):
    """A configuration with the values of the recipe that is asked for; None if there
    is no such recipe."""
    dataset = asked.get("dataset", "")
    classes = 1000 if dataset == "imagenet2012" else 2
    with contextlib.suppress(ValueError):
        config = TrainingConfig(
            recipe=asked["recipe"], weights=asked["weights"], model=asked.get("model")
        )
        filled = config.with_defaults(dataset, classes)
        if asked["weights"] is None:
            return filled
        return dataclasses.replace(filled, model=None, image_size=None)  # the weights'


def train_from_flags(settings):
    """Calls `train` with the flags' values and the data set, and with a progress bar
    only if standard output is a terminal."""
    del settings["config"]
    images = settings.pop("images")
    named = settings["dataset"] or settings["data_dir"]
    if (not named or same_images(settings, images)) and not goes_on(settings):
        given = {name: settings.get(name) for name in OF_DATA}  # train has not all
        given = {name: value for name, value in given.items() if value is not None}
        settings |= {**images, **given}
    # Help needs neither this nor Keras.
    from keras_t2t.training.run import train

    # A progress bar redraws itself; a log file gets one line per epoch.
    verbose = 1 if sys.stdout.isatty() else 2
    return train(TrainingConfig(**settings), verbose=verbose)


def goes_on(settings):
    """Whether `--resume` finds a run in the output folder, which has its own data."""
    if not settings["resume"] or settings["output_dir"] is None:
        return False
    folder = Path(os.path.expanduser(settings["output_dir"]))
    return (folder / CONFIG).exists() or any((folder / SNAPSHOTS).glob("step-*.npz"))


def print_result(result):
    """Prints the result of `train` as JSON in one line."""
    if result is not None:  # torchrun starts a script once per device
        print(json.dumps(result), flush=True)
