"""Encoded images with their labels, by index, whatever files they lie in."""

import abc
import os
import re
from typing import NamedTuple

import numpy as np

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.types import FilePath

TRAIN, VALIDATION, TEST = "train", "validation", "test"
OF_ALL = re.compile(r"([-_]of[-_]\d+.*)?\.\w+$", re.IGNORECASE)


class Wanted(NamedTuple):
    """What the caller of `open_dataset` wants of the files."""

    folder: FilePath  # that was opened, to which names are relative
    place: str  # what was opened, for errors
    skip_corrupt: bool = False  # leave out what is no file, such as a broken link
    evaluation_only: bool = False  # ignore training images
    validation_share: float | None = None
    split: str = VALIDATION  # or `TEST`: what validates


class Split(abc.ABC):
    """The images of training or of validation.

    Attributes:
        labels: (images,) int64, or None where each must be read.
        class_names: tuple of str by label, if the files themselves tell.
    """

    labels: np.ndarray | None
    class_names: tuple | None = None

    def __len__(self):
        return len(self.labels)

    def example(self, index):
        """The bytes of an image and its label, int64, or array (labels,); an OSError or
        ValueError if it cannot be read."""
        return self.read(index), self.labels[index]

    @abc.abstractmethod
    def read(self, index):
        """The bytes of an image, from any thread; errors as of `example`."""

    @abc.abstractmethod
    def name(self, index):
        """What to call an image in messages: printable, relative to the folder."""

    def keys(self):
        """(images,) list of str that tell which image is which, even after others were
        added or removed: here their numbers."""
        return [str(index) for index in range(len(self))]

    def changed(self):
        """A sentence on a file that has changed since it was opened, or None."""
        return None

    def holds_labels_back(self):
        """Whether its labels are all -1, as competitions write them."""
        return (self.labels == -1).all()


class Part(Split):
    """Some images of a split, in the order of `indices` (images,)."""

    def __init__(self, whole, indices):
        self._whole = whole
        self._indices = np.asarray(indices, "int64")
        self.labels = None if whole.labels is None else whole.labels[self._indices]

    def __len__(self):
        return len(self._indices)

    def example(self, index):
        return self._whole.example(self._indices[index])

    def read(self, index):
        return self._whole.read(self._indices[index])

    def name(self, index):
        return self._whole.name(self._indices[index])

    def keys(self):
        keys = self._whole.keys()
        return [keys[index] for index in self._indices]

    def changed(self):
        return self._whole.changed()


def stamp_of(path):
    """What distinguishes a file from another one that replaces it: its size in bytes,
    and when it was changed, in nanoseconds."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


class PackedSplit(Split):
    """The images of some files, one file after the other; with the `stamp_of` each from
    before it was read, and the labels (images,) of each."""

    def __init__(self, paths, stamps, labels):
        self._paths, self._stamps = paths, stamps
        self._first = np.cumsum([0, *map(len, labels)])
        self.labels = np.concatenate(labels).astype("int64")

    def keys(self):
        keys = []
        for file, path in enumerate(self._paths):
            # Without the number of all files, and the hash after it, which change.
            name = OF_ALL.sub("", path.name)
            keys += [f"{name}/{key}" for key in self._keys_in(file)]
        return keys

    def _keys_in(self, file):
        """What the keys of the images of a file end in: here their rows."""
        return range(self._first[file + 1] - self._first[file])

    def changed(self):
        for path, stamp in zip(self._paths, self._stamps, strict=True):
            try:
                same = stamp_of(path) == stamp
            except OSError as error:
                return f"{shown(path)} cannot be read any more: {error.strerror}"
            if not same:
                return f"{shown(path)} changed since it was opened; start again"
        return None

    def _place(self, index):
        """The number of an image's file, and the image's row in that file."""
        file = int(np.searchsorted(self._first, index, side="right")) - 1
        return file, int(index - self._first[file])


class Source(NamedTuple):
    """The images of a folder."""

    class_names: tuple  # of str, by label
    train: Split | None  # None: for evaluation only
    validation: Split
    names: tuple = (TRAIN, VALIDATION)  # of the splits, as the files have them
    validation_share: float | None = None  # where the files have no splits
    num_shared: int | None = None  # images of which the share validates
    notes: tuple = ()  # sentences for the user: how the files were understood

    @property
    def splits(self):
        """{"train" or "validation": split}, without training if that is None."""
        both = {TRAIN: self.train, VALIDATION: self.validation}
        return {key: split for key, split in both.items() if split is not None}

    def without(self, removed):
        """The source without some images: {key of a split: their indices}."""
        parts = {
            key: Part(split, np.delete(np.arange(len(split)), removed[key]))
            for key, split in self.splits.items()
        }
        return self._replace(**parts)


def check_classes(source, place, kind="image"):
    """Raises a ValueError unless every class has an image in every split whose labels
    are known."""
    is_shared = source.validation_share is not None
    empty = {}
    for key, split in source.splits.items():
        prefix = "" if is_shared else f"{source.names[key == VALIDATION]}/"
        if split.labels is not None:
            counts = np.bincount(split.labels, minlength=len(source.class_names))
            labels = np.flatnonzero(counts == 0)
            empty[key] = [f"{prefix}{source.class_names[label]}" for label in labels]
    if is_shared and not empty[VALIDATION] and empty.get(TRAIN):
        raise ValueError(
            f"{place}: only one {kind} in {listed(empty[TRAIN])}; every class needs "
            "one to train on and one to validate"
        )
    counted = [VALIDATION] if is_shared else empty
    if without := [name for key in counted for name in empty[key]]:
        raise ValueError(
            f"{place}: no {kind} in {listed(without)}; every class needs one"
        )


def listed(names, most=10):
    """Names from outside as a text that is safe to print."""
    names = [shown(name) for name in names]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
