"""The data set that an invocation means, and the place it is read from."""

import contextlib
import os
from pathlib import Path
from typing import Any

from keras_t2t._ground.arguments import (
    check_choice,
    check_flags,
    check_path,
    check_share,
    short,
)
from keras_t2t._ground.types import FilePath
from keras_t2t.data.dataset import Dataset
from keras_t2t.data.encoded_dataset import EncodedDataset
from keras_t2t.data.readers import READERS
from keras_t2t.data.sources.source import TEST, VALIDATION, Wanted


class HasSplits(ValueError):
    """A share was asked for validation, but the data set has splits of its own."""


def open_dataset(
    dataset: str | None = None,
    data_dir: FilePath | None = None,
    skip_corrupt: bool = False,
    evaluation_only: bool = False,
    validation_share: float | None = None,
    reader: str | None = None,
    split: str = "validation",
    exif_orientation: bool | None = None,
) -> Dataset:
    """Open a data set for training and validation.

    Args:
        dataset: `"digits"` (scikit-learn's handwritten digits, in its package) or the
            name of a prepared image-classification data set of TensorFlow Datasets
            (`"imagenet2012"`, `"cifar10"`, `"imagenette/160px-v2"`). With neither
            `dataset` nor `data_dir`: imagenet2012 if it is prepared, else digits.
        data_dir: alone, a folder of images in one of these layouts, which its contents
            show: `train/<class>/*` with `val/` or `test/<class>/*`, also under other
            usual names; `<class>/*`; parquet files (`train-00000-of-00294.parquet`)
            or tars (`imagenet1k-train-0000.tar`) as hubs keep them; image-net.org's two
            tars with the development kit; what Kaggle's archive of ImageNet holds. With
            `dataset`, the folder in which TensorFlow Datasets keeps its data (default:
            `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`).
        skip_corrupt: with `data_dir` alone: decode every image once now, and skip those
            that cannot be decoded, instead of failing later.
        evaluation_only: whether only `validation_batches` is needed. Training images
            are then not required, listed or counted, and an image may have several
            labels or none, as in `"imagenet2012_real"`.
        validation_share: if there are no splits (`<class>/*`), or only a training
            split, the share of each class's images used for validation, chosen by the
            images' names; a fifth by default. 1 is for evaluation only.
        reader: what decodes and augments images: `"grain"`, the default, with Pillow,
            or `"tensorflow"`, tf.data with KerasCV, for hosts with many cores. Both use
            the same random draws, and differ in arithmetic. The digits need neither.
        split: with `evaluation_only`, what `validation_batches` gives: `"validation"`,
            the images used for validation in training (the validation split, else the
            test split, else a share of training), or `"test"`.
        exif_orientation: whether images are turned as their EXIF data says, where
            cameras note which side is up. By default your own photographs are turned
            (`data_dir` alone, fewer than 1,000 classes); ImageNet and the data sets of
            TensorFlow Datasets are not, as in the measurements of their published
            accuracies. The digits have no EXIF data.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: the data set is unknown, not prepared or not for image
            classification, or the folder has none of the layouts, or several, or files
            that cannot be read.
        ImportError: a library that the data set needs is not installed.
    """
    _check_arguments(
        dataset, evaluation_only, validation_share, split, exif_orientation
    )
    reader = READERS[0] if reader is None else reader
    check_choice("reader", reader, READERS)
    settings: dict[str, Any] = {
        "evaluation_only": evaluation_only,
        "validation_share": validation_share,
        "split": split,
    }
    if dataset is None and data_dir is not None:
        from keras_t2t.data.sources.layouts import find_source

        check_path("data_dir", data_dir)
        folder = os.path.expanduser(data_dir)
        if not os.path.isdir(folder):
            raise ValueError(f"data_dir={folder!r:.80} is not an existing folder")
        name, place = Path(folder).resolve().name, f"data_dir={folder!r}"
        source = find_source(Path(folder), skip_corrupt=skip_corrupt, **settings)
    else:
        if dataset is None:
            dataset = "imagenet2012" if is_prepared("imagenet2012") else "digits"
        name, place = dataset, f"dataset={dataset!r}"
        if skip_corrupt:
            raise ValueError(
                "skip_corrupt=True works on an image folder (data_dir without "
                f"dataset); got {place}"
            )
        if dataset == "digits":
            from keras_t2t.data.digits import Digits

            _check_digits(
                data_dir=data_dir,
                validation_share=validation_share,
                split=None if split == VALIDATION else split,
                exif_orientation=exif_orientation,
            )
            return Digits()
        from keras_t2t.data.sources import prepared

        wanted = Wanted(_tfds_folder(data_dir), place, **settings)
        source = prepared.open_source(dataset, wanted)
        exif_orientation = bool(exif_orientation)
    if validation_share is not None and source.validation_share is None:
        raise HasSplits(
            f"validation_share splits a training split that is alone, and {place} has "
            f"splits of its own; got {validation_share}"
        )
    return EncodedDataset(
        name, place, source, reader, skip_corrupt, exif_orientation, dataset
    )


def _check_arguments(
    dataset, evaluation_only, validation_share, split, exif_orientation
):
    if not isinstance(dataset, (str, type(None))):
        raise ValueError(f"`dataset` must be a name, got {short(dataset)}")
    check_choice("split", split, (VALIDATION, TEST))
    if split != VALIDATION and not evaluation_only:
        raise ValueError(f"split={split!r} is for evaluation only")
    if exif_orientation is not None:
        check_flags(exif_orientation=exif_orientation)
    if validation_share is not None:
        check_share("validation_share", validation_share)
        if validation_share == 1 and not evaluation_only:
            raise ValueError(
                "validation_share must leave images to train on, got 1, which is for "
                "evaluation only"
            )


def _check_digits(**asked):
    for argument, value in asked.items():
        if value not in (None, False):
            raise ValueError(
                "dataset='digits' lies inside scikit-learn: it is read from no folder, "
                "and has fixed splits, none for test, and no EXIF data; got "
                f"{argument}={value!r}"
            )


@contextlib.contextmanager
def naming_unreadable(dataset):
    """While batches are read: an error that unreadable images cause becomes a
    ValueError that names them."""
    try:
        yield
    except BaseException as error:
        if explanation := dataset.diagnose(error):
            raise explanation from None
        raise


def is_prepared(dataset: str, data_dir: FilePath | None = None) -> bool:
    """Whether TensorFlow Datasets holds `dataset`, in any version, ready to read.

    Looks at file names only; loads nothing.
    """
    folder = Path(_tfds_folder(data_dir)) / dataset
    # <version>/ or <config>/<version>/; an unfinished one is named incomplete.*.
    patterns = ("[0-9]*.*.*/dataset_info.json", "*/[0-9]*.*.*/dataset_info.json")
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _tfds_folder(data_dir):
    folder = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return os.path.expanduser(folder)
