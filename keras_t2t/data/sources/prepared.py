"""A data set that TensorFlow Datasets (TFDS) holds on disk."""

import difflib
import textwrap

from keras_t2t._ground.optional_imports import import_tensorflow_datasets
from keras_t2t.data.sources.records import RecordSplit
from keras_t2t.data.sources.share import assembled
from keras_t2t.data.sources.split_names import VALIDATION, choose_splits

tfds = import_tensorflow_datasets()

# One label, or, to evaluate only, those of ImageNet-Real.
LABEL, LABELS = "label", "real_label"


def open_source(
    name, data_dir, evaluation_only=False, validation_share=None, split=VALIDATION
):
    """A prepared data set of image classification.

    Args:
        name: TFDS's name, with an optional config and version
            (`"imagenette/160px-v2:1.0.0"`). Without a version: the newest on disk.
        data_dir: the folder in which TFDS keeps its data.
        evaluation_only: the training split may be missing, and an image may have any
            number of labels.
        validation_share: of each class's images, where there is a training split alone,
            whose labels are then read first.
        split: "validation", or "test" to evaluate on it.

    Returns:
        `Source`.

    Raises:
        ValueError: the name is unknown (the closest ones are named), the data set is
            not prepared (the command that prepares it is named), is not image
            classification, lacks a split, or is not of a format that is read.
        ImportError: TensorFlow Datasets is not installed.
    """
    builder = _open_builder(name, data_dir)
    features = builder.info.features
    label = _label_feature(name, features, evaluation_only)
    _check_prepared(name, builder, data_dir)
    names = tuple(getattr(features[label], "feature", features[label]).names)
    choice = choose_splits(
        sorted(builder.info.splits),
        f"dataset={name!r}",
        "records",
        evaluation_only,
        split,
    )
    if choice.shared is None and validation_share is not None:
        raise ValueError(
            "validation_share splits what has a training split alone, and "
            f"dataset={name!r} has others; got {validation_share}"
        )
    used = (choice.train, choice.validation or choice.shared)
    splits = {
        one: RecordSplit(builder, one, label) for one in dict.fromkeys(used) if one
    }
    if choice.shared is not None:
        splits[choice.shared].read_labels()
    return assembled(names, choice, splits, validation_share, evaluation_only)


def _open_builder(name, data_dir):
    # "*.*.*" makes TFDS prefer a version on disk to the newest one that it could build.
    version = "" if ":" in name else ":*.*.*"
    try:
        return tfds.builder(name + version, data_dir=data_dir)
    except Exception as error:  # TFDS raises what its data sets raise
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        base_name = name.partition(":")[0].partition("/")[0]
        if base_name in known:
            reason = textwrap.shorten(str(error), 400)
            raise ValueError(f"dataset={name!r} cannot be opened: {reason}") from error
        closest = difflib.get_close_matches(base_name.lower(), known, n=8)
        raise ValueError(
            f"dataset={name!r} is not known; the closest names are "
            f"{', '.join(closest) or 'none'}; accepted are digits and the names of "
            f"TensorFlow Datasets, also of those that only lie in {data_dir}"
        ) from None


def _label_feature(name, features, evaluation_only):
    """The name of the feature that tells an image's class."""
    features = dict(features)
    label, labels = features.get(LABEL), features.get(LABELS)
    if isinstance(features.get("image"), tfds.features.Image):
        if isinstance(label, tfds.features.ClassLabel) and label.num_classes:
            return LABEL
        several = isinstance(labels, tfds.features.Sequence)
        if several and isinstance(labels.feature, tfds.features.ClassLabel):
            if evaluation_only:
                return LABELS
            raise ValueError(
                f"dataset={name!r} can only be evaluated on: its images have several "
                "labels or none"
            )
    raise ValueError(
        f"dataset={name!r} is not image classification: it has the features "
        f"{sorted(features)}; needed are image (Image) and label (ClassLabel)"
    )


def _check_prepared(name, builder, data_dir):
    if builder.is_prepared():
        return
    command = (
        'python -c "import tensorflow_datasets as tfds; '
        f'tfds.builder({name!r}, data_dir={str(data_dir)!r}).download_and_prepare()"'
    )
    manual = ""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        manual = (
            f"; first download by hand into {data_dir}/downloads/manual: {instructions}"
        )
    raise ValueError(
        f"dataset={name!r} is not prepared in {data_dir}; prepare it with: "
        f"{command}{manual}"
    )
