"""What lies in a folder decides what its folders are: splits, classes, or in doubt one
error. Nothing is decoded here."""

from pathlib import Path

import pytest

from keras_t2t import data
from keras_t2t.data.sources.layouts import find_source
from keras_t2t.data.sources.splits import role

PETS = ("cat", "dog")


def classes(place, count=5, names=PETS, suffix="png"):
    """Paths of some images of each class."""
    prefix = f"{place}/" if place else ""
    return [f"{prefix}{name}/{i}.{suffix}" for name in names for i in range(count)]


@pytest.fixture
def tree(tmp_path):
    """tree(*paths) -> a folder that holds them; what ends in / is an empty folder."""

    def tree(*paths):
        root = tmp_path / "archive"
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                (root / path).mkdir(parents=True, exist_ok=True)
            else:
                (root / path).write_bytes(b"x")
        return root

    return tree


def opened(root, **settings):
    """Class names, images that train and that validate, what is said."""
    source = find_source(Path(root), **settings)
    train = 0 if source.train is None else len(source.train)
    return source.class_names, train, len(source.validation), "; ".join(source.notes)


TRAIN = "train training Train TRAINING training_set Training-Images trainset trains"
VALIDATION = "val valid validation dev Val VALID Validation_Set validation_images vals"
TEST = "test testing Test TESTING test_set Test-Images testset seg_test tests test2017"
NAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


@pytest.mark.parametrize(
    ("name", "expected"),
    [(name, kind) for kind, names in NAMES.items() for name in names.split()]
    + [(name, None) for name in ("cat", "trainer", "valley", "contest", "1", "images")],
)
def test_names_of_splits(name, expected):
    assert role(name) == expected


@pytest.mark.parametrize(
    ("splits", "note"),
    [
        (("train", "valid", "test"), "valid/ validates, test/ is left alone"),
        (("train", "test", "val"), "val/ validates, test/ is left alone"),
        (("Training", "Testing"), "Testing/ validates"),
        (("Train", "Val", "Test"), "Val/ validates, Test/ is left alone"),
        (("TRAIN", "DEV", "TEST"), "DEV/ validates, TEST/ is left alone"),
        (("training_set", "test_set"), "test_set/ validates"),
        (("seg_train/seg_train", "seg_test/seg_test"), "seg_test/ validates"),
        (("train/train", "validation/validation"), "validation/ validates"),
        (("train/images", "val/images"), "val/ validates"),
    ],
)
def test_splits_by_any_name(tree, splits, note):
    """Roboflow's valid/ was not seen, and test/ chose the best weights."""
    files = [path for i, name in enumerate(splits) for path in classes(name, 5 - i)]
    root = tree(*files)
    validation = next(i for i, name in enumerate(splits) if name in note or i)
    if len(splits) == 3 and splits[1] == "test":
        validation = 2
    assert opened(root) == (PETS, 10, 2 * (5 - validation), note)


@pytest.mark.parametrize("litter", ["README.roboflow.txt", "__MACOSX/._x", "a.zip"])
def test_what_lies_beside_the_splits(tree, litter):
    root = tree(*classes("train"), *classes("valid", 2), litter)
    assert opened(root) == (PETS, 10, 4, "valid/ validates")


def test_a_training_split_alone(tree):
    root = tree(*classes("Training"))
    note = "20% of Training/ validates"
    assert opened(root) == (PETS, 8, 2, note)
    assert opened(root, validation_share=0.4)[1:3] == (6, 4)
    note = "20% of Training/ is evaluated"
    assert opened(root, evaluation_only=True) == (PETS, 0, 2, note)
    # The same images as of a flat folder of them.
    parts = [find_source(place) for place in (root, root / "Training")]
    names = [
        {Path(source.validation.name(i)).name for i in range(2)} for source in parts
    ]
    assert names[0] == names[1]


def test_a_test_split_without_classes_is_left_alone(tree):
    """Kaggle's competitions."""
    root = tree(*classes("train"), "test/1.jpg", "test/2.jpg", "sample.csv")
    note = "20% of train/ validates, test/ is left alone"
    assert opened(root) == (PETS, 8, 2, note)
    with pytest.raises(ValueError, match="test holds images, but no class folder"):
        find_source(root, evaluation_only=True, split="test")


def test_the_test_split_is_evaluated_when_asked_for(tree):
    root = tree(*classes("train"), *classes("valid", 3), *classes("Test", 2))
    assert opened(root, evaluation_only=True)[2] == 6
    note = "Test/ is evaluated, train/ and valid/ are left alone"
    found = opened(root, evaluation_only=True, split="test")
    assert found == (PETS, 0, 4, note)
    with pytest.raises(ValueError, match=r"split='test' is for evaluation only"):
        data.open_dataset(data_dir=root, split="test")
    with pytest.raises(ValueError, match=r"`split` must be one of \['test', 'valid"):
        data.open_dataset(data_dir=root, evaluation_only=True, split="train")


@pytest.mark.parametrize("paths", [classes(""), classes("train") + classes("val")])
def test_no_test_split(tree, paths):
    with pytest.raises(ValueError, match=r"without a test split|a split of test"):
        find_source(tree(*paths), evaluation_only=True, split="test")


def test_two_splits_for_one_purpose(tree):
    root = tree(*classes("train"), *classes("val"), *classes("Validation"))
    with pytest.raises(ValueError, match="2 folders of validation, Validation and val"):
        find_source(root)


@pytest.mark.parametrize(
    ("names", "images"),
    [
        (("cat", "dog", "test"), 12),
        (("cat", "dog", "test", "val"), 16),
        (("bus", "car", "train"), 12),
        (("Test", "cat"), 8),
        (("cat", "test", "val"), 12),
        (("dev", "prod", "test"), 12),
    ],
)
def test_a_class_may_have_the_name_of_a_split(tree, names, images):
    root = tree(*classes("", 5, names))
    assert opened(root)[:2] == (tuple(sorted(names)), images)
    assert opened(root, evaluation_only=True)[0] == tuple(sorted(names))
    both = tree(*classes("photos/train", 5, names), *classes("photos/val", 2, names))
    assert opened(both / "photos")[0] == tuple(sorted(names))
    one = tree(
        *[path for name in names for path in classes(f"one/{name}", 5, name[:1])]
    )
    assert opened(one / "one")[0] == tuple(sorted(names))


def test_classes_of_a_split_may_have_such_names_alone(tree):
    names = ("test", "val")
    root = tree(*classes("train", 5, names), *classes("val", 2, names))
    assert opened(root)[:3] == (names, 10, 4)


def test_classes_of_folders(tree):
    root = tree("cat/a/1.png", "cat/b/2.png", "dog/c/1.png", "dog/2.png")
    assert opened(root)[:3] == (PETS, 2, 2)
    # As Tiny ImageNet's.
    root = tree(
        *[f"tiny/{n}/images/{i}.JPEG" for n in ("n1", "n2", "test") for i in "ab"]
    )
    assert opened(root / "tiny")[:3] == (("n1", "n2", "test"), 3, 3)


DOUBLED = {
    "flat": (classes("PetImages"), "PetImages"),
    "twice": (classes("pets/pets"), "pets/pets"),
    "beside others": ([*classes("Images"), "docs/a.txt", "labels/1.xml"], "Images"),
    "litter": ([*classes("pets"), "__MACOSX/pets/._1.png", "Thumbs.db"], "pets"),
    "splits": (classes("data/Train") + classes("data/Test"), "data"),
    "by a split's name": (classes("test/train") + classes("test/val"), "test"),
    "files": ([*classes("imgs/train"), "imgs/test/1.jpg", "list.csv"], "imgs"),
}


@pytest.mark.parametrize("name", DOUBLED)
def test_a_folder_that_unzipping_doubled(tree, name):
    paths, inside = DOUBLED[name]
    found, _, _, note = opened(tree(*paths))
    assert found == PETS and note.startswith(f"all lies in {inside}/; ")


def test_files_that_systems_leave_are_no_images(tree):
    left = ["Thumbs.db", "desktop.ini", ".DS_Store", "._1.png", "@eaDir/1.png/x.jpg"]
    root = tree(*classes(""), *[f"cat/{name}" for name in left], "__MACOSX/cat/._1.png")
    assert opened(root)[:3] == (PETS, 8, 2)


REFUSED = {
    "splits of other names": (
        classes("fold1") + classes("fold2"),
        r"fold1/, fold2/ hold no images but folders of the same names \(cat, dog\), so "
        "that they look like splits",
    ),
    "splits of a name's": (
        classes("pets_train") + classes("pets_test"),
        "pets_test/, pets_train/ look by their names like splits",
    ),
    "splits without classes": (
        [*[f"pets_train/{i}.png" for i in range(5)], "pets_test/1.png"],
        "look by their names like splits of one data set",
    ),
    "in the classes' names": (
        classes("", 2, ("train_cat", "train_dog", "test_cat", "test_dog")),
        "look by their names like splits",
    ),
    "splits in the classes": (
        [*classes("cat", 2, ("train", "test")), *classes("dog", 2, ("train", "test"))],
        r"cat/, dog/ hold no images but folders of the same names \(test, train\)",
    ),
    "images beside others": (
        classes("Images") + classes("Crops"),
        "Crops/, Images/ hold no images but folders of the same names",
    ),
    "a copy within": (
        [*classes(""), *classes("pets")],
        r"pets/ holds folders of the same names as those beside it \(cat, dog\)",
    ),
    "classes and a split": (
        [*classes(""), *classes("test")],
        r"holds test/ by name and content a split, and beside it images in cat/, dog/",
    ),
    "classes and training": (
        [*classes("", 2, ("bus", "car")), *classes("train", 2, ("steam", "diesel"))],
        "holds train/ by name and content a split",
    ),
    "images and masks": (
        [*classes("", 2, ("Images",)), *classes("annotations", 2, ("trimaps",))],
        "Images/, annotations/ look like images and their annotations",
    ),
    "images and labels of splits": (
        classes("train", 2, ("images", "labels"))
        + classes("val", 2, ("images", "labels")),
        "images/, labels/ look like images and their annotations",
    ),
    "splits beside unlabeled images": (
        [*classes("Pets/Pets/train"), *classes("Pets/Pets/valid"), "test/test/1.jpg"],
        r"Pets/ holds splits \(train, valid\), so it is no class: give it as data_dir",
    ),
    "only loose images": (
        ["train/1.png", "test/1.png"],
        "test/, train/ would be a split by the name, and holds images without",
    ),
    "loose images and another": (
        ["train/1.png", "test/1.png", "sample/1.png"],
        "test/, train/ would be a split by the name",
    ),
    "one split of loose images": (["test/1.png"], "test/ would be a split"),
    "validation without classes": (
        [*classes("train"), "val/1.png"],
        "val holds images, but no class folder",
    ),
    "no class": (["train/", "val/"], "train holds no class folder"),
    "no training": (
        classes("val"),
        r"folders of the splits \['val'\]; needed is a split of train",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_neither_is_told(tree, name):
    """These became classes of a flat folder."""
    paths, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as error:
        find_source(tree(*paths))
    assert "\n" not in str(error.value)


def test_a_class_whose_name_begins_with_a_dot(tree):
    """It vanished."""
    names = (".22 LR", ".45 ACP", "9mm")
    litter = (".cache", ".ipynb_checkpoints", ".Trash-1000", ".git")
    root = tree(*classes("", 5, names), *classes("", 1, litter), ".notes/a.txt")
    assert opened(root)[:3] == (names, 12, 3)
    root = tree(*classes("both/train", 5, names), *classes("both/val", 2, names))
    assert opened(root / "both")[:3] == (names, 15, 6)
    with pytest.raises(
        ValueError, match=r"\.NET begins with a dot, which hides it, and"
    ):
        find_source(tree(*classes("more", 1, ("cat", "dog", ".NET"))) / "more")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["photos.tar.gz"], r"the files photos\.tar\.gz; unpack photos\.tar\.gz first"),
        (["a.zip", "x/"], r"\['x'\], and the files a\.zip; unpack a\.zip first"),
        (["train-0.tar.gz", "val-0.tgz"], "compressed tars cannot be read: make them"),
        (["1.jpg", "2.jpg"], "1.jpg, 2.jpg; put images into a folder for each class"),
        (["cat/1.jpg"], r"with two classes or more: it holds the folders \['cat'\]"),
        (["a.csv"], "no folder, and the files a.csv"),
    ],
)
def test_a_folder_of_no_layout_says_what_it_holds(tree, paths, message):
    with pytest.raises(ValueError, match="none of the layouts .*" + message):
        find_source(tree(*paths))


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_too_few_images_are_named_as_they_lie(tree, prefix):
    """Flat folders were told of a train/ that there is none."""
    root = tree(*classes(prefix.strip("/")), f"{prefix}owl/1.png")
    with pytest.raises(
        ValueError, match="only one image in owl; every class needs one"
    ):
        data.open_dataset(data_dir=root)
    (root / f"{prefix}owl/1.png").unlink()
    with pytest.raises(ValueError, match="no image in owl; every class needs one"):
        data.open_dataset(data_dir=root)


@pytest.mark.parametrize("other", ["Meta", "Training (1)"])
def test_what_else_is_left_alone_is_said(tree, other):
    """As GTSRB: Train/<class>/*, Test/* and Meta/*."""
    root = tree(*classes("Train"), "Test/1.png", f"{other}/1.png")
    note = f"20% of Train/ validates, Test/ and {other}/ are left alone"
    assert opened(root) == (PETS, 8, 2, note)
