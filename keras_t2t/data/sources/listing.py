"""The image files below a folder."""

import os


def list_images(folder):
    """Finds the files below a folder, whatever their extension.

    Hidden ones (leading dot) are left out; links are followed.

    Args:
        folder: path of the folder of a class.

    Returns:
        `(files, others)`, sorted lists of str: regular files, and what has a file's
        place and cannot be read as one: broken links, pipes, sockets, devices.

    Raises:
        ValueError: a link leads back to a folder that it lies in, whose images would
            be found again under it.
        OSError: a folder cannot be read.
    """
    files, others = [], []
    pending = [(os.fspath(folder), (os.path.realpath(folder),))]
    while pending:
        place, inside = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if is_folder(entry):
                    real = os.path.realpath(entry.path)
                    if entry.is_symlink() and is_around(real, inside):
                        raise ValueError(
                            f"data_dir: {entry.path} is a link to a folder that it "
                            "lies in; remove it"
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


def is_around(folder, places):
    """Whether one of the places is the folder, or in it."""
    return any(
        place == folder or place.startswith(os.path.join(folder, ""))
        for place in places
    )
