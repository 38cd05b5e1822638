"""A data set of encoded images that lie anywhere, decoded and batched by a reader."""

import numpy as np

from keras_t2t.data.dataset import Dataset
from keras_t2t.data.readers import open_reader
from keras_t2t.data.sharding import check_first_step
from keras_t2t.data.sources.source import check_classes, listed


class EncodedDataset(Dataset):
    """The images of a source.

    Args:
        folder: Path of the folder that was opened.
        source: `Source`.
        reader: name, see `readers`.
        skip_corrupt: decode every image once now and leave out the unreadable ones.

    Raises:
        ValueError: a class has no readable image.
    """

    def __init__(self, folder, source, reader, skip_corrupt=False):
        self._folder = folder
        self.reader = reader
        self._reader = open_reader(reader)
        self.name = folder.resolve().name
        self.class_names = source.class_names
        self.validation_share = source.validation_share
        self.notes = source.notes
        check_classes(source)
        if skip_corrupt:
            source = _readable(source, self._reader)
            check_classes(source, "readable image")
        self._source = source
        self.num_train = 0
        if source.train is not None:
            self.num_train = len(source.train)
            self.class_counts = np.bincount(
                source.train.labels, minlength=self.num_classes
            )
        self.num_validation = len(source.validation)

    def train_batches(
        self,
        image_size,
        batch_size,
        seed,
        augmentation=None,
        first_step=0,
        shard=(0, 1),
    ):
        check_first_step(first_step)
        return self._reader.train_batches(
            self._source.train,
            num_classes=self.num_classes,
            image_size=image_size,
            batch_size=batch_size,
            seed=seed,
            augmentation=augmentation,
            first_step=first_step,
            shard=shard,
        )

    def validation_batches(
        self,
        image_size,
        batch_size,
        shard=(0, 1),
        pad=False,
        crop=0.9,
        interpolation="bicubic",
    ):
        return self._reader.validation_batches(
            self._source.validation,
            num_classes=self.num_classes,
            image_size=image_size,
            batch_size=batch_size,
            shard=shard,
            pad=pad,
            crop=crop,
            interpolation=interpolation,
        )

    def watched(self, batches, function):
        return self._reader.watched(batches, function)

    def diagnose(self, error):
        if not self._reader.is_read_error(error):
            return None
        splits = self._source.splits.values()
        for split in splits:
            if change := split.changed():
                return ValueError(f"data_dir={str(self._folder)!r}: {change}")
        count = sum(map(len, splits))
        print(f"looking for unreadable images among {count:,} files")
        unreadable = [
            split.name(index)
            for split in splits
            for index in self._reader.unreadable_images(split)
        ]
        if not unreadable:
            return None
        return ValueError(
            f"data_dir={str(self._folder)!r}: {len(unreadable):,} of {count:,} "
            f"files cannot be decoded as images: {listed(unreadable)}; "
            "remove them, or leave them out with --skip-corrupt (skip_corrupt=True)"
        )


def _readable(source, reader):
    """The source without the images that cannot be decoded, which are told."""
    splits = source.splits
    unreadable = {
        name: reader.unreadable_images(split) for name, split in splits.items()
    }
    names = [splits[s].name(i) for s, indices in unreadable.items() for i in indices]
    named = f": {listed(names)}" if names else ""
    count = sum(map(len, splits.values()))
    print(f"skipped {len(names):,} of {count:,} files as corrupt{named}")
    return source.without(unreadable)
