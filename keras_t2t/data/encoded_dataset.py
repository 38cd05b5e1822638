"""A data set of encoded images that lie anywhere, decoded and batched by a reader."""

import numpy as np

from keras_t2t._ground.arguments import is_unicode, shown
from keras_t2t.data.dataset import Dataset
from keras_t2t.data.limits import find_limit
from keras_t2t.data.readers import open_reader
from keras_t2t.data.sources.source import check_classes, listed
from keras_t2t.preprocessing import IMAGENET_CLASSES


class EncodedDataset(Dataset):
    """The images of a source.

    Args:
        name: of the data set.
        place: what was opened, for errors.
        source: `Source`.
        reader: name, see `readers`.
        skip_corrupt: decode every image once now and leave out the unreadable ones.
        exif_orientation: whether images are turned as their EXIF data says; None: they
            are, unless there are 1,000 classes or more.

    Raises:
        ValueError: a class has no readable image.
    """

    def __init__(
        self, name, place, source, reader, skip_corrupt=False, exif_orientation=None
    ):
        self.name, self._place = name, place
        self.reader = reader
        self._reader = open_reader(reader)
        if odd := [name for name in source.class_names if not is_unicode(name)]:
            raise ValueError(f"{place}: the class name {shown(odd[0])} is no Unicode")
        self.class_names = source.class_names
        self.validation_share = source.validation_share
        self.notes = source.notes
        if exif_orientation is None:
            exif_orientation = self.num_classes < IMAGENET_CLASSES
        self.exif_orientation = exif_orientation
        check_classes(source, place)
        if skip_corrupt:
            source = _readable(source, self._reader, reader)
            check_classes(source, place, "readable image")
        self._source = source
        self.num_train = 0
        if source.train is not None:
            self.num_train = len(source.train)
            if source.train.labels is not None:
                self.class_counts = np.bincount(
                    source.train.labels, minlength=self.num_classes
                )
        self.num_validation = len(source.validation)

    def _train_batches(self, asked):
        return self._reader.train_batches(
            self._source.train, asked, self.num_classes, self.exif_orientation
        )

    def _validation_batches(self, asked):
        return self._reader.validation_batches(
            self._source.validation, asked, self.num_classes, self.exif_orientation
        )

    def watched(self, batches, function):
        return self._reader.watched(batches, function)

    def diagnose(self, error):
        if not self._reader.is_read_error(error):
            return None
        splits = self._source.splits.values()
        for split in splits:
            if change := split.changed():
                return ValueError(f"{self._place}: {change}")
        count = sum(map(len, splits))
        print(f"looking for unreadable images among {count:,} files")
        corrupt, limits = [], []
        for split in splits:
            for index in self._reader.unreadable_images(split):
                limit = _limit(split, index, self.reader)
                (limits if limit else corrupt).append(limit or split.name(index))
        told = _told(limits, count, self.reader)
        if corrupt:
            told.insert(
                0,
                f"{len(corrupt):,} of {count:,} files cannot be decoded as images: "
                f"{listed(corrupt)}; remove them, or leave them out with "
                "--skip-corrupt (skip_corrupt=True)",
            )
        if not told:
            return None
        return ValueError(f"{self._place}: {'. '.join(told)}")


def _readable(source, reader, name):
    """The source without the images that cannot be decoded, which are told.

    Raises:
        ValueError: another reader decodes some of them.
    """
    splits = source.splits
    unreadable = {key: reader.unreadable_images(split) for key, split in splits.items()}
    corrupt, limits = [], []
    for key, indices in unreadable.items():
        for index in indices:
            limit = _limit(splits[key], index, name)
            (limits if limit else corrupt).append(limit or splits[key].name(index))
    count = sum(map(len, splits.values()))
    if any(limit.reader for _, limit in limits):
        told = ". ".join(_told(limits, count, name))
        raise ValueError(
            f"data_dir: skip_corrupt skips no image that another reader decodes: {told}"
        )
    named = f": {listed(corrupt)}" if corrupt else ""
    print(f"skipped {len(corrupt):,} of {count:,} files as corrupt{named}")
    for text in _told(limits, count, name):
        print(f"skipped {text}")
    return source.without(unreadable)


def _limit(split, index, reader):
    """`(name of an image, Limit)`, None where it is corrupt."""
    try:
        limit = find_limit(split.read(index), reader)
    except (OSError, ValueError):
        return None
    return limit and (split.name(index), limit)


def _told(limits, count, reader):
    """Sentences on images that a reader does not decode: [(name, `Limit`)]."""
    told = []
    for can in dict.fromkeys(limit.reader for _, limit in limits):
        those = [
            f"{name} ({limit.kind})" for name, limit in limits if limit.reader == can
        ]
        way = (
            f"--reader {can} (reader={can!r}) does"
            if can
            else ("no reader does: convert them to JPEG or PNG, or remove them")
        )
        told.append(
            f"{len(those):,} of {count:,} files are not corrupt, but of a kind that "
            f"reader={reader!r} does not decode: {listed(those)}; {way}"
        )
    return told
