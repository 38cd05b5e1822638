"""WebDataset's shards, as hubs keep ImageNet: imagenet1k-train-0000.tar."""

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t.data.sources.shards import find_shards, open_shards
from keras_t2t.data.sources.tar_index import TarSplit
from keras_t2t.data.sources.tar_samples import NO_LABEL

LAYOUT = "*train-0000.tar and *validation-0000.tar"


def holds(folder, loosely=False):
    return bool(find_shards(folder, "tar", loosely))


def open_source(wanted, root):
    """A sample is an image and its label, `name.jpg` and `name.cls` (or `name.json`
    with `label`)."""
    return open_shards(
        wanted, root, "tar", "tars", lambda paths: TarSplit(paths, _labels)
    )


def _labels(path, index):
    if len(bare := np.flatnonzero(index.labels == NO_LABEL)):
        raise ValueError(
            f"data_dir: {shown(path)}: {shown(index.names[bare[0]])} has no label: "
            "expected .cls or .json of the same name beside it; a tar of class folders "
            "has to be unpacked"
        )
    return index.labels
