"""ImageNet as image-net.org gives it: two tars and the development kit."""

import io
import tarfile

import numpy as np

from keras_t2t._ground.optional_imports import import_library
from keras_t2t.data.sources.source import Source
from keras_t2t.data.sources.tar_shards import TarSplit

TRAIN = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"
KIT = "ILSVRC2012_devkit_t12.tar.gz"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"
LAYOUT = f"{TRAIN}, {VALIDATION} and {KIT}"
CLASSES = 1000  # of the challenge; the kit tells of their groups too


def holds(folder):
    return any((folder / name).is_file() for name in (TRAIN, VALIDATION))


def open_source(wanted, root):
    """The images of the tar of tars and of the validation tar. Classes are named by
    WordNet's numbers (`n01440764`) in their order, as in folders that were unpacked."""
    needed = (VALIDATION, KIT) if wanted.evaluation_only else (TRAIN, VALIDATION, KIT)
    if missing := [name for name in needed if not (root / name).is_file()]:
        raise ValueError(
            f"{wanted.place} lacks {', '.join(missing)} of image-net.org; needed are "
            f"{', '.join(needed)}"
        )
    numbers, truth = _read_kit(root / KIT)
    names = tuple(sorted(numbers.values()))
    label = {name: i for i, name in enumerate(names)}

    def of_validation(_, index):
        # The labels are in the order of the numbers at the end of the images' names,
        # which folders of classes in the tar do not change.
        names = [name.rpartition("/")[2] for name in index.names]
        order = np.argsort(np.argsort(names))
        if len(truth) != len(order):
            raise ValueError(
                f"data_dir: {VALIDATION} has {len(order):,} images, and {KIT} labels "
                f"{len(truth):,}"
            )
        return np.array([label[numbers[number]] for number in truth])[order]

    def of_training(_, index):
        try:
            return np.array([label[name.partition("/")[0]] for name in index.names])
        except KeyError as error:
            raise ValueError(
                f"data_dir: {TRAIN} holds the class {error}, which {KIT} does not list"
            ) from None

    validation = TarSplit([root / VALIDATION], of_validation)
    train = None
    if not wanted.evaluation_only:
        train = TarSplit([root / TRAIN], of_training)
    return Source(names, train, validation)


def _read_kit(path):
    """{the kit's number of a class: WordNet's}, and a list of the validation images'
    labels by the kit's numbers."""
    try:
        with tarfile.open(path) as kit:
            files = {name.rpartition("/")[2]: name for name in kit.getnames()}
            truth = kit.extractfile(files[TRUTH]).read()
            meta = kit.extractfile(files["meta.mat"]).read()
        synsets = import_library("scipy.io").loadmat(io.BytesIO(meta), squeeze_me=True)
        numbers = {
            int(row["ILSVRC2012_ID"]): str(row["WNID"])
            for row in synsets["synsets"]
            if int(row["ILSVRC2012_ID"]) <= CLASSES
        }
        truth = [int(line) for line in truth.split()]
        if not set(truth) <= set(numbers):
            raise ValueError("its validation labels are of unknown classes")
    except ImportError:
        raise
    # For damaged files each library raises exceptions of its own.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"data_dir: {path} cannot be read as ImageNet's development kit: "
            f"{reason:.200}"
        ) from None
    return numbers, truth
