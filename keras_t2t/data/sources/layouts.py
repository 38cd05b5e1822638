"""The layout that the files of a folder have.

A layout is a module with
- `LAYOUT`: what it looks like, for errors;
- `holds(folder)`: whether a folder has it; of `SHARDS` also `loosely`, by names that
  are less clear;
- `open_source(wanted, root)`: the `Source` that a `Wanted` asks for, of the files in
  the folder `root`. Raises a ValueError where files are missing, cannot be read or do
  not belong together, an ImportError where a library is not installed.
"""

import re

from keras_t2t._ground.images import shown
from keras_t2t._ground.listing import is_litter
from keras_t2t.data.sources import (
    image_folder,
    imagenet_tars,
    kaggle,
    parquet,
    tar_shards,
)
from keras_t2t.data.sources.listing import look, visible_folders
from keras_t2t.data.sources.shards import COMPRESSED
from keras_t2t.data.sources.source import VALIDATION, Wanted, listed
from keras_t2t.data.sources.splits import role
from keras_t2t.data.sources.tree import only_folder

PACKED = re.compile(
    rf"{COMPRESSED.pattern}|\.(zip|rar|7z|gz|bz2|xz|zst)$", re.IGNORECASE
)
LAYOUTS = (image_folder, kaggle, imagenet_tars, tar_shards, parquet)
CONTAINERS = (imagenet_tars, tar_shards, parquet)  # files that hold many images
SHARDS = (tar_shards, parquet)
FIXED = (kaggle, imagenet_tars)  # ImageNet's own, whose splits are always the same


def find_source(folder, **settings):
    """The images that lie in a folder, in any of the layouts; `settings` as of
    `Wanted`. A ValueError says if it has none of the layouts or several."""
    wanted = Wanted(folder, f"data_dir={str(folder)!r}", **settings)
    layout, root = _layout(wanted)
    if layout in FIXED and wanted.split != VALIDATION:
        raise ValueError(
            f"{wanted.place} has no labels of a test split; got split={wanted.split!r}"
        )
    source = layout.open_source(wanted, root)
    if root != folder:
        inside = f"all lies in {shown(root.relative_to(folder))}/"
        source = source._replace(notes=(inside, *source.notes))
    return source


def holds_containers(folder):
    """Whether a folder's images lie in tars or parquet files."""
    return any(layout.holds(folder) for layout in CONTAINERS)


def _layout(wanted):
    """The layout of a folder, and the Path of the folder in it that has it."""
    root, places = wanted.folder, []
    while root is not None:
        places.append(root)
        if found := _one(LAYOUTS, wanted, root):
            return found, root
        inner = only_folder(root)
        if inner is None and len(visible_folders(root)) > 1:
            break
        root = inner
    else:
        # Tars and parquet files with less clear names count if there is nothing else.
        for place in reversed(places):
            if found := _one(SHARDS, wanted, place, loosely=True):
                return found, place
    root = root or wanted.folder
    folders = visible_folders(root)
    if len(folders) > 1 or any(map(role, folders)):
        return image_folder, root
    accepted = [*(layout.LAYOUT for layout in LAYOUTS), image_folder.FLAT_LAYOUT]
    raise ValueError(
        f"{wanted.place} has none of the layouts {', '.join(accepted)} with two "
        f"classes or more: {_contents(root)}"
    )


def _contents(folder):
    """What a folder without a layout holds and what to do about it, for the error."""
    folders = visible_folders(folder)
    files = sorted(
        path.name
        for path in folder.iterdir()
        if not is_litter(path.name) and path.is_file()
    )
    contents = f"it holds the folders {folders}" if folders else "it holds no folder"
    if files:
        contents += f", and the files {listed(files, 4)}"
    if packed := [name for name in files if PACKED.search(name)]:
        contents += f"; unpack {listed(packed, 4)} first"
        if any(COMPRESSED.search(name) for name in packed):
            contents += " (shards of compressed tars cannot be read: make them .tar)"
    elif look(folder).images:
        contents += "; put images into a folder for each class"
    return contents


def _one(layouts, wanted, root, **how):
    """Which one of these layouts a folder has, or None."""
    found = [layout for layout in layouts if layout.holds(root, **how)]
    if len(found) > 1:
        raise ValueError(
            f"{wanted.place} has {len(found)} layouts, "
            f"{' and '.join(layout.LAYOUT for layout in found)}: leave one"
        )
    return found[0] if found else None
