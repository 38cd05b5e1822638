"""Labels that nothing names: they are called by their numbers, or are ImageNet's."""

import re

import numpy as np

from keras_t2t.data.sources.wordnet import WORDNET

IN_NAME = re.compile(r"n\d{8}(?!\d)")


def call_by_number(splits):
    """Names the classes of splits whose labels have none.

    A thousand labels, 0 to 999, are taken for ImageNet's, unless the names of images
    hold WordNet's numbers in another order.

    Args:
        splits: list of `Split`. Their labels become 0 to the number of classes.

    Returns:
        `(names, note)`: tuple of str by label, and what is to be said of it.
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
