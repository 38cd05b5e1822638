"""Folders of images in ImageNet's layout: train/<class>/* and val/<class>/*."""

import os

import numpy as np

from keras_t2t.data.sources.listing import list_images
from keras_t2t.data.sources.source import Source, Split, listed
from keras_t2t.images import shown

VALIDATION = ("val", "validation", "test")
LAYOUT = "train/<class>/*"


def holds(folder):
    """Whether the folder has this layout, or a part of it."""
    return any((folder / name).is_dir() for name in ("train", *VALIDATION))


def open_source(folder, skip_corrupt=False, evaluation_only=False):
    """The images under `train/<class>/` and `val/<class>/`, or `validation/`, `test/`.

    The class names are the folders' names, sorted. Every file below a class counts as
    an image whatever its extension, except hidden ones (leading dot).

    Args:
        folder: Path of the folder that holds `train/`.
        skip_corrupt: leave out what is no file, such as a broken link.
        evaluation_only: leave `train/` alone, which may be missing.

    Returns:
        `Source`.

    Raises:
        ValueError: a split is missing, or classes differ between the splits.
    """
    train, validation = _split_folders(folder, evaluation_only)
    class_names = _class_names(train, validation)
    splits = (
        path and FolderSplit(folder, path, class_names, skip_corrupt)
        for path in (train, validation)
    )
    return Source(class_names, *splits, ("train", validation.name))


class FolderSplit(Split):
    """The images below the folders of classes.

    Args:
        folder: Path, to which names are relative.
        split: Path that holds a folder for each class.
        class_names: tuple of the folders' names.
        skip_others: leave out what is neither file nor folder.

    Raises:
        ValueError: something else than files and folders is in it.
    """

    def __init__(self, folder, split, class_names, skip_others):
        files = [_files(split / name, skip_others) for name in class_names]
        self._folder = os.fsencode(folder)
        self._paths = [path for paths in files for path in paths]
        counts = [len(paths) for paths in files]
        self.labels = np.repeat(np.arange(len(files), dtype="int64"), counts)

    def read(self, index):
        with open(self._paths[index], "rb") as file:
            return file.read()

    def name(self, index):
        return shown(os.path.relpath(self._paths[index], self._folder))


def _split_folders(folder, evaluation_only):
    found = visible_folders(folder)
    expected = "expected train/<class>/* and val/<class>/* (or validation/, test/)"
    if evaluation_only:
        expected = "expected val/<class>/* (or validation/, test/)"
    if "train" not in found and not evaluation_only:
        raise ValueError(
            f"data_dir={str(folder)!r} has no train/: it holds the folders {found}; "
            f"{expected}"
        )
    for validation in VALIDATION:
        if validation in found:
            train = None if evaluation_only else folder / "train"
            return train, folder / validation
    raise ValueError(
        f"data_dir={str(folder)!r} has neither val/ nor validation/ nor test/: it "
        f"holds the folders {found}; {expected}"
    )


def _class_names(train, validation):
    in_validation = visible_folders(validation)
    in_train = in_validation if train is None else visible_folders(train)
    if in_train != in_validation:
        only_train = [name for name in in_train if name not in in_validation]
        only_validation = [name for name in in_validation if name not in in_train]
        raise ValueError(
            f"data_dir: classes differ between {train} and {validation}: "
            f"only in {train.name}/: {listed(only_train)}; "
            f"only in {validation.name}/: {listed(only_validation)}"
        )
    if not in_train:
        folder = train or validation
        raise ValueError(
            f"data_dir: {folder} holds no class folder; expected {folder}/<class>/*"
        )
    return checked_names(in_train)


def checked_names(names):
    """The names of class folders as a tuple.

    Raises:
        ValueError: one is no UTF-8; they are written to files and shown everywhere.
    """
    for name in names:
        if name != shown(name):
            raise ValueError(
                f"data_dir: the name of the class folder {shown(name)} is no UTF-8; "
                "rename it"
            )
    return tuple(names)


def visible_folders(folder):
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        )


def _files(folder, skip_others):
    """Sorted paths of a class, as bytes: a name need not be UTF-8."""
    files, others = list_images(folder)
    if others:
        found = f"broken links, or no files: {listed(map(shown, others))}"
        if not skip_others:
            raise ValueError(
                f"data_dir: {found}; remove them, or leave them out with "
                "--skip-corrupt (skip_corrupt=True)"
            )
        print(f"skipped {found}")
    return [os.fsencode(path) for path in files]
