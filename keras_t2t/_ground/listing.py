"""The images below a folder, without what is hidden or litter."""

import os
from pathlib import Path

from keras_t2t._ground.arguments import shown

# What operating systems and programs leave in a folder.
LITTER = {"icon\r", "system volume information"}.union(
    "thumbs.db ehthumbs.db desktop.ini __macosx __pycache__ @eadir #recycle".split(),
    "$recycle.bin lost+found".split(),
)


def is_litter(name):
    """Whether a name is hidden (leading dot) or one of `LITTER`."""
    return name.startswith(".") or name.lower() in LITTER


def list_images(folder):
    """Finds the files below a folder, whatever their extension.

    Hidden ones (leading dot) and what systems leave are left out; links are followed,
    and one back to a folder that it lies in is a ValueError: its images would be found
    again.

    Returns:
        `(files, others)`, sorted lists of str: regular files, and what has a file's
        place and cannot be read as one: broken links, pipes, sockets, devices.
    """
    files, others = [], []
    pending = [(os.fspath(folder), (os.path.realpath(folder),))]
    while pending:
        place, inside = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if is_litter(entry.name):
                    continue
                if is_folder(entry):
                    real = os.path.realpath(entry.path)
                    if entry.is_symlink() and any(
                        Path(at).is_relative_to(real) for at in inside
                    ):
                        raise ValueError(
                            f"{shown(entry.path)} is a link to a folder that it lies "
                            "in; remove it"
                        )
                    pending.append((entry.path, (*inside, real)))
                else:
                    (files if os.path.isfile(entry) else others).append(entry.path)
    return sorted(files), sorted(others)


def is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
