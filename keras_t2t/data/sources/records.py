"""A split that TensorFlow Datasets wrote as records which are read from anywhere."""

import numpy as np

from keras_t2t.data.sources.source import Part, Split
from keras_t2t.optional_imports import import_tensorflow_datasets

tfds = import_tensorflow_datasets()


class RecordSplit(Split):
    """Its labels lie in the records too, so that they are known only as images are.

    Args:
        builder: TFDS's.
        split: name.
        label: name of the feature that tells an image's class or classes.
    """

    labels = None

    def __init__(self, builder, split, label):
        self._records = builder.as_data_source(
            split, decoders={"image": tfds.decode.SkipDecoding()}
        )
        self._name = split
        self._label = label
        feature = builder.info.features[label]
        self.several_labels = not isinstance(feature, tfds.features.ClassLabel)

    def __len__(self):
        return len(self._records)

    def read_labels(self):
        """(images,) int64, from all records."""
        return np.array([record[self._label] for record in self._records], "int64")

    def part(self, chosen):
        """The `Split` of the chosen images, (images,) bool."""
        return Part(self, np.flatnonzero(chosen))

    def read(self, index):
        return self._records[int(index)]["image"]

    def example(self, index):
        record = self._records[int(index)]
        return record["image"], np.asarray(record[self._label], "int64")

    def name(self, index):
        return f"{self._name}, record {int(index):,}"
