"""ImageNet as Kaggle gives it: ILSVRC/Data/CLS-LOC and LOC_val_solution.csv."""

import csv
import os

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t.data.sources.image_folder import FolderSplit, class_files
from keras_t2t.data.sources.listing import visible_folders
from keras_t2t.data.sources.source import Source, Split, listed

IMAGES = "ILSVRC/Data/CLS-LOC"
SOLUTION = "LOC_val_solution.csv"
LAYOUT = f"{IMAGES} and {SOLUTION}"


def holds(folder):
    return (folder / IMAGES).is_dir()


def open_source(folder, root, skip_corrupt=False, evaluation_only=False):
    """The images under `train/<class>/` and in `val/`, whose classes a table tells.

    Classes are named by WordNet's numbers (`n01440764`) in their order, as the
    training folders.

    Args:
        folder: Path, to which names are relative.
        root: Path of what Kaggle's archive holds.
        skip_corrupt: leave out what is no file, such as a broken link.
        evaluation_only: leave the training images alone, which may be missing.

    Returns:
        `Source`.

    Raises:
        ValueError: a folder or the table is missing, or they do not belong together.
    """
    images = root / IMAGES
    needed = [images / "val", root / SOLUTION]
    if not evaluation_only:
        needed.insert(0, images / "train")
    missing = [
        str(path.relative_to(root))
        for path in needed
        # Opening a pipe would wait for its other end.
        if not (path.is_file() if path.name == SOLUTION else path.is_dir())
    ]
    if missing:
        raise ValueError(f"data_dir={str(folder)!r} lacks {', '.join(missing)}")
    truth = _read_solution(root / SOLUTION)
    in_table = sorted(set(truth.values()))
    names = tuple(in_table if evaluation_only else visible_folders(images / "train"))
    if strange := sorted(set(in_table) - set(names)):
        raise ValueError(
            f"data_dir: {SOLUTION} tells of classes that train/ lacks: "
            f"{listed(strange)}"
        )
    train = None
    if not evaluation_only:
        train = FolderSplit(folder, images / "train", names, skip_corrupt)
    validation = ListedImages(images / "val", truth, names, skip_corrupt)
    return Source(names, train, validation, ("train", "val"))


class ListedImages(Split):
    """The images of one folder, of classes that a table tells.

    Args:
        folder: Path.
        truth: {file name without suffix: class name}.
        class_names: tuple.
        skip_others: leave out what is no file.

    Raises:
        ValueError: an image is not in the table, or something is no file.
    """

    def __init__(self, folder, truth, class_names, skip_others):
        self._folder = folder
        paths = class_files(folder, skip_others)
        self._names = [os.path.relpath(os.fsdecode(path), folder) for path in paths]
        stems = [os.path.splitext(os.path.basename(name))[0] for name in self._names]
        if unknown := [stem for stem in stems if stem not in truth]:
            raise ValueError(
                f"data_dir: {SOLUTION} does not tell the class of "
                f"{listed(map(shown, unknown))}"
            )
        label = {name: i for i, name in enumerate(class_names)}
        self.labels = np.array([label[truth[stem]] for stem in stems], "int64")

    def read(self, index):
        with open(self._folder / self._names[index], "rb") as file:
            return file.read()

    def name(self, index):
        return f"{self._folder.name}/{shown(self._names[index])}"


def _read_solution(path):
    """{image: class}; a row tells the class before each box, all of one class."""
    truth = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                name, told = row["ImageId"], row["PredictionString"].split()
                if name in truth or any(other != told[0] for other in told[::5]):
                    raise ValueError(
                        f"data_dir: {shown(path)} tells the class of {name!r:.80} "
                        "more than once: leave one row of one class for each image"
                    )
                truth[name] = told[0]
    except (KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error):
        raise ValueError(
            f"data_dir: {shown(path)} must be a table of ImageId and PredictionString, "
            "as Kaggle gives it"
        ) from None
    return truth
