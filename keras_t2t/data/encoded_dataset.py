"""A data set of encoded images from any source, decoded and batched by a reader."""

import importlib
import re

import numpy as np

from keras_t2t._ground.arguments import is_unicode, shown
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.dataset import Dataset
from keras_t2t.data.examples import LabelError
from keras_t2t.data.sources.source import check_classes, listed
from keras_t2t.data.unreadable import GRAIN, Unreadable
from keras_t2t.preprocessing import IMAGENET_CLASSES


class EncodedDataset(Dataset):
    """The images of a source, decoded by a reader; `place` is what was opened, for
    errors. Unless told, it turns images if there are fewer than 1,000 classes."""

    def __init__(
        self, name, place, source, reader, skip_corrupt, exif_orientation, known_as
    ):
        self.name, self.known_as, self._place = name, known_as, place
        module = f"keras_t2t.data.{reader}_reader.reader"
        self.reader, self._reader = reader, importlib.import_module(module)
        if odd := [name for name in source.class_names if not is_unicode(name)]:
            raise ValueError(f"{place}: the class name {shown(odd[0])} is no Unicode")
        self.class_names = source.class_names
        self.validation_share = source.validation_share
        self.num_shared = source.num_shared
        self.notes = source.notes
        if exif_orientation is None:
            exif_orientation = self.num_classes < IMAGENET_CLASSES
        self.exif_orientation = exif_orientation
        check_classes(source, place)
        self._source = source
        if skip_corrupt:
            self._skip_corrupt()
            check_classes(self._source, place, "readable image")
        train = self._source.train
        self.num_train = 0 if train is None else len(train)
        if train is not None and train.labels is not None:
            self.class_counts = np.bincount(train.labels, minlength=self.num_classes)
        self.num_validation = len(self._source.validation)

    def _skip_corrupt(self):
        """Removes the images that no reader decodes, and prints their names; if another
        reader decodes some of them, that is an error."""
        found = Unreadable(self._source, self.reader, self._reader)
        if GRAIN in found.sound:
            raise ValueError(
                "data_dir: skip_corrupt does not skip what another reader decodes: "
                f"{'. '.join(found.sentences)}"
            )
        named = f": {listed(found.corrupt)}" if found.corrupt else ""
        print(
            f"skipped {len(found.corrupt):,} of {found.count:,} files as corrupt{named}"
        )
        for sentence in found.sentences:
            print(f"skipped {sentence}")
        self._source = self._source.without(found.indices)

    def _train_batches(self, asked):
        if self._source.train is None:
            raise ValueError(
                f"{self._place} was opened with evaluation_only=True: open it without, "
                "to train on it"
            )
        if asked.augmentation is None:
            asked = asked._replace(augmentation=AUGMENTATIONS["light"])
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
        # TensorFlow wraps it in an error of its own.
        told = f"{type(error).__name__}: {error}"
        if found := re.search(rf"{LabelError.__name__}: (.+)", told):
            return ValueError(f"{self._place}: {found[1]}")
        if not self._reader.is_read_error(error):
            return None
        splits = self._source.splits.values()
        for split in splits:
            if change := split.changed():
                return ValueError(f"{self._place}: {change}")
        count = sum(map(len, splits))
        print(f"looking for unreadable images among {count:,} files")
        found = Unreadable(self._source, self.reader, self._reader)
        problems = found.sentences
        if found.corrupt:
            sentence = (
                f"{len(found.corrupt):,} of {count:,} files cannot be decoded as "
                f"images: {listed(found.corrupt)}; remove them, or leave them out with "
                "--skip-corrupt (skip_corrupt=True)"
            )
            problems = [sentence, *problems]
        return ValueError(f"{self._place}: {'. '.join(problems)}") if problems else None
