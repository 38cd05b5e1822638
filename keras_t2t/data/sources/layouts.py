"""The layout that the files of a folder have."""

from keras_t2t.data.sources import (
    flat_folder,
    image_folder,
    imagenet_tars,
    kaggle,
    parquet,
    tar_shards,
)
from keras_t2t.data.sources.image_folder import visible_folders

LAYOUTS = (image_folder, kaggle, imagenet_tars, tar_shards, parquet)
CONTAINERS = (imagenet_tars, tar_shards, parquet)  # files that hold many images
OF_FILES = (image_folder, kaggle, flat_folder)  # where a file may be no image


def find_source(
    folder, skip_corrupt=False, evaluation_only=False, validation_share=None
):
    """The images that lie in a folder, in any of the layouts.

    Args:
        folder: Path of an existing folder.
        skip_corrupt, evaluation_only, validation_share: as of `open_dataset`.

    Returns:
        `Source`.

    Raises:
        ValueError: it has none of the layouts or several, or what the layout says.
        ImportError: a library that the layout needs is not installed.
    """
    layout = _layout(folder)
    settings = {"evaluation_only": evaluation_only}
    if layout in OF_FILES:
        settings["skip_corrupt"] = skip_corrupt
    if layout is flat_folder:
        settings["validation_share"] = validation_share
    elif validation_share is not None:
        raise ValueError(
            f"validation_share splits folders {flat_folder.LAYOUT}, and "
            f"{str(folder)!r} has splits of its own; got {validation_share}"
        )
    return layout.open_source(folder, **settings)


def holds_containers(folder):
    """Whether the images of a folder lie in files that hold many."""
    return any(layout.holds(folder) for layout in CONTAINERS)


def _layout(folder):
    found = [layout for layout in LAYOUTS if layout.holds(folder)]
    if len(found) > 1:
        raise ValueError(
            f"data_dir={str(folder)!r} has {len(found)} layouts, "
            f"{' and '.join(layout.LAYOUT for layout in found)}: leave one"
        )
    if found:
        return found[0]
    folders = visible_folders(folder)
    if len(folders) > 1:
        return flat_folder
    held = f"it holds the folders {folders}" if folders else "it holds no folder"
    accepted = ", ".join(layout.LAYOUT for layout in (*LAYOUTS, flat_folder))
    raise ValueError(
        f"data_dir={str(folder)!r} has none of the layouts {accepted} with two classes "
        f"or more: {held}"
    )
