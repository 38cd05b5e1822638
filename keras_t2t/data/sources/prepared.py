"""A data set that TensorFlow Datasets (TFDS) holds on disk."""

import difflib
import functools
import struct
import textwrap

import numpy as np

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.optional_imports import import_tensorflow_datasets
from keras_t2t.data.sources.class_names import check_labels
from keras_t2t.data.sources.source import Split
from keras_t2t.data.sources.splits import assembled, open_splits

tfds = import_tensorflow_datasets()

FileFormat = tfds.core.file_adapters.FileFormat
# Only the crop of an image is decoded, and later.
ENCODED = {"image": tfds.decode.SkipDecoding()}
# One label, or, to evaluate only, those of ImageNet-Real.
LABEL, LABELS = "label", "real_label"
# A record follows its length and the length's checksum; its own checksum is after it.
BEFORE, AROUND = 12, 16


def open_source(name, wanted):
    """A prepared data set of image classification, by TFDS's name, with an optional
    config and version (`"imagenette/160px-v2:1.0.0"`); without a version: the newest on
    disk. To evaluate only, an image may have any number of labels."""
    builder = _open_builder(name, wanted.folder)
    features = builder.info.features
    label = _label_feature(name, features, wanted.evaluation_only)
    _check_prepared(name, builder, wanted.folder)
    names = tuple(getattr(features[label], "feature", features[label]).names)
    open_split = functools.partial(RecordSplit, builder, label)
    choice, splits = open_splits(
        sorted(builder.info.splits), wanted, "records", open_split
    )
    for split_name, split in splits.items():
        if split.holds_labels_back():
            raise ValueError(
                f"{wanted.place}: the labels of the split {split_name} are held back "
                f"({split.name(0)} has the label {split.example(0)[1]}): choose "
                "another split"
            )
    if choice.shared is not None:
        shared = splits[choice.shared]
        labels = [shared.example(index)[1] for index in range(len(shared))]
        shared.labels = np.array(labels, "int64")
        check_labels(shared, names)
    return assembled(wanted, names, choice, splits)


class RecordSplit(Split):
    """The records of a split, which hold images and labels. A label is known once its
    record is read."""

    labels = None

    def __init__(self, builder, label, split):
        info = builder.info
        self._name, self._label = split, label
        self._decode = lambda record: record
        if info.file_format in FileFormat.with_random_access():
            self._records = builder.as_data_source(split, decoders=ENCODED)
        elif info.file_format == FileFormat.TFRECORD:
            files, decode = info.splits[split], info.features.deserialize_example_np
            self._decode = functools.partial(decode, decoders=ENCODED)
            self._records = TFRecords(
                [str(path) for path in files.filepaths], files.shard_lengths
            )
        else:
            raise ValueError(
                f"dataset={builder.name!r} is prepared as {info.file_format.value}; "
                'prepare it with file_format="array_record" or "tfrecord"'
            )

    def __len__(self):
        return len(self._records)

    def read(self, index):
        return self.example(index)[0]

    def example(self, index):
        record = self._decode(self._records[int(index)])
        return record["image"], np.asarray(record[self._label], "int64")

    def name(self, index):
        return f"{self._name}, record {int(index):,}"

    def holds_labels_back(self):  # seen by the first record
        return len(self) > 0 and np.any(self.example(0)[1] < 0)


class TFRecords:
    """The records of some TFRecord files, one file after the other, each as bytes.

    When the first record of a file is read, all its offsets are found by going from
    length to length. The checksums (CRC-32C) are not compared.
    """

    def __init__(self, paths, counts):
        self._paths, self._counts = paths, counts
        self._first = np.cumsum([0, *counts])
        self._offsets = functools.cache(self._find_offsets)

    def __len__(self):
        return int(self._first[-1])

    def __getitem__(self, index):
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        offsets = self._offsets(number)
        row = index - self._first[number]
        # Opened anew each time: ImageNet has as many files as a process may have.
        with open(self._paths[number], "rb", buffering=0) as file:
            file.seek(int(offsets[row]) + BEFORE)
            return file.read(int(offsets[row + 1] - offsets[row]) - AROUND)

    def _find_offsets(self, number):
        """(records + 1,) bytes: where each record begins, and where the last ends."""
        path, offsets = self._paths[number], [0]
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            while offsets[-1] < size and len(offsets) <= self._counts[number]:
                file.seek(offsets[-1])
                length = file.read(8)
                if len(length) < 8:
                    break
                offsets.append(offsets[-1] + struct.unpack("<Q", length)[0] + AROUND)
        if offsets[-1] != size or len(offsets) != self._counts[number] + 1:
            raise ValueError(
                f"{shown(path)} is cut short or damaged: it does not hold "
                f"{self._counts[number]:,} records and no more"
            )
        return np.array(offsets)


def _open_builder(name, data_dir):
    # "*.*.*" makes TFDS prefer a version on disk to the newest one that it could build.
    version = "" if ":" in name else ":*.*.*"
    try:
        return tfds.builder(name + version, data_dir=data_dir)
    except Exception as error:  # a data set's own code may raise anything
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        base_name = name.partition(":")[0].partition("/")[0]
        if base_name in known:
            reason = textwrap.shorten(str(error), 400)
            raise ValueError(f"dataset={name!r} cannot be opened: {reason}") from error
        closest = difflib.get_close_matches(base_name.lower(), known, n=8)
        raise ValueError(
            f"dataset={name!r} is not known; the closest names are "
            f"{', '.join(closest) or 'none'}; accepted are digits and the names of "
            f"TensorFlow Datasets, also of those that exist only in {data_dir}"
        ) from None


def _label_feature(name, features, evaluation_only):
    """The name of the feature with an image's class."""
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
