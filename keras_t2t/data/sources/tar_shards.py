"""WebDataset's shards, as hubs keep ImageNet: imagenet1k-train-0000.tar."""

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t.data.sources.names_beside import check_labels, names_beside
from keras_t2t.data.sources.shards import find_shards
from keras_t2t.data.sources.share import assembled
from keras_t2t.data.sources.split_names import VALIDATION, choose_splits
from keras_t2t.data.sources.tar_index import index_tars
from keras_t2t.data.sources.tar_samples import NO_LABEL
from keras_t2t.data.sources.tar_split import TarSplit
from keras_t2t.data.sources.unnamed import call_by_number

LAYOUT = "*train-0000.tar and *validation-0000.tar"


def holds(folder, loosely=False):
    return bool(find_shards(folder, "tar", loosely))


def open_source(
    folder, root, evaluation_only=False, validation_share=None, split=VALIDATION
):
    """The images of tars named by split and number.

    A sample is an image and its label, `name.jpg` and `name.cls` (or `name.json` with
    `label`); the names of the classes are the lines of `classnames.txt` beside, else
    their numbers.

    Args:
        folder: Path of the folder that was opened.
        root: Path of the folder that holds the tars, or of the one above `data/`.
        evaluation_only: leave the training shards alone, which may be missing.
        validation_share, split: as of `image_folder.open_source`.

    Returns:
        `Source`.

    Raises:
        ValueError: a shard or a split is missing, a tar cannot be read, or an image
            has no label or a class no name.
    """
    found = find_shards(root, "tar") or find_shards(root, "tar", True)
    choice = choose_splits(
        found, f"data_dir={str(folder)!r}", "tars", evaluation_only, split
    )
    validation = choice.validation or choice.shared
    names = names_beside(found[validation].place, root, folder)
    splits = {
        name: _split(found[name].paths, names)
        for name in dict.fromkeys((choice.train, validation))
        if name is not None
    }
    notes = ()
    if names is None:
        names, *notes = call_by_number(list(splits.values()))
    return assembled(
        names, choice, splits, validation_share, evaluation_only, notes=notes
    )


def _split(paths, names):
    indices, stamps = index_tars(paths)
    for path, index in zip(paths, indices, strict=True):
        if len(bare := np.flatnonzero(index.labels == NO_LABEL)):
            raise ValueError(
                f"data_dir: {shown(path)}: {shown(index.names[bare[0]])} has no label: "
                "expected .cls or .json of the same name beside it; a tar of class "
                "folders has to be unpacked"
            )
        check_labels(index.labels, names, path)
    labels = np.concatenate([index.labels for index in indices])
    return TarSplit(paths, indices, stamps, labels)
