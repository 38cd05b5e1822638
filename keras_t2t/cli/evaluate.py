"""Measures top-1 and top-5 accuracy.

Images are resized and cropped as the weights require. --expect compares the result
with the published accuracy, and fails with exit code 1 if it is more than 0.1 points
off; wrong input gives exit code 2. The last line on standard output is the result as
JSON.

The folder RUN/evaluation, or --output, gets per_class.csv, the confusion matrix
(confusion.csv and .png), the worst mistakes (mistakes.png) and the result
(evaluation.json). For these the images are read a second time.
"""

import contextlib
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import check_writable
from keras_t2t._ground.listing import is_litter
from keras_t2t._ground.optional_imports import is_installed
from keras_t2t._ground.run_files import CONFIG, EVALUATION, SUMMARY
from keras_t2t.cli.ending import tell
from keras_t2t.cli.evaluation_report import FILES, write_report
from keras_t2t.settings.config import DTYPE_POLICIES, TrainingConfig
from keras_t2t.settings.flag_values import classifier_weights, user_path
from keras_t2t.settings.recorded import dataset_name
from keras_t2t.settings.setting import add_flag, settings_of

USAGE = ""
EXAMPLE = "keras-t2t evaluate --weights runs/flowers --split test"


# What the settings of training mean here, and their defaults.
SHARED = {
    "model": "variant, such as T2TViT14 (default: that of the weights; T2TViT14 if "
    "--weights is a name)",
    "dataset": "data set in TensorFlow Datasets, such as imagenet2012, imagenet_v2 or "
    "imagenet2012_real (default: what the weights were trained on)",
    "data_dir": "folder of images, as for train; with --dataset, where TensorFlow "
    "Datasets keeps its data",
    "validation_share": "share of the images to evaluate, if the data has no splits "
    "or only a training split (default: the run's, else 0.2; 1: all)",
    "reader": "what decodes images (default: grain, or on a run's own data the run's)",
    "skip_corrupt": "skip unreadable images",
    "image_size": "height and width of the images that the model sees (default: that "
    "of the weights)",
    "crop": "side of the central crop, relative to the image's shorter side (default: "
    "that of the weights)",
    "exif_orientation": "turn photographs as their EXIF data says (default: as the run "
    "did; without a run, on for folders with fewer than 1,000 classes)",
    "batch_size": "images per step, over all devices (default: 64)",
    "mixed_precision": "compute in half precision (default: none)",
    "devices": "how many devices of this host to use (default: all)",
}
DEFAULTS = {"skip_corrupt": False, "batch_size": 64, "mixed_precision": "none"}


def add_flags(parser, defaults):
    add = parser.add_argument
    add(
        "--weights",
        type=classifier_weights,
        default="imagenet",
        metavar="WEIGHTS",
        help="a name of published weights, a checkpoint file, a run folder or "
        "hf://OWNER/NAME (default: imagenet)",
    )
    add("--ema", action="store_true", help="use the averaged weights of a run")
    add(
        "--raw",
        action="store_true",
        help="use the raw weights of a torch checkpoint, not their averages",
    )
    for name, _, spec in settings_of(TrainingConfig):
        if name in SHARED:
            spec = dataclasses.replace(spec, help=SHARED[name])
            add_flag(parser, name, DEFAULTS.get(name), spec)
    add(
        "--split",
        choices=("validation", "test"),
        default="validation",
        help="the images used for validation in training (default), or the test split",
    )
    add(
        "--output",
        metavar="DIR",
        help="folder for the report: accuracy per class, confusion matrix, mistakes "
        "(default: evaluation in the run folder; without a run, none)",
    )
    add(
        "--expect",
        action="store_true",
        help="compare with the published accuracy, and fail if it differs",
    )


def main(arguments):
    """The exit code."""
    import keras

    from keras_t2t.classifier import find_classifier
    from keras_t2t.training import accuracy
    from keras_t2t.training.distribution import connected
    from keras_t2t.training.run import dtype_policy

    source = find_classifier(
        arguments.weights, arguments.model, ema=arguments.ema, raw=arguments.raw
    )
    output = which_output(arguments)
    config, dataset = planned(arguments, source, output)
    transform = {"crop": config.crop, "interpolation": source.interpolation}
    policy = DTYPE_POLICIES[arguments.mixed_precision]
    with dtype_policy(policy), connected(config) as devices, devices.scope():
        devices.check(config)
        devices.check_same_images(dataset)
        model = source.build(
            input_shape=(config.image_size, config.image_size, 3),
            classifier_activation=None,
        )
        if devices.main:
            print(description(source, config, dataset), flush=True)
            if note := changed_data(arguments, source, dataset):
                print(note, flush=True)
        start = time.perf_counter()
        verbose = int(devices.main and sys.stdout.isatty())
        counts = accuracy.measure(
            model, dataset, config.batch_size, devices, verbose, **transform
        )
        seconds = time.perf_counter() - start
        if not devices.main:
            return 0
        images, top1, top5 = (int(row[-1]) for row in counts)
        result = {
            "backend": keras.backend.backend(),
            "model": source.variant,
            "weights": str(source.weights),
            "dataset": dataset.name,
            "split": arguments.split,
            "images": images,
            "top1": top1 / images,
            "top5": top5 / images,
            "images_per_second": round(dataset.num_validation / seconds, 1),
        }
        try:
            if output:
                study = model, dataset, config.batch_size
                missing = write_report(output, result, counts, *study, **transform)
                missing = f" (no pictures: {missing})" if missing else ""
                print(f"{shown(output)}{missing}")
        finally:  # the result is known, whatever happens to its report
            print(json.dumps(result), flush=True)
    if arguments.expect:
        percent = 100 * top1 / images, 100 * top5 / images
        if off := "; ".join(accuracy.deviations(source.published, *percent)):
            tell(f"not as published: {off}")
            return 1
    return 0


def description(source, config, dataset):
    """The first line: which weights, images and size."""
    import keras

    return (
        f"{source.variant} on {keras.backend.backend()}: "
        f"{dataset.num_validation:,} images of {shown(dataset.name)} at "
        f"{config.image_size} px, crop {config.crop:g}"
        f"{''.join(f'; {note}' for note in dataset.notes)}"
    )


def planned(arguments, source, output):
    """The `TrainingConfig` of what an evaluation shares with a run, and the data set,
    once flags, the report's folder, data and classes are known to be usable."""
    from keras_t2t.training import accuracy

    height, width = source.size
    if arguments.image_size is None and height != width:
        raise ValueError(
            f"{arguments.weights} is for {height}x{width} px, but images are evaluated "
            "as squares: give --image-size"
        )
    name, folder = which_data(arguments, source)
    config = TrainingConfig(
        dataset=name,
        data_dir=folder,
        image_size=arguments.image_size or height,
        batch_size=arguments.batch_size,
        crop=source.crop if arguments.crop is None else arguments.crop,
        devices=arguments.devices,
    )
    if output:
        check_report(output)
    dataset = open_data(arguments, source, name, folder)
    accuracy.check_classes(
        dataset, source.classes, source.class_names, arguments.weights
    )
    if arguments.expect:
        check_comparable(arguments, source, dataset)
    return config, dataset


def which_output(arguments):
    """The folder of the report: --output, else one in the run folder, else None."""
    if arguments.output:
        return user_path(arguments.output)
    folder = Path(arguments.weights)
    return folder / EVALUATION if (folder / CONFIG).is_file() else None


def check_report(folder):
    """Raises a ValueError if the folder cannot be written, or holds anything but a
    report: it is replaced as a whole."""
    check_writable(folder, "--output")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {str(folder)!r} is a file, not a folder")
    names = os.listdir(folder) if folder.is_dir() else ()
    names = {name for name in names if not is_litter(name)}
    if names and (SUMMARY not in names or names - set(FILES)):
        raise ValueError(
            f"--output {str(folder)!r} holds other files, which stay: give a new folder"
        )


def which_data(arguments, source):
    """The name and the folder of the data set."""
    if arguments.dataset or arguments.data_dir:
        return arguments.dataset, arguments.data_dir
    if source.published:
        return source.published.dataset, None
    run = source.run
    own = (run or {}).get("own") or {}  # custom data is nowhere to be found again
    if run and (run["dataset"] or run["data_dir"] or "dataset" not in own):
        return dataset_name(run), run["data_dir"]
    raise ValueError("say what to evaluate on: --dataset NAME or --data-dir DIR")


def open_data(arguments, source, name, folder):
    """The data set. Where it has no splits of its own, the run's share is evaluated
    unless another is asked for: the other images may have trained."""
    from keras_t2t.data.opening import HasSplits, open_dataset

    reader, turns = arguments.reader, arguments.exif_orientation
    # A run's own data is read as it was, where that reader is installed.
    if source.run and not (reader or arguments.dataset or arguments.data_dir):
        recorded = source.run["reader"]
        reader = recorded if recorded and is_installed(recorded) else None
    if turns is None and arguments.dataset != "digits":
        turns = source.exif_orientation

    def opened(share):
        return open_dataset(
            name,
            folder,
            arguments.skip_corrupt,
            evaluation_only=True,
            validation_share=share,
            reader=reader,
            split=arguments.split,
            exif_orientation=turns,
        )

    if arguments.validation_share is None and source.run and name != "digits":
        with contextlib.suppress(HasSplits):
            return opened(source.run["validation_share"])
    return opened(arguments.validation_share)


def changed_data(arguments, source, dataset):
    """A line if a run's own data has another number of images now, else None."""
    run, share = source.run or {}, dataset.validation_share
    recorded = run.get("data") or {}
    was, now = recorded.get("validation images"), dataset.num_validation
    named = arguments.dataset or arguments.data_dir or arguments.validation_share
    custom = "dataset" in (run.get("own") or {})
    if named or custom or was is None or arguments.split == "test":
        return None
    if share is not None and not run["skip_corrupt"]:  # which skips only what it reads
        was, now = was + recorded.get("training images", 0), dataset.num_shared
    if (was, run["validation_share"]) == (now, share):
        return None
    return (
        f"note: the run's data has changed: {now:,} images, where the run had {was:,}; "
        "some that are scored may have trained"
    )


def check_comparable(arguments, source, dataset):
    """Raises a ValueError unless the published accuracy was measured so too."""
    published = source.published
    if published is None:
        raise ValueError(
            f"--expect: no accuracy is published for {arguments.weights}; it compares "
            "a name of published weights, or a released file under its own name"
        )
    changed = arguments.image_size or arguments.crop is not None or arguments.raw
    if changed or arguments.exif_orientation:
        raise ValueError(
            "--expect compares the published weights at their own size: leave out "
            "--image-size, --crop, --raw and --exif-orientation"
        )
    # A folder may have any name, so its number of images must do.
    same_name = arguments.dataset is None or dataset.name == published.dataset
    if not same_name or dataset.num_validation != published.images:
        raise ValueError(
            f"--expect: the published accuracy is of the {published.images:,} images "
            f"of {published.dataset}, and {dataset.name} has "
            f"{dataset.num_validation:,}"
        )
