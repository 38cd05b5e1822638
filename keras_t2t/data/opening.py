"""Which data set an invocation means, and where it is read from."""

import contextlib
import os
from pathlib import Path

from keras_t2t.arguments import short


def open_dataset(
    dataset=None, data_dir=None, skip_corrupt=False, evaluation_only=False
):
    """Open a data set for training and validation.

    Args:
        dataset: `"digits"` (scikit-learn's handwritten digits, in its package) or the
            name of a prepared image-classification data set of TensorFlow Datasets
            (`"imagenet2012"`, `"cifar10"`, `"imagenette/160px-v2"`). With neither
            `dataset` nor `data_dir`: imagenet2012 if it is prepared, else digits.
        data_dir: alone, an image folder in ImageNet's layout (`train/<class>/*`, and
            `val/<class>/*` or `validation/<class>/*`). With `dataset`, the folder in
            which TensorFlow Datasets keeps its data (default: `$TFDS_DATA_DIR`, else
            `~/tensorflow_datasets`).
        skip_corrupt: image folders only: decode every file once now, and leave out
            those that cannot be decoded, instead of failing when one is met.
        evaluation_only: only `validation_batches` is needed: no training images are
            asked for, listed or counted, and an image may have several labels or none,
            as in `"imagenet2012_real"`.

    Returns:
        An object with
        - `name`, `class_names` (tuple of str), `num_classes`, `num_train`,
          `num_validation`;
        - `train_batches(image_size, batch_size, seed, augmentation=None, first_step=0,
          shard=(0, 1))`: an infinite stream of (images, targets), shuffled anew each
          epoch. `augmentation` is an `Augmentation`; None means random crop and flip,
          for the digits nothing, which is all that they accept. The same seed gives
          the same stream, whatever the number of threads and shards; one with
          `first_step=k` is that stream after k batches. `batch_size` counts the images
          of all shards; shard (i, n) yields rows i x batch_size / n up to
          (i + 1) x batch_size / n of each batch;
        - `validation_batches(image_size, batch_size, shard=(0, 1), pad=False, crop=0.9,
          interpolation="bicubic")`: one pass in a fixed order, each image in one shard.
          The last batch may be smaller, and may be missing in some shards. With `pad`
          all batches have one size, all shards the same number of them, and each comes
          with weights (batch,) float32: 1 for images, 0 for the black ones that fill
          up. `crop` and `interpolation` are `preprocessing.evaluation_transform`'s; the
          digits fill their square whatever they are;
        - `diagnose(error)`: the ValueError that names the unreadable files if `error`
          (raised while batches were read) came from them, else None.

        `images` are (batch, image_size, image_size, 3) in 0..255, not normalised:
        uint8, or float32 where they are mixed or erased (the noise that fills an
        erased rectangle exceeds 0..255). Targets are (batch, num_classes) float32 of
        sum 1: one-hot, or soft where images are mixed; with `evaluation_only`, 1 for
        each of an image's labels. Label smoothing is the loss's; being linear, it may
        follow mixing. Both streams go into `keras.Model.fit` on
        every backend, the infinite one with `steps_per_epoch=num_train // batch_size`.

    Raises:
        ValueError: unknown or unprepared data set, a data set that is not image
            classification, or a folder that is not in ImageNet's layout.
        ImportError: a library that the data set needs is not installed.
    """
    if not isinstance(dataset, (str, type(None))):
        raise ValueError(f"`dataset` must be a name, got {short(dataset)}")
    if dataset is None and data_dir is not None:
        from keras_t2t.data.image_folder import ImageFolder

        return ImageFolder(data_dir, skip_corrupt, evaluation_only)
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
        from keras_t2t.data.digits import Digits

        return Digits()
    from keras_t2t.data.prepared_dataset import PreparedDataset

    return PreparedDataset(dataset, _tfds_folder(data_dir), evaluation_only)


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


def is_prepared(dataset, data_dir=None):
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
