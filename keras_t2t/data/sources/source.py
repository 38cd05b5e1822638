"""Encoded images with their labels, by index, whatever files they lie in."""

import abc
from typing import NamedTuple

import numpy as np


class Split(abc.ABC):
    """The images of training or of validation.

    Attributes:
        labels: (images,) int64, or None where each must be read.
        several_labels: whether an image has any number of them.
    """

    labels: np.ndarray | None
    several_labels = False

    def __len__(self):
        return len(self.labels)

    def example(self, index):
        """The bytes of an image and its label, int64, or array (labels,).

        Raises:
            OSError, ValueError: it cannot be read.
        """
        return self.read(index), self.labels[index]

    @abc.abstractmethod
    def read(self, index):
        """The bytes of an image, from any thread.

        Raises:
            OSError, ValueError: it cannot be read.
        """

    @abc.abstractmethod
    def name(self, index):
        """What to call an image in messages: printable, relative to the folder."""

    def changed(self):
        """A sentence on a file that is not what it was when it was opened, or None."""
        return None


class Part(Split):
    """Some images of a split, in the order of `indices` (images,)."""

    def __init__(self, whole, indices):
        self._whole = whole
        self._indices = np.asarray(indices, "int64")
        self.labels = None if whole.labels is None else whole.labels[self._indices]
        self.several_labels = whole.several_labels

    def __len__(self):
        return len(self._indices)

    def example(self, index):
        return self._whole.example(self._indices[index])

    def read(self, index):
        return self._whole.read(self._indices[index])

    def name(self, index):
        return self._whole.name(self._indices[index])

    def changed(self):
        return self._whole.changed()


class Source(NamedTuple):
    """The images of a folder."""

    class_names: tuple  # of str, by label
    train: Split | None  # None: for evaluation only
    validation: Split
    names: tuple = ("train", "validation")  # of the splits, as the files have them
    validation_share: float | None = None  # where the files have no splits
    notes: tuple = ()  # what is said once of how the files were understood

    @property
    def splits(self):
        """{"train" or "validation": split} of those that there are."""
        both = {"train": self.train, "validation": self.validation}
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
    counts = {
        key: np.bincount(split.labels, minlength=len(source.class_names))
        for key, split in source.splits.items()
        if split.labels is not None
    }
    if source.validation_share is not None:
        # Of a single image nothing is left to train on.
        if few := _named(source, counts["validation"]):
            raise ValueError(f"{place}: no {kind} in {few}; every class needs one")
        if few := _named(source, counts.get("train", counts["validation"])):
            raise ValueError(
                f"{place}: only one {kind} in {few}; every class needs one to train "
                "on and one to validate"
            )
        return
    names = dict(zip(("train", "validation"), source.names, strict=True))
    empty = [
        f"{names[key]}/{source.class_names[label]}"
        for key, found in counts.items()
        for label in np.flatnonzero(found == 0)
    ]
    if empty:
        raise ValueError(
            f"{place}: no {kind} in {listed(empty)}; every class needs one"
        )


def _named(source, counts):
    """The classes without an image, as a text; empty if there is none."""
    empty = np.flatnonzero(counts == 0)
    return listed(source.class_names[i] for i in empty) if len(empty) else ""


def listed(names, most=10):
    names = [str(name) for name in names]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
