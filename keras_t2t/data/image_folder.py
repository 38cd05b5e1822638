"""A folder of images in ImageNet's layout: train/<class>/* and val/<class>/*."""

import os
from pathlib import Path

from keras_t2t.arguments import check_path
from keras_t2t.data import pipeline
from keras_t2t.data.listing import list_images
from keras_t2t.data.scan import unreadable_files
from keras_t2t.data.sharding import (
    check_first_step,
    local_batch_size,
    num_local_images,
)
from keras_t2t.images import shown
from keras_t2t.optional_imports import import_tensorflow

tf = import_tensorflow()


class ImageFolder:
    """Images under `train/<class>/` and `val/<class>/` (or `validation/<class>/`).

    The class names are the folders' names, sorted. Every file below a class counts as
    an image whatever its extension, except hidden ones (leading dot).

    Args:
        data_dir: the folder that holds `train/`.
        skip_corrupt: decode every file once now and leave out the unreadable ones.
        evaluation_only: leave `train/` alone, which may be missing.

    Raises:
        ValueError: the folder is missing, has not this layout, has an empty class, or
            classes that differ between its splits.
    """

    def __init__(self, data_dir, skip_corrupt=False, evaluation_only=False):
        self._folder = _existing_folder(data_dir)
        self.name = self._folder.resolve().name
        train, validation = _split_folders(self._folder, evaluation_only)
        self.class_names = _class_names(train, validation)
        self.num_classes = len(self.class_names)
        splits = {
            split: {
                name: _files(split / name, skip_corrupt) for name in self.class_names
            }
            for split in (train, validation)
            if split is not None
        }
        if skip_corrupt:
            splits = self._readable(splits)
        for split, files in splits.items():
            if empty := [name for name in self.class_names if not files[name]]:
                raise ValueError(
                    f"data_dir: no {'readable ' * skip_corrupt}image in "
                    f"{_listed(split / name for name in empty)}; every class needs one"
                )
        self._train = _paths_and_labels(splits.get(train, {}))
        self._validation = _paths_and_labels(splits[validation])
        self.num_train = len(self._train[0])
        self.num_validation = len(self._validation[0])

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
        paths, labels = map(tf.constant, self._train)

        def example(position):
            index = pipeline.shuffled_index(position, self.num_train, seed)
            return position, tf.io.read_file(paths[index]), labels[index]

        start = first_step * local_batch_size(batch_size, shard)
        positions = pipeline.positions(start, pipeline.FOREVER, batch_size, shard)
        return pipeline.train_batches(
            positions.map(example, num_parallel_calls=pipeline.PARALLEL_CALLS),
            self.num_classes,
            image_size,
            batch_size,
            seed,
            augmentation,
            shard,
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
        paths, labels = map(tf.constant, self._validation)
        count = num_local_images(self.num_validation, batch_size, shard)
        examples = pipeline.positions(0, count, batch_size, shard).map(
            lambda index: (tf.io.read_file(paths[index]), labels[index]),
            num_parallel_calls=pipeline.PARALLEL_CALLS,
        )
        return pipeline.validation_batches(
            examples,
            self.num_validation,
            self.num_classes,
            image_size,
            batch_size,
            shard,
            pad,
            crop,
            interpolation,
        )

    def diagnose(self, error):
        """Name the unreadable files behind an error that was raised during reading.

        Returns:
            A ValueError, or None if `error` is not TensorFlow's or if every file can be
            read.
        """
        if not isinstance(error, tf.errors.OpError):
            return None
        paths = [*self._train[0], *self._validation[0]]
        print(f"looking for unreadable images among {len(paths):,} files")
        unreadable = unreadable_files(paths)
        if not unreadable:
            return None
        return ValueError(
            f"data_dir={str(self._folder)!r}: {len(unreadable):,} of {len(paths):,} "
            f"files cannot be decoded as images: {self._relative(unreadable)}; "
            "remove them, or leave them out with --skip-corrupt (skip_corrupt=True)"
        )

    def _readable(self, splits):
        paths = [
            path
            for files in splits.values()
            for class_paths in files.values()
            for path in class_paths
        ]
        unreadable = unreadable_files(paths)
        named = f": {self._relative(unreadable)}" if unreadable else ""
        print(f"skipped {len(unreadable):,} of {len(paths):,} files as corrupt{named}")
        unreadable = set(unreadable)
        return {
            split: {
                name: [path for path in class_paths if path not in unreadable]
                for name, class_paths in files.items()
            }
            for split, files in splits.items()
        }

    def _relative(self, paths):
        folder = os.fsencode(self._folder)
        return _listed(shown(os.path.relpath(path, folder)) for path in paths)


def _existing_folder(data_dir):
    check_path("data_dir", data_dir)
    folder = os.path.expanduser(data_dir)
    if not os.path.isdir(folder):
        raise ValueError(f"data_dir={str(data_dir)!r:.80} is not an existing folder")
    return Path(folder)


def _split_folders(folder, evaluation_only):
    found = _visible_folders(folder)
    expected = "expected train/<class>/* and val/<class>/* (or validation/<class>/*)"
    if evaluation_only:
        expected = "expected val/<class>/* (or validation/<class>/*)"
    held = f"it holds the folders {found}" if found else "it holds no folder"
    if "train" not in found and not evaluation_only:
        raise ValueError(f"data_dir={str(folder)!r} has no train/: {held}; {expected}")
    for validation in ("val", "validation"):
        if validation in found:
            train = None if evaluation_only else folder / "train"
            return train, folder / validation
    raise ValueError(
        f"data_dir={str(folder)!r} has neither val/ nor validation/: {held}; {expected}"
    )


def _class_names(train, validation):
    in_validation = _visible_folders(validation)
    in_train = in_validation if train is None else _visible_folders(train)
    if in_train != in_validation:
        only_train = [name for name in in_train if name not in in_validation]
        only_validation = [name for name in in_validation if name not in in_train]
        raise ValueError(
            f"data_dir: classes differ between {train} and {validation}: "
            f"only in {train.name}/: {_listed(only_train)}; "
            f"only in {validation.name}/: {_listed(only_validation)}"
        )
    for name in in_train:
        if name != shown(name):  # it is written to files and shown everywhere
            raise ValueError(
                f"data_dir: the name of the class folder {shown(name)} is no UTF-8; "
                "rename it"
            )
    if not in_train:
        folder = train or validation
        raise ValueError(
            f"data_dir: {folder} holds no class folder; expected {folder}/<class>/*"
        )
    return tuple(in_train)


def _visible_folders(folder):
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        )


def _files(folder, skip_others):
    """Sorted paths of a class, as bytes.

    Raises:
        ValueError: something else than files and folders is in it.
    """
    files, others = list_images(folder)
    if others:
        found = f"broken links, or no files: {_listed(map(shown, others))}"
        if not skip_others:
            raise ValueError(
                f"data_dir: {found}; remove them, or leave them out with "
                "--skip-corrupt (skip_corrupt=True)"
            )
        print(f"skipped {found}")
    return [os.fsencode(path) for path in files]  # a name need not be UTF-8


def _paths_and_labels(files):
    paths = [path for names in files.values() for path in names]
    labels = [
        label
        for label, class_paths in enumerate(files.values())
        for _ in range(len(class_paths))
    ]
    return paths, labels


def _listed(names, most=10):
    names = [str(name) for name in names]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
