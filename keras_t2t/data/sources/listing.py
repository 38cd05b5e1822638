"""The folders in a folder, and whether images lie in it."""

import os
from typing import NamedTuple

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.listing import LITTER, is_folder, is_litter
from keras_t2t.data.image_formats import is_image_file

# Hidden folders that may hold images, but are certainly no classes.
HIDDEN = frozenset(
    """
    .git .svn .hg .dvc .cache .huggingface .venv .idea .vscode .ipynb_checkpoints
    .thumbs .thumbnails .appledouble .spotlight-v100 .fseventsd .temporaryitems
    .trashes .trash .documentrevisions-v100 .picasaoriginals .comments .stversions
    """.split()
)
KNOWN_BEGINNINGS = (".Trash-", ".writing-")


class Look(NamedTuple):
    """What lies directly in a folder."""

    folders: tuple  # sorted names; not all of them if an image was found before
    images: bool  # whether an image lies in it

    @property
    def of_folders(self):
        """Whether it holds folders, and no image beside them."""
        return bool(self.folders) and not self.images


def is_visible_folder(entry):
    """Whether it is a folder that is neither hidden nor litter.

    A leading dot hides a folder, unless a digit follows and images lie in it: the class
    `.45 ACP`. If it holds images and is hidden for no known reason, that is an error.
    """
    name = entry.name
    if not is_folder(entry):
        return False
    if not is_litter(name):
        return True
    known = name.lower() in (HIDDEN | LITTER) or name.startswith(KNOWN_BEGINNINGS)
    if known or not holds_images(entry.path):
        return False
    if name[1:2].isdigit():
        return True
    raise ValueError(
        f"data_dir: the name of {shown(entry.path)} begins with a dot, which hides it, "
        "and it holds images: rename it if it is a class, else move it out"
    )


def look(folder, whole=False):
    """What lies in a folder; unless the `whole` is asked for, it ends at an image."""
    folders, images = [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_visible_folder(entry):
                folders.append(entry.name)
            elif images or is_litter(entry.name):
                continue
            elif os.path.isfile(entry) and is_image_file(entry.path):
                images = True
                if not whole:
                    break
    return Look(tuple(sorted(folders)), images)


def holds_images(folder):
    """Whether an image lies in a folder, at any depth; links are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_litter(name)]
        for name in files:
            path = os.path.join(place, name)
            if not is_litter(name) and os.path.isfile(path) and is_image_file(path):
                return True
    return False


def visible_folders(folder):
    """The sorted names of the folders in a folder, see `is_visible_folder`."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_visible_folder(entry))
