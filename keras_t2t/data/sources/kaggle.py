"""ImageNet as Kaggle gives it: ILSVRC/Data/CLS-LOC and LOC_val_solution.csv."""

import csv
import os
from collections import Counter

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t.data.sources.image_folder import FileSplit, class_files, class_split
from keras_t2t.data.sources.listing import visible_folders
from keras_t2t.data.sources.source import Source, listed

IMAGES = "ILSVRC/Data/CLS-LOC"
SOLUTION = "LOC_val_solution.csv"
LAYOUT = f"{IMAGES} and {SOLUTION}"


def holds(folder):
    return (folder / IMAGES).is_dir()


def open_source(wanted, root):
    """The images under `train/<class>/`, and those in `val/` with classes from a table.
    Their names are WordNet's numbers (`n01440764`) in their order, as the folders'."""
    images = root / IMAGES
    folders = ["val"] if wanted.evaluation_only else ["train", "val"]
    missing = [f"{IMAGES}/{name}" for name in folders if not (images / name).is_dir()]
    if not (root / SOLUTION).is_file():  # opening a pipe would wait for its other end
        missing.append(SOLUTION)
    if missing:
        raise ValueError(f"{wanted.place} lacks {', '.join(missing)}")
    truth = _read_solution(root / SOLUTION)
    names = in_table = sorted(set(truth.values()))
    train = None
    if not wanted.evaluation_only:
        names = visible_folders(images / "train")
        train = class_split(wanted, images / "train", names)
    if strange := sorted(set(in_table) - set(names)):
        raise ValueError(
            f"data_dir: {SOLUTION} names classes that train/ lacks: {listed(strange)}"
        )
    paths = class_files(images / "val", wanted.skip_corrupt)
    stems = [os.path.splitext(os.path.basename(os.fsdecode(path)))[0] for path in paths]
    if unknown := [stem for stem in stems if stem not in truth]:
        raise ValueError(
            f"data_dir: {SOLUTION} does not give the class of {listed(unknown)}"
        )
    found, needed = Counter(stems), Counter(truth.keys())
    if twice := found - needed:
        raise ValueError(
            f"data_dir: {IMAGES}/val holds more than one file of {listed(twice)}"
        )
    if (lost := needed - found) and not wanted.skip_corrupt:
        raise ValueError(
            f"data_dir: {IMAGES}/val lacks {len(lost):,} of the {len(truth):,} images "
            f"of {SOLUTION}: {listed(lost)}; unpack them again, take out "
            "their rows, or give --skip-corrupt (skip_corrupt=True)"
        )
    label = {name: i for i, name in enumerate(names)}
    labels = np.array([label[truth[stem]] for stem in stems], "int64")
    validation = FileSplit(wanted.folder, images / "val", paths, labels)
    return Source(tuple(names), train, validation, ("train", "val"))


def _read_solution(path):
    """{image: class}. A row holds the class before each box, always the same one."""
    truth = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                name, boxes = row["ImageId"], row["PredictionString"].split()
                if name in truth or any(other != boxes[0] for other in boxes[::5]):
                    raise ValueError(
                        f"data_dir: {shown(path)} gives the class of {name!r:.80} "
                        "more than once: leave one row of one class for each image"
                    )
                truth[name] = boxes[0]
    except (KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error):
        raise ValueError(
            f"data_dir: {shown(path)} must be a table of ImageId and PredictionString, "
            "as Kaggle gives it"
        ) from None
    return truth
