"""Folders of images: train/<class>/* and val/<class>/*, or <class>/* alone."""

import os
import unicodedata

import numpy as np

from keras_t2t._ground.arguments import is_unicode, shown
from keras_t2t._ground.listing import list_images
from keras_t2t.data.sources.listing import holds_images, look, visible_folders
from keras_t2t.data.sources.source import TEST, Split, listed
from keras_t2t.data.sources.splits import Choice, assembled, choose_splits, role
from keras_t2t.data.sources.tree import check_classes_only, check_no_marks, find_splits

LAYOUT, FLAT_LAYOUT = "train/<class>/*", "<class>/*"


def holds(folder):
    """Whether the folder holds splits."""
    return bool(find_splits(folder))


def open_source(wanted, root):
    """The images under `train/<class>/` and `val/<class>/`, whatever these are called,
    or those under `<class>/`. Every file below a class counts as an image whatever its
    extension, except hidden ones (leading dot)."""
    folders = visible_folders(root)
    places = find_splits(root)
    if not places:
        named = [name for name in folders if role(name)]
        if len(folders) > max(1, len(named)):
            return _open_flat(wanted, root, folders)
        places = {name: root / name for name in named}  # something is missing in them
    usable, left = _usable(places, wanted.split)
    choice = choose_splits(usable, wanted, "folders")
    others = [name for name in folders if name not in places]
    left += tuple(name for name in others if holds_images(root / name))
    choice = choice._replace(left=(*choice.left, *left))
    train, validation = (
        name and places[name]
        for name in (choice.train, choice.validation or choice.shared)
    )
    class_names = _class_names(train, validation)
    splits = {
        name: class_split(wanted, places[name], class_names) for name in choice.read
    }
    return assembled(wanted, class_names, choice, splits, "/")


def _open_flat(wanted, root, names):
    if wanted.split == TEST:
        raise ValueError(
            f"{wanted.place} is a folder {FLAT_LAYOUT} without a test split; got "
            f"split={wanted.split!r}"
        )
    check_classes_only(root, names)
    class_names = checked_names(names)
    choice = Choice(None, None, shared="each class")
    splits = {choice.shared: class_split(wanted, root, class_names)}
    return assembled(wanted, class_names, choice, splits)


def _usable(places, split):
    """The names of splits that are used, and of those that are left alone. A split
    without classes is, if it is for testing or another for the same purpose has them;
    any other is used, so that the error names it."""
    empty = [name for name, place in places.items() if not look(place, True).folders]
    full = [name for name in places if name not in empty]
    known = {role(name) for name in full}
    needed = [
        name
        for name in empty
        if role(name) not in known and (role(name) != TEST or split == TEST or not full)
    ]
    return full + needed, tuple(name for name in empty if name not in needed)


class FileSplit(Split):
    """Images in files of their own, whose paths are bytes: a name need not be UTF-8.
    Their keys are relative to `root`, the folder of the split."""

    def __init__(self, folder, root, paths, labels):
        self._folder, self._root = os.fsencode(folder), root
        self._paths, self.labels = paths, labels

    def read(self, index):
        with open(self._paths[index], "rb") as file:
            return file.read()

    def name(self, index):
        return shown(os.path.relpath(self._paths[index], self._folder))

    def keys(self):
        start = len(os.fsencode(self._root / "_")) - 1
        paths = (os.fsdecode(path[start:]) for path in self._paths)
        return [path.replace(os.sep, "/") for path in paths]


def class_split(wanted, folder, class_names):
    """The `FileSplit` of the images in the folders of classes in a folder."""
    files = [class_files(folder / name, wanted.skip_corrupt) for name in class_names]
    labels = np.repeat(np.arange(len(files), dtype="int64"), [*map(len, files)])
    paths = [path for paths in files for path in paths]
    return FileSplit(wanted.folder, folder, paths, labels)


def _class_names(train, validation):
    in_validation = visible_folders(validation)
    in_train = visible_folders(train) if train else in_validation
    train = train or validation
    for folder, found in ((train, in_train), (validation, in_validation)):
        if not found:
            images = "images, but " if look(folder).images else ""
            raise ValueError(
                f"data_dir: {shown(folder)} holds {images}no class folder; expected "
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
    check_no_marks(train, in_train)
    return checked_names(in_train)


def checked_names(names):
    """The names of class folders as a tuple; a ValueError if one is no UTF-8, or has
    characters that do not show: names are written to files and shown everywhere."""
    for name in names:
        if name != shown(name):
            why = "has invisible characters" if is_unicode(name) else "is no UTF-8"
            raise ValueError(
                f"data_dir: the name of the class folder {shown(name)} {why}; rename it"
            )
    return tuple(names)


def told_apart(names, others):
    """Two lists of names as texts. If a name of one looks like a name of the other (two
    encodings of an accent, a blank at the end), both lists are escaped."""

    def look_of(name):
        return unicodedata.normalize("NFKC", name).strip()

    alike = {look_of(name) for name in names} & {look_of(name) for name in others}
    show = ascii if alike else str
    return [listed(map(show, side)) for side in (names, others)]


def class_files(folder, skip_others):
    """Sorted paths of the files below a folder, as bytes."""
    files, others = list_images(folder)
    if others:
        found = f"broken links, or no files: {listed(others)}"
        if not skip_others:
            raise ValueError(
                f"data_dir: {found}; remove them, or leave them out with "
                "--skip-corrupt (skip_corrupt=True)"
            )
        print(f"skipped {found}")
    return [os.fsencode(path) for path in files]
