"""Measures top-1 and top-5 accuracy.

Images are resized and cropped as the weights want it. --expect compares with the
published accuracy and fails (exit code 1) where it is more than 0.1 points off; wrong
input is exit code 2. The last line on standard output is one JSON object.
"""

import argparse
import importlib.util
import json
import sys
import time

USAGE = ""
EXAMPLE = "keras-t2t evaluate --weights runs/flowers --split test"
RESUMES = False


def add_flags(parser, defaults):
    add = parser.add_argument
    add(
        "--weights",
        default="imagenet",
        help="a name of published weights, a checkpoint file or a run folder (default: "
        "imagenet)",
    )
    add("--model", metavar="NAME", help="(default: the weights'; T2TViT14 for a name)")
    add("--ema", action="store_true", help="the averaged weights of a run folder")
    add("--raw", action="store_true", help="not the averages of a torch checkpoint")
    add(
        "--dataset",
        metavar="NAME",
        help="in TensorFlow Datasets, such as imagenet2012, imagenet_v2 or "
        "imagenet2012_real (default: what the weights were trained on)",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="folder of images, as for train; with --dataset, where "
        "TensorFlow Datasets keeps its data",
    )
    add(
        "--validation-share",
        type=float,
        metavar="SHARE",
        help="where images have no splits, or only one for training, those to evaluate "
        "(default: 0.2, or the run's on its own data; 1: all)",
    )
    add(
        "--split",
        choices=("validation", "test"),
        default="validation",
        help="what validates in training (default), or the test split",
    )
    add(
        "--reader",
        choices=("tensorflow", "grain"),
        help="what decodes images (default: on a run's own data the run's, else "
        "tensorflow where it is installed)",
    )
    add("--skip-corrupt", action="store_true", help="leave unreadable images out")
    add("--image-size", type=int, metavar="PIXELS", help="(default: the weights')")
    add("--crop", type=float, metavar="SHARE", help="(default: the weights')")
    add(
        "--exif-orientation",
        action=argparse.BooleanOptionalAction,
        help="turn photographs as their EXIF data says (default: as the run did; where "
        "nothing tells, of folders of less than 1,000 classes)",
    )
    add("--batch-size", type=int, default=64, metavar="N", help="on all devices")
    add("--mixed-precision", choices=("none", "bfloat16", "float16"), default="none")
    add("--devices", type=int, metavar="N", help="of this host (default: all)")
    add("--per-class", metavar="CSV", help="write the accuracy of each class here")
    add("--expect", action="store_true", help="the published accuracy, else fail")


def main(arguments):
    """The exit code."""
    import keras

    from keras_t2t import data
    from keras_t2t._ground.arguments import shown
    from keras_t2t._ground.files import check_writable
    from keras_t2t.classifier import find_classifier
    from keras_t2t.settings.config import DTYPE_POLICIES
    from keras_t2t.training import TrainingConfig, accuracy
    from keras_t2t.training.distribution import connected
    from keras_t2t.training.run import dtype_policy

    source = find_classifier(
        arguments.weights, arguments.model, ema=arguments.ema, raw=arguments.raw
    )
    height, width = source.size
    if arguments.image_size is None and height != width:
        raise ValueError(
            f"{arguments.weights} is for {height}x{width} px, and images are evaluated "
            "as squares: give --image-size"
        )
    name, folder, share = which_data(arguments, source)
    config = TrainingConfig(
        dataset=name,
        data_dir=folder,
        image_size=arguments.image_size or height,
        batch_size=arguments.batch_size,
        crop=source.crop if arguments.crop is None else arguments.crop,
        gradient_accumulation=1,
        devices=arguments.devices,
    )
    if arguments.per_class:
        check_writable(arguments.per_class, "--per-class")
    dataset = data.open_dataset(
        name,
        folder,
        arguments.skip_corrupt,
        evaluation_only=True,
        validation_share=share,
        reader=which_reader(arguments, source),
        split=arguments.split,
        exif_orientation=which_orientation(arguments, source),
    )
    accuracy.check_classes(
        dataset, source.classes, source.class_names, arguments.weights
    )
    if arguments.expect:
        check_comparable(arguments, source, dataset)
    policy = DTYPE_POLICIES[arguments.mixed_precision]
    with dtype_policy(policy), connected(config) as devices, devices.scope():
        devices.check(config)
        model = source.build(
            input_shape=(config.image_size, config.image_size, 3),
            classifier_activation=None,
        )
        if devices.main:
            print(
                f"{source.variant} on {keras.backend.backend()}: "
                f"{dataset.num_validation:,} images of {shown(dataset.name)} at "
                f"{config.image_size} px, crop {config.crop:g}"
                f"{''.join(f'; {note}' for note in dataset.notes)}",
                flush=True,
            )
        start = time.perf_counter()
        verbose = int(devices.main and sys.stdout.isatty())
        counts = accuracy.measure(
            model,
            dataset,
            config.batch_size,
            devices,
            verbose,
            crop=config.crop,
            interpolation=source.interpolation,
        )
        seconds = time.perf_counter() - start
        if not devices.main:
            return 0
    images, top1, top5 = (int(row[-1]) for row in counts)
    if arguments.per_class:
        accuracy.write_per_class(arguments.per_class, dataset.class_names, counts)
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
    print(json.dumps(result), flush=True)
    if arguments.expect:
        percent = 100 * top1 / images, 100 * top5 / images
        if off := "; ".join(accuracy.deviations(source.published, *percent)):
            print(f"not as published: {off}", file=sys.stderr)
            return 1
    return 0


def which_data(arguments, source):
    """The name, the folder and the validation share of the data set."""
    share, run = arguments.validation_share, source.run
    if arguments.dataset or arguments.data_dir:
        return arguments.dataset, arguments.data_dir, share
    if source.published:
        return source.published.dataset, None, share
    if run:
        if share is None:
            share = run["validation_share"]
        name = run["dataset"]
        if name is None and run["data_dir"] is None and run.get("data"):
            name = run["data"]["name"]
        return name, run["data_dir"], share
    raise ValueError("say what to evaluate on: --dataset NAME or --data-dir DIR")


def which_reader(arguments, source):
    """On a run's own data that of the run, where it is installed; None for any."""
    own_data = source.run and not (arguments.dataset or arguments.data_dir)
    if arguments.reader or not own_data:
        return arguments.reader
    recorded = source.run["reader"]
    installed = recorded is not None and importlib.util.find_spec(recorded)
    return recorded if installed else None


def which_orientation(arguments, source):
    """Whether photographs are turned: as asked for, else as the run did; None: as their
    data says."""
    if arguments.exif_orientation is not None or arguments.dataset == "digits":
        return arguments.exif_orientation
    return source.exif_orientation


def check_comparable(arguments, source, dataset):
    """Raises a ValueError unless the published accuracy was measured just so."""
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
    # A folder may have any name, and is recognised by its number of images.
    same_name = arguments.dataset is None or dataset.name == published.dataset
    if not same_name or dataset.num_validation != published.images:
        raise ValueError(
            f"--expect: the published accuracy is of the {published.images:,} images "
            f"of {published.dataset}, and {dataset.name} has "
            f"{dataset.num_validation:,}"
        )
