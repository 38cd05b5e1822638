"""A split that TensorFlow Datasets wrote as records which are read from anywhere."""

import numpy as np

from keras_t2t._ground.optional_imports import import_tensorflow_datasets
from keras_t2t.data.sources.source import Split
from keras_t2t.data.sources.tfrecords import TFRecords

tfds = import_tensorflow_datasets()

FileFormat = tfds.core.file_adapters.FileFormat
# Only the crop of an image is decoded, and later.
ENCODED = {"image": tfds.decode.SkipDecoding()}


class RecordSplit(Split):
    """Its labels lie in the records too, so that they are known only as images are,
    unless they are read first.

    Args:
        builder: TFDS's.
        split: name.
        label: name of the feature that tells an image's class or classes.

    Raises:
        ValueError: the data set is prepared in a format that is not read.
    """

    labels = None

    def __init__(self, builder, split, label):
        info = builder.info
        self._name, self._label = split, label
        self.several_labels = not isinstance(
            info.features[label], tfds.features.ClassLabel
        )
        self._features = None
        if info.file_format in FileFormat.with_random_access():
            self._records = builder.as_data_source(split, decoders=ENCODED)
        elif info.file_format == FileFormat.TFRECORD:
            self._features = info.features
            files = info.splits[split]
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
        return self._record(index)["image"]

    def example(self, index):
        record = self._record(index)
        return record["image"], np.asarray(record[self._label], "int64")

    def name(self, index):
        return f"{self._name}, record {int(index):,}"

    def read_labels(self):
        """Reads all records for their labels, (images,) int64."""
        self.labels = np.array([self.example(i)[1] for i in range(len(self))], "int64")

    def _record(self, index):
        record = self._records[int(index)]
        if self._features is None:
            return record
        return self._features.deserialize_example_np(record, decoders=ENCODED)
