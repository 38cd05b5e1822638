"""A folder of photographs without splits: <class>/*, of which a share validates."""

from keras_t2t.data.sources.image_folder import FolderSplit, checked_names
from keras_t2t.data.sources.listing import visible_folders
from keras_t2t.data.sources.share import check_share, divide
from keras_t2t.data.sources.source import Source
from keras_t2t.data.sources.split_names import TEST, VALIDATION
from keras_t2t.data.sources.tree import check_classes_only

LAYOUT = "<class>/*"


def holds(folder):
    return len(visible_folders(folder)) > 1


def open_source(
    folder,
    root,
    skip_corrupt=False,
    evaluation_only=False,
    validation_share=None,
    split=VALIDATION,
):
    """The images under `<class>/`, split at random within each class.

    Args:
        folder, root, skip_corrupt, evaluation_only: as of `image_folder.open_source`.
        validation_share: share of each class's images that validate, in (0, 1), or 1
            for evaluation only; at least one image. None for a fifth.
        split: as of `image_folder.open_source`; there is no test split.

    Returns:
        `Source`.

    Raises:
        ValueError: a class has too few images, or the folders are no classes.
    """
    if split == TEST:
        raise ValueError(
            f"data_dir={str(folder)!r} is a folder <class>/* without a test split; got "
            f"split={split!r}"
        )
    share = check_share(validation_share, evaluation_only)
    names = visible_folders(root)
    check_classes_only(root, names)
    class_names = checked_names(names)
    whole = FolderSplit(folder, root, class_names, skip_corrupt)
    splits = divide(whole, share, evaluation_only)
    verb = "is evaluated" if evaluation_only else "validates"
    note = f"{100 * share:g}% of each class {verb}"
    return Source(class_names, *splits, validation_share=share, notes=(note,))
