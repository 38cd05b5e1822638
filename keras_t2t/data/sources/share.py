"""A share of each class's images that validates, where the files have no split."""

import numpy as np

from keras_t2t.data.sources.source import Part, Source
from keras_t2t.data.sources.split_names import told

SHARE = 0.2
SEED = 0  # the same images validate in every run, resumed or evaluated


def assembled(class_names, choice, splits, share, evaluation_only, slash="", notes=()):
    """The `Source` of splits, of which a share of training validates where it is alone.

    Args:
        class_names: tuple of str.
        choice: `Choice`.
        splits: {name: `Split`} of those that are read.
        share: of each class's images that validates, or None for `SHARE`.
        evaluation_only: whether nothing trains.
        slash: what ends the names in messages.
        notes: what else is to be said.

    Raises:
        ValueError: the share leaves nothing to train on.
    """
    if choice.shared is None:
        share = None
        parts = splits.get(choice.train), splits[choice.validation]
    else:
        share = check_share(share, evaluation_only)
        parts = divide(splits[choice.shared], share, evaluation_only)
    names = choice.train or "", choice.validation or choice.shared
    note = told(choice, share, evaluation_only, slash)
    return Source(class_names, *parts, names, share, (note, *notes))


def check_share(share, evaluation_only):
    """The share to take, `SHARE` for None.

    Raises:
        ValueError: it leaves nothing to train on.
    """
    if share == 1 and not evaluation_only:
        raise ValueError(
            "validation_share must leave images to train on, got 1, which is for "
            "evaluation only"
        )
    return SHARE if share is None else share


def divide(whole, share, evaluation_only):
    """The part of a split that trains, None for evaluation only, and the one that
    validates."""
    validates = stratified(whole.labels, share)
    train = None if evaluation_only else Part(whole, np.flatnonzero(~validates))
    return train, Part(whole, np.flatnonzero(validates))


def stratified(labels, share):
    """Which images validate: of each class a random `share`, rounded, at least one.

    Args:
        labels: (images,) integers.
        share: in (0, 1].

    Returns:
        (images,) bool.
    """
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        images = np.flatnonzero(labels == label)
        order = np.random.default_rng([SEED, label]).permutation(images)
        chosen[order[: max(1, round(share * len(images)))]] = True
    return chosen
