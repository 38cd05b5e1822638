"""Folders of images in ImageNet's layout: train/<class>/* and val/<class>/*."""

import os
import unicodedata

import numpy as np

from keras_t2t._ground.arguments import is_unicode, shown
from keras_t2t.data.sources.listing import (
    holds_images,
    list_images,
    look,
    visible_folders,
)
from keras_t2t.data.sources.share import assembled
from keras_t2t.data.sources.source import Split, listed
from keras_t2t.data.sources.split_names import (
    TEST,
    VALIDATION,
    choose_splits,
    role,
)
from keras_t2t.data.sources.tree import check_no_marks, find_splits

LAYOUT = "train/<class>/*"


def holds(folder):
    """Whether the folder has this layout, or a part of it."""
    return bool(find_splits(folder))


def open_source(
    folder,
    root,
    skip_corrupt=False,
    evaluation_only=False,
    validation_share=None,
    split=VALIDATION,
):
    """The images under `train/<class>/` and `val/<class>/`, whatever these are called.

    The class names are the folders' names, sorted. Every file below a class counts as
    an image whatever its extension, except hidden ones (leading dot).

    Args:
        folder: Path, to which names are relative.
        root: Path of the folder that holds the splits.
        skip_corrupt: leave out what is no file, such as a broken link.
        evaluation_only: leave `train/` alone, which may be missing.
        validation_share: where there is no other split than training, the share of
            each class's images that validates; None for a fifth.
        split: "validation", or "test".

    Returns:
        `Source`.

    Raises:
        ValueError: a split is missing, or classes differ between the splits.
    """
    places = find_splits(root) or {
        name: root / name for name in visible_folders(root) if role(name)
    }
    usable, left = _usable(places, split)
    choice = choose_splits(
        usable, f"data_dir={str(folder)!r}", "folders", evaluation_only, split
    )
    others = [name for name in visible_folders(root) if name not in places]
    left += tuple(name for name in others if holds_images(root / name))
    choice = choice._replace(left=(*choice.left, *left))
    train, validation = (
        name and places[name]
        for name in (choice.train, choice.validation or choice.shared)
    )
    class_names = _class_names(train, validation)
    splits = {
        name: FolderSplit(folder, places[name], class_names, skip_corrupt)
        for name in dict.fromkeys((choice.train, choice.validation or choice.shared))
        if name is not None
    }
    return assembled(
        class_names, choice, splits, validation_share, evaluation_only, "/"
    )


def _usable(places, split):
    """The names of splits that can be read, and of those that hold no class.

    A test split without classes is left alone, as is a second one of a kind.
    """
    empty = [name for name, place in places.items() if not look(place, True).folders]
    full = [name for name in places if name not in empty]
    known = {role(name) for name in full}
    told_empty = [
        name
        for name in empty
        if role(name) not in known and (role(name) != TEST or split == TEST or not full)
    ]
    return full + told_empty, tuple(name for name in empty if name not in told_empty)


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
        files = [class_files(split / name, skip_others) for name in class_names]
        self._folder = os.fsencode(folder)
        self._paths = [path for paths in files for path in paths]
        counts = [len(paths) for paths in files]
        self.labels = np.repeat(np.arange(len(files), dtype="int64"), counts)

    def read(self, index):
        with open(self._paths[index], "rb") as file:
            return file.read()

    def name(self, index):
        return shown(os.path.relpath(self._paths[index], self._folder))


def _class_names(train, validation):
    in_validation = visible_folders(validation)
    in_train = in_validation if train is None else visible_folders(train)
    for folder, found in (
        (train or validation, in_train),
        (validation, in_validation),
    ):
        if not found:
            held = "images, but " if look(folder).images else ""
            raise ValueError(
                f"data_dir: {shown(folder)} holds {held}no class folder; expected "
                f"{shown(folder)}/<class>/*"
            )
    if in_train != in_validation:
        only_train = [name for name in in_train if name not in in_validation]
        only_validation = [name for name in in_validation if name not in in_train]
        here, there = told_apart(only_train, only_validation)
        raise ValueError(
            f"data_dir: classes differ between {shown(train)} and {shown(validation)}: "
            f"only in {shown(train.name)}/: {here}; "
            f"only in {shown(validation.name)}/: {there}"
        )
    check_no_marks(train or validation, in_train)
    return checked_names(in_train)


def checked_names(names):
    """The names of class folders as a tuple.

    Raises:
        ValueError: one is no UTF-8, or has characters that do not show: names are
            written to files and shown everywhere.
    """
    for name in names:
        if name != shown(name):
            why = "has invisible characters" if is_unicode(name) else "is no UTF-8"
            raise ValueError(
                f"data_dir: the name of the class folder {shown(name)} {why}; rename it"
            )
    return tuple(names)


def told_apart(names, others):
    """Two lists of names as texts, escaped where one of each looks like the other, as
    with accents that two systems write differently, or a blank at the end."""

    def look_of(name):
        return unicodedata.normalize("NFKC", name).strip()

    alike = {look_of(name) for name in names} & {look_of(name) for name in others}
    show = ascii if alike else shown
    return [listed(map(show, side)) for side in (names, others)]


def class_files(folder, skip_others):
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
