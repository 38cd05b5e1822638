"""Odd and broken trees of image folders, and what is said of where the data is.

Each case builds a tree. It is read with the right images and labels, or is refused.
"""

import os
import shutil
import socket
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.bad_input_harness import RIGHT, WRONG, Case

SIDE = 32  # px
CLASSES = ("cat", "dog")


class Tree(NamedTuple):
    """One case: what changes the good tree, what is then given, what is right."""

    change: Callable
    arguments: Callable = lambda root: {"data_dir": root}
    expected: tuple | None = None  # images to train on and to validate; None: refused


def cases(fraction):
    step = max(1, round(1 / fraction))
    return [Case("folder" if n in TREES else "arguments", n) for n in list(ALL)[::step]]


def prepare(folder):
    pass


def start(folder):
    from keras_t2t.data.opening import naming_unreadable, open_dataset

    def attempt(case):
        root = folder / "photographs"
        restore(folder)
        build(root)
        tree = ALL[case.name]
        tree.change(root)
        dataset = open_dataset(**tree.arguments(root))
        with naming_unreadable(dataset):
            batches = list(dataset.validation_batches(SIDE, 4))
        counts = dataset.num_train, dataset.num_validation
        return RIGHT if counts == tree.expected and labelled(batches) else WRONG

    return attempt


def restore(folder):
    os.chmod(folder, 0o755)
    for name in ("photographs", "elsewhere"):
        shutil.rmtree(folder / name, ignore_errors=True)
        if (folder / name).is_symlink() or (folder / name).is_file():
            (folder / name).unlink()


def picture(path, label, kind="PNG"):
    """A grey image whose brightness is its class's."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), (60 + 120 * label,) * 3).save(path, kind)


def build(root):
    """Three images of each class to train on, two to validate."""
    for split, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                picture(root / split / name / f"{number}.png", label)


def labelled(batches):
    """Whether every image lies under the label of its brightness, of two classes."""
    return all(
        len(target) != len(CLASSES)
        or int(np.asarray(image).mean() > 120) == int(np.argmax(target))
        for images, targets in batches
        for image, target in zip(images, targets, strict=True)
    )


def nothing(root):
    pass


def remove(*names):
    def change(root):
        for name in names:
            shutil.rmtree(root / name)

    return change


def move(*pairs):
    def change(root):
        for old, new in pairs:
            (root / new).parent.mkdir(parents=True, exist_ok=True)
            (root / old).rename(root / new)

    return change


def write(name, data=b"no image"):
    def change(root):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return change


def more(*names):
    def change(root):
        for name in names:
            label = CLASSES.index(name.split("/")[1])
            picture(root / os.fsdecode(name), label)

    return change


def link(name, to):
    def change(root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(to(root) if callable(to) else to)

    return change


def both(*changes):
    def change(root):
        for function in changes:
            function(root)

    return change


def empty_class(root):
    for path in (root / "train" / "dog").iterdir():
        path.unlink()


def fifo(root):
    os.mkfifo(root / "train" / "dog" / "pipe.png")


def unix_socket(root):
    with socket.socket(socket.AF_UNIX) as server:
        place = os.getcwd()
        os.chdir(root / "train" / "dog")  # such an address must be short
        try:
            server.bind("s.png")
        finally:
            os.chdir(place)


def elsewhere(root):
    """The same tree beside, for links to lead to."""
    target = root.parent / "elsewhere"
    target.mkdir(exist_ok=True)
    return target


def as_link(root):
    root.rename(root.parent / "elsewhere")
    root.symlink_to(root.parent / "elsewhere")


def linked_class(root):
    (root / "train" / "dog").rename(elsewhere(root) / "dog")
    (root / "train" / "dog").symlink_to(root.parent / "elsewhere" / "dog")


def linked_image(root):
    (root / "train" / "dog" / "0.png").rename(elsewhere(root) / "0.png")
    (root / "train" / "dog" / "0.png").symlink_to(root.parent / "elsewhere" / "0.png")


def not_utf8_class(root):
    for split in ("train", "val"):
        path = os.fsencode(root / split / "dog")
        os.rename(path, path[:-3] + b"d\xffg")


def a_file_as_root(root):
    shutil.rmtree(root)
    root.write_text("x")


def many_classes(root):
    for split in ("train", "val"):
        for number in range(300):
            source = root / split / "cat" / "0.png"
            target = root / split / f"c{number:03}" / "0.png"
            target.parent.mkdir()
            shutil.copy(source, target)


def skipping(root):
    return {"data_dir": root, "skip_corrupt": True}


def evaluating(root):
    return {"data_dir": root, "evaluation_only": True}


def of(**arguments):
    return lambda root: {
        name: value(root) if callable(value) else value
        for name, value in arguments.items()
    }


GOOD = (6, 4)
TREES = {
    "as it should be": Tree(nothing, expected=GOOD),
    "validation/ for val/": Tree(move(("val", "validation")), expected=GOOD),
    "no train/": Tree(remove("train")),
    "no val/": Tree(remove("val"), expected=(4, 2)),
    "neither": Tree(remove("train", "val")),
    "no train/, to evaluate": Tree(remove("train"), evaluating, (0, 4)),
    "no val/, to evaluate": Tree(remove("val"), evaluating, (0, 2)),
    "a class in train/ alone": Tree(remove("val/dog")),
    "a class in val/ alone": Tree(remove("train/dog")),
    "no class in train/": Tree(remove("train/cat", "train/dog")),
    "no class at all": Tree(remove("train/cat", "train/dog", "val/cat", "val/dog")),
    "an empty class": Tree(empty_class),
    "an empty class, skipping": Tree(empty_class, skipping),
    "classes in upper case in val/": Tree(move(("val/dog", "val/Dog"))),
    "images at the top": Tree(both(remove("train", "val"), write("x.png"))),
    "a flat folder of classes": Tree(
        both(move(("train/cat", "cat"), ("train/dog", "dog")), remove("train", "val")),
        expected=(4, 2),
    ),
    "a flat folder of one class": Tree(
        both(move(("train/cat", "cat")), remove("train", "val"))
    ),
    "the folder above": Tree(
        nothing, of(data_dir=lambda root: root.parent), expected=GOOD
    ),
    "the folder train/": Tree(
        nothing, of(data_dir=lambda root: root / "train"), (4, 2)
    ),
    "images in folders below": Tree(more("train/cat/a/b/c/x.png"), expected=(7, 4)),
    "no ending": Tree(more("train/cat/picture"), expected=(7, 4)),
    "a name with spaces": Tree(more("train/cat/a b.png"), expected=(7, 4)),
    "a name of two lines": Tree(more("train/cat/a\nb.png"), expected=(7, 4)),
    "a name that is no UTF-8": Tree(more("train/cat/\udcff.png"), expected=(7, 4)),
    "a class whose name is no UTF-8": Tree(not_utf8_class),
    "files of macOS": Tree(
        both(
            write("train/cat/.DS_Store"), write("val/dog/._0.png"), write(".DS_Store")
        ),
        expected=GOOD,
    ),
    "hidden folders": Tree(
        both(
            write("train/.cache/x"), write("train/cat/.thumbs/x.png"), write(".git/x")
        ),
        expected=GOOD,
    ),
    "a file beside the classes": Tree(write("train/README.txt"), expected=GOOD),
    "a file beside the splits": Tree(write("README.txt"), expected=GOOD),
    "another folder beside the splits": Tree(write("test/cat/x.png"), expected=GOOD),
    "val/ and validation/": Tree(write("validation/x"), expected=GOOD),
    "text among the images": Tree(write("val/cat/list.txt")),
    "text among the images, skipping": Tree(
        write("val/cat/list.txt"), skipping, expected=GOOD
    ),
    "an empty image": Tree(write("val/cat/x.png", b"")),
    "an empty image, skipping": Tree(write("val/cat/x.png", b""), skipping, GOOD),
    "train/ is a file": Tree(both(remove("train"), write("train"))),
    "val/ is a file": Tree(both(remove("val"), write("val")), expected=(4, 2)),
    "the root is a file": Tree(a_file_as_root),
    "the root is a link": Tree(as_link, expected=GOOD),
    "a class is a link": Tree(linked_class, expected=GOOD),
    "an image is a link": Tree(linked_image, expected=GOOD),
    "a link to nothing": Tree(link("train/cat/x.png", "gone.png")),
    "a link to nothing, skipping": Tree(
        link("train/cat/x.png", "gone.png"), skipping, GOOD
    ),
    "a link to itself": Tree(link("train/cat/x.png", "x.png")),
    "a link to its own class": Tree(link("train/cat/again", lambda r: r / "train/cat")),
    "a link to the root": Tree(link("train/cat/again", lambda r: r)),
    "a link to the root, skipping": Tree(
        link("train/cat/again", lambda r: r), skipping
    ),
    "a class that links to nothing": Tree(link("train/owl", "gone"), expected=GOOD),
    "a pipe": Tree(fifo),
    "a pipe, skipping": Tree(fifo, skipping, GOOD),
    "a socket": Tree(unix_socket),
    "302 classes": Tree(many_classes, expected=(306, 304)),
}
ARGUMENTS = {
    "a folder that is not there": Tree(nothing, of(data_dir=lambda r: r / "gone")),
    "an empty text": Tree(nothing, of(data_dir="")),
    "a number": Tree(nothing, of(data_dir=5)),
    "a list": Tree(nothing, of(data_dir=["x"])),
    "bytes": Tree(nothing, of(data_dir=lambda r: os.fsencode(r))),
    "a zero in the path": Tree(nothing, of(data_dir="a\0b")),
    "a path of 5,000 characters": Tree(nothing, of(data_dir="x" * 5000)),
    "text": Tree(nothing, of(data_dir=str), expected=GOOD),
    "the home of nobody": Tree(nothing, of(data_dir="~nobody-here/x")),
    "an unknown data set": Tree(nothing, of(dataset="no-such-set")),
    "an empty name of a data set": Tree(nothing, of(dataset="")),
    "a data set that is a number": Tree(nothing, of(dataset=3)),
    "a data set that is a path": Tree(nothing, of(dataset=lambda r: r)),
    "a data set that is not prepared": Tree(nothing, of(dataset="imagenet2012")),
    "digits from a folder": Tree(nothing, of(dataset="digits", data_dir=lambda r: r)),
    "digits, skipping": Tree(nothing, of(dataset="digits", skip_corrupt=True)),
}
ALL = TREES | ARGUMENTS
