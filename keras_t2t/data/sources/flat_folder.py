"""A folder of photographs without splits: <class>/*, of which a share validates."""

import numpy as np

from keras_t2t.data.sources.image_folder import (
    FolderSplit,
    checked_names,
    visible_folders,
)
from keras_t2t.data.sources.source import Part, Source

LAYOUT = "<class>/*"
SHARE = 0.2
SEED = 0  # the same images validate in every run, resumed or evaluated


def open_source(
    folder, skip_corrupt=False, evaluation_only=False, validation_share=None
):
    """The images under `<class>/`, split at random within each class.

    Args:
        folder: Path.
        skip_corrupt, evaluation_only: as of `image_folder.open_source`.
        validation_share: share of each class's images that validate, in (0, 1), or 1
            for evaluation only; at least one image. None for a fifth.

    Returns:
        `Source`.

    Raises:
        ValueError: there is no folder of a class, or a class has too few images.
    """
    share = SHARE if validation_share is None else validation_share
    if share == 1 and not evaluation_only:
        raise ValueError(
            "validation_share must leave images to train on, got 1, which is for "
            "evaluation only"
        )
    class_names = checked_names(visible_folders(folder))
    whole = FolderSplit(folder, folder, class_names, skip_corrupt)
    validation = stratified(whole.labels, share)
    train = None if evaluation_only else Part(whole, np.flatnonzero(~validation))
    validation = Part(whole, np.flatnonzero(validation))
    return Source(class_names, train, validation, validation_share=share)


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
