"""Names of classes whose labels are numbers: from a file beside them, ImageNet's, or
the numbers themselves."""

import re

import numpy as np

from keras_t2t.data.sources.wordnet import WORDNET

FILES = ("classnames.txt", "classes.txt")
IN_NAME = re.compile(r"n\d{8}(?!\d)")


def names_beside(*folders):
    """The lines of `classnames.txt` or `classes.txt` in the first folder that has one,
    a tuple; None if there is no such file."""
    for path in (folder / name for folder in folders for name in FILES):
        if path.is_file():
            try:
                names = path.read_text("utf-8-sig").splitlines()
            except UnicodeDecodeError:
                raise ValueError(f"data_dir: {path} is no UTF-8") from None
            if not names or not all(name.strip() for name in names):
                raise ValueError(
                    f"data_dir: {path} must hold the name of a class on every line"
                )
            return tuple(name.strip() for name in names)
    return None


def check_labels(split, names):
    """Raises a ValueError unless every label is the number of a class, and has a name;
    without names of any class."""
    labels, most = split.labels, 2**31 if names is None else len(names)
    if len(wrong := np.flatnonzero((labels < 0) | (labels >= most))):
        known = "which is no class number"
        if names is not None:
            known = f"but there are names only for 0 to {most - 1}"
        raise ValueError(
            f"data_dir: {split.name(wrong[0])} has the label {labels[wrong[0]]}, "
            f"{known} ({len(wrong):,} of {len(labels):,} images have such labels)"
        )


def call_by_number(splits):
    """Names classes that are only numbered: a tuple of str by label, and a sentence for
    the user. The labels of the splits become 0 to the number of classes.

    A thousand labels, 0 to 999, are taken for ImageNet's, unless the names of images
    hold WordNet's numbers in another order.
    """
    numbers = np.unique(np.concatenate([split.labels for split in splits]))
    for split in splits:
        split.labels = np.searchsorted(numbers, split.labels)
    are_all = np.array_equal(numbers, np.arange(len(WORDNET)))
    if are_all and not any(map(_contradicts, splits)):
        return WORDNET, "labels 0 to 999 without names are taken for ImageNet's"
    note = "labels have no names (no classnames.txt): classes are called by number"
    return tuple(map(str, numbers.tolist())), note


def _contradicts(split):
    """Whether an image's name holds another number of WordNet than its label's."""
    names = map(split.name, range(len(split)))
    return any(
        (found := IN_NAME.search(name)) and found[0] != WORDNET[label]
        for name, label in zip(names, split.labels, strict=True)
    )
