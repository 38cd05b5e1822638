"""An image-classification data set that TensorFlow Datasets (TFDS) holds on disk."""

import difflib
import textwrap

import numpy as np

from keras_t2t.data.dataset import Dataset
from keras_t2t.data.readers import open_reader
from keras_t2t.data.sharding import check_first_step
from keras_t2t.data.sources.records import RecordSplit
from keras_t2t.data.sources.share import check_share, stratified
from keras_t2t.data.sources.source import listed
from keras_t2t.data.sources.split_names import VALIDATION, choose_splits, told
from keras_t2t.optional_imports import import_tensorflow_datasets

tfds = import_tensorflow_datasets()

# One label, or, to evaluate only, those of ImageNet-Real.
LABEL, LABELS = "label", "real_label"


class PreparedDataset(Dataset):
    """A prepared TFDS data set; validates on its "validation" split, else on "test",
    else on a share of its training images, whose labels are then read first.

    Prepared with `file_format="array_record"`, examples are read one by one from
    anywhere, by either reader: each epoch is a permutation of all, a shard reads only
    its own, and a stream starts at any step at once. TFDS's default, TFRecord, is read
    by TensorFlow alone and in the files' order, see `tensorflow_reader.tfrecords`.

    Args:
        name: TFDS's name, with an optional config and version
            (`"imagenette/160px-v2:1.0.0"`). Without a version: the newest on disk.
        data_dir: the folder in which TFDS keeps its data.
        evaluation_only: the training split may be missing, and an image may have any
            number of labels.
        reader: name, see `readers`.
        split: "validation", or "test" to evaluate on it.
        exif_orientation: whether images are turned as their EXIF data says.
        validation_share: of each class's images, where there is a training split alone.

    Raises:
        ValueError: the name is unknown (the closest ones are named), the data set is
            not prepared (the command that prepares it is named), is not image
            classification, lacks a split, or is not of a format that the reader reads.
        ImportError: TensorFlow Datasets or the reader's library is not installed.
    """

    def __init__(
        self,
        name,
        data_dir,
        evaluation_only,
        reader,
        split=VALIDATION,
        exif_orientation=False,
        validation_share=None,
    ):
        self.name = name
        self.exif_orientation = exif_orientation
        self.reader = reader
        builder = _open_builder(name, data_dir)
        features = builder.info.features
        label = _label_feature(name, features, evaluation_only)
        _check_prepared(name, builder, data_dir)
        self.class_names = tuple(
            getattr(features[label], "feature", features[label]).names
        )
        choice = choose_splits(
            sorted(builder.info.splits),
            f"dataset={name!r}",
            "records",
            evaluation_only,
            split,
        )
        self._reader, open_split = _reader(name, builder, reader)
        if choice.shared is None:
            if validation_share is not None:
                raise ValueError(
                    "validation_share splits what has a training split alone, and "
                    f"dataset={name!r} has others; got {validation_share}"
                )
            self._validation = open_split(builder, choice.validation, label)
            self._train = choice.train and open_split(builder, choice.train, label)
        else:
            self.validation_share = check_share(validation_share, evaluation_only)
            whole = open_split(builder, choice.shared, label)
            self._divide(whole, choice.train is not None)
        self.notes = (told(choice, self.validation_share, evaluation_only),)
        self.num_train = 0 if self._train is None else len(self._train)
        self.num_validation = len(self._validation)

    def _divide(self, whole, trains):
        """Lets a share of a split validate, and the rest train."""
        labels = np.zeros(len(whole), "int64")
        if not whole.several_labels:
            labels = whole.read_labels()
        validates = stratified(labels, self.validation_share)
        self._validation = whole.part(validates)
        self._train = None
        if trains:
            self._train = whole.part(~validates)
            self.class_counts = np.bincount(
                labels[~validates], minlength=self.num_classes
            )
            if few := np.flatnonzero(
                (self.class_counts == 0)
                & (np.bincount(labels, minlength=self.num_classes) > 0)
            ).tolist():
                raise ValueError(
                    f"dataset={self.name!r}: only one image in "
                    f"{listed(self.class_names[label] for label in few)}; every class "
                    "needs one to train on and one to validate"
                )

    def train_batches(
        self,
        image_size,
        batch_size,
        seed,
        augmentation=None,
        first_step=0,
        shard=(0, 1),
    ):
        check_first_step(first_step)
        return self._reader.train_batches(
            self._train,
            num_classes=self.num_classes,
            image_size=image_size,
            batch_size=batch_size,
            seed=seed,
            augmentation=augmentation,
            first_step=first_step,
            shard=shard,
            exif_orientation=self.exif_orientation,
        )

    def validation_batches(
        self,
        image_size,
        batch_size,
        shard=(0, 1),
        pad=False,
        crop=0.9,
        interpolation="bicubic",
    ):
        return self._reader.validation_batches(
            self._validation,
            num_classes=self.num_classes,
            image_size=image_size,
            batch_size=batch_size,
            shard=shard,
            pad=pad,
            crop=crop,
            interpolation=interpolation,
            exif_orientation=self.exif_orientation,
        )

    def watched(self, batches, function):
        return self._reader.watched(batches, function)


def _reader(name, builder, reader):
    """The reader, and the kind of split that it reads."""
    file_format = builder.info.file_format
    if file_format in tfds.core.file_adapters.FileFormat.with_random_access():
        return open_reader(reader), RecordSplit
    if reader != "tensorflow":
        raise ValueError(
            f"dataset={name!r} is prepared as {file_format.value}, which only "
            f'reader="tensorflow" reads; got reader={reader!r}. Prepare it with '
            'file_format="array_record", or install TensorFlow'
        )
    from keras_t2t.data.tensorflow_reader.tfrecords import TFRecordReader, TFRecords

    return TFRecordReader, TFRecords


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
