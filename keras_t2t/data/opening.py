"""The data set that an invocation means, and the place it is read from."""

import contextlib
import os
from pathlib import Path

from keras_t2t._ground.arguments import (
    brief,
    check_choice,
    check_flags,
    check_path,
    is_number,
    short,
)
from keras_t2t._ground.types import FilePath
from keras_t2t.data.dataset import Dataset
from keras_t2t.data.encoded_dataset import EncodedDataset
from keras_t2t.data.readers import find_reader
from keras_t2t.data.sources.split_names import EVALUATED, VALIDATION


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
        data_dir: alone, a folder of images in one of these layouts, told by what lies
            in it: `train/<class>/*` with `val/` or `test/<class>/*`, also under other
            names of splits; `<class>/*`; parquet files (`train-00000-of-00294.parquet`)
            or tars (`imagenet1k-train-0000.tar`) as hubs keep them; image-net.org's two
            tars with the development kit; what Kaggle's archive of ImageNet holds. With
            `dataset`, the folder in which TensorFlow Datasets keeps its data (default:
            `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`).
        skip_corrupt: with `data_dir` alone: decode every image once now, and leave out
            those that cannot be decoded, instead of failing when one is met.
        evaluation_only: only `validation_batches` is needed: no training images are
            asked for, listed or counted, and an image may have several labels or none,
            as in `"imagenet2012_real"`.
        validation_share: where there are no splits (`<class>/*`), or only one for
            training, the share of each class's images that validates, always the same
            ones; by default a fifth. 1 is for evaluation only.
        reader: what decodes and augments images: `"grain"`, the default, with Pillow,
            or `"tensorflow"`, tf.data with KerasCV, for hosts of many cores. Both draw
            the same, and differ in arithmetic. The digits need neither.
        split: with `evaluation_only`, what `validation_batches` gives: `"validation"`,
            what validates in training (validation, else test, else a share of
            training), or `"test"`.
        exif_orientation: whether images are turned as their EXIF data says, which
            cameras leave to whoever shows a photograph. By default photographs of one's
            own are (`data_dir` alone, less than 1,000 classes), and ImageNet and the
            data sets of TensorFlow Datasets are not, as where their published
            accuracies were measured. The digits have no EXIF data.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: unknown or unprepared data set, a data set that is not image
            classification, or a folder that has none of the layouts, or several, or
            whose files cannot be read.
        ImportError: a library that the data set needs is not installed.
    """
    if not isinstance(dataset, (str, type(None))):
        raise ValueError(f"`dataset` must be a name, got {short(dataset)}")
    check_choice("split", split, EVALUATED)
    if split != VALIDATION and not evaluation_only:
        raise ValueError(f"split={split!r} is for evaluation only")
    reader = find_reader(reader)
    if exif_orientation is not None:
        check_flags(exif_orientation=exif_orientation)
    if validation_share is not None:
        _check_share(validation_share)
    if dataset is None and data_dir is not None:
        return _open_folder(
            data_dir,
            reader,
            skip_corrupt,
            evaluation_only,
            validation_share,
            split,
            exif_orientation,
        )
    if skip_corrupt:
        raise ValueError(
            f"skip_corrupt=True works on an image folder (data_dir without dataset); "
            f"got dataset={dataset!r}"
        )
    if dataset is None:
        dataset = "imagenet2012" if is_prepared("imagenet2012") else "digits"
    if dataset == "digits":
        if data_dir is not None:
            raise ValueError(
                "dataset='digits' lies inside scikit-learn and is read from no folder; "
                f"got data_dir={str(data_dir)!r}"
            )
        if validation_share is not None:
            raise ValueError(
                "validation_share splits what has a training split alone, and "
                f"dataset='digits' has others; got {validation_share}"
            )
        if split != VALIDATION:
            raise ValueError(f"dataset='digits' has no test split; got split={split!r}")
        if exif_orientation:
            raise ValueError(
                "dataset='digits' has no EXIF data; got exif_orientation=True"
            )
        from keras_t2t.data.digits import Digits

        return Digits()
    from keras_t2t.data.sources import prepared

    folder = _tfds_folder(data_dir)
    source = prepared.open_source(
        dataset, folder, evaluation_only, validation_share, split
    )
    return EncodedDataset(
        dataset,
        f"dataset={dataset!r}",
        source,
        reader,
        exif_orientation=bool(exif_orientation),
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


def _open_folder(
    data_dir,
    reader,
    skip_corrupt,
    evaluation_only,
    validation_share,
    split,
    exif_orientation,
):
    from keras_t2t.data.sources.layouts import find_source

    check_path("data_dir", data_dir)
    folder = os.path.expanduser(data_dir)
    if not os.path.isdir(folder):
        raise ValueError(f"data_dir={str(data_dir)!r:.80} is not an existing folder")
    source = find_source(
        Path(folder), skip_corrupt, evaluation_only, validation_share, split
    )
    return EncodedDataset(
        Path(folder).resolve().name,
        f"data_dir={str(folder)!r}",
        source,
        reader,
        skip_corrupt,
        exif_orientation,
    )


def _check_share(share):
    if not is_number(share) or not 0 < share <= 1:
        raise ValueError(f"validation_share must be in (0, 1], got {brief(share)}")


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
