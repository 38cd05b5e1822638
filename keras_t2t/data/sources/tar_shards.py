"""WebDataset's shards, as hubs keep ImageNet: imagenet1k-train-0000.tar."""

import numpy as np

from keras_t2t.data.sources.names_beside import (
    check_labels,
    check_named,
    names_beside,
)
from keras_t2t.data.sources.shards import choose_splits, find_shards
from keras_t2t.data.sources.source import Source
from keras_t2t.data.sources.tar_index import NO_LABEL, index_tars
from keras_t2t.data.sources.tar_split import TarSplit

LAYOUT = "*train-0000.tar and *validation-0000.tar"


def holds(folder):
    return bool(find_shards(folder, "tar"))


def open_source(folder, evaluation_only=False):
    """The images of tars named by split and number.

    A sample is an image and its label, `name.jpg` and `name.cls` (or `name.json` with
    `label`); the names of the classes are the lines of `classnames.txt` beside.

    Args:
        folder: Path of the folder that holds the tars, or of the one above `data/`.
        evaluation_only: leave the training shards alone, which may be missing.

    Returns:
        `Source`.

    Raises:
        ValueError: a shard or a split is missing, a tar cannot be read, or an image
            has no label or a class no name.
    """
    found = find_shards(folder, "tar")
    train, validation = choose_splits(found, folder, "tars", evaluation_only)
    names = names_beside(validation[1][0].parent) or names_beside(folder)
    check_named(names, folder)
    splits = [shards and _split(shards[1], names) for shards in (train, validation)]
    return Source(names, *splits, ("train", validation[0]))


def _split(paths, names):
    indices, stamps = index_tars(paths)
    for path, index in zip(paths, indices, strict=True):
        if len(bare := np.flatnonzero(index.labels == NO_LABEL)):
            raise ValueError(
                f"data_dir: {path}: {index.names[bare[0]]} has no label: expected "
                ".cls or .json of the same name beside it"
            )
        check_labels(index.labels, names, path)
    labels = np.concatenate([index.labels for index in indices])
    return TarSplit(paths, indices, stamps, labels)
