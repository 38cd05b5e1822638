"""What lies in a folder decides what its folders are: splits, classes, or in doubt one
error. Nothing is decoded here."""

import pytest

from keras_t2t import data
from keras_t2t.data.sources.layouts import find_source
from keras_t2t.data.sources.splits import role

PETS = ("cat", "dog")
COUNTS = {"*": 5, "+": 4, "?": 3}  # of cats and of dogs


def expanded(pattern):
    """Paths, as a shell makes them: of a/{b,c} a/b and a/c, of {1..3} 1, 2 and 3."""
    before, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    inside, _, after = rest.partition("}")
    first, dots, last = inside.partition("..")
    parts = range(int(first), int(last) + 1) if dots else inside.split(",")
    return [path for part in parts for path in expanded(f"{before}{part}{after}")]


@pytest.fixture
def tree(tmp_path):
    """tree("train/*, val/") -> a folder with ten images of cats and dogs in train/, see
    `COUNTS` and `expanded`, and an empty folder val/."""

    def tree(patterns):
        root = tmp_path / "archive"
        for mark, count in COUNTS.items():
            patterns = patterns.replace(mark, f"{{cat,dog}}/{{1..{count}}}.png")
        for pattern in patterns.split(", "):
            for path in expanded(pattern):
                folder = root / path.rpartition("/")[0]
                folder.mkdir(parents=True, exist_ok=True)
                if not path.endswith("/"):
                    (root / path).write_bytes(b"x")
        return root

    return tree


def opened(root, **settings):
    """Class names, images that train and that validate, what is said."""
    source = find_source(root, **settings)
    train = 0 if source.train is None else len(source.train)
    return source.class_names, train, len(source.validation), "; ".join(source.notes)


def names_of(split):
    return {split.name(i) for i in range(len(split))}


TRAIN = "train training Train TRAINING training_set Training-Images trainset trains"
VALIDATION = "val valid validation dev Val VALID Validation_Set validation_images vals"
TEST = "test testing Test TESTING test_set Test-Images testset seg_test tests test2017"
NONE = "cat trainer valley contest 1 images"
NAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST, None: NONE}


@pytest.mark.parametrize(
    ("name", "expected"),
    [(name, kind) for kind, names in NAMES.items() for name in names.split()],
)
def test_names_of_splits(name, expected):
    assert role(name) == expected


SHARED = "20% of each class validates"
LITTER = "{Thumbs.db,desktop.ini,.DS_Store,._1.png,@eaDir/1.png/x.jpg}"
ONE = "20% of Train/ validates, Test/ {} left alone"
FOUND = {
    # Roboflow's valid/ was not seen, and test/ chose the best weights.
    "train/*, valid/+, test/?": (10, 8, "valid/ validates, test/ is left alone"),
    "TRAIN/*, DEV/+, TEST/?": (10, 8, "DEV/ validates, TEST/ is left alone"),
    "Training/*, Testing/+": (10, 8, "Testing/ validates"),
    "seg_train/seg_train/*, seg_test/seg_test/+": (10, 8, "seg_test/ validates"),
    "train/train/*, validation/validation/+": (10, 8, "validation/ validates"),
    "train/images/*, val/images/+": (10, 8, "val/ validates"),
    # What lies beside splits: Kaggle's test images, and GTSRB's Meta/.
    "train/*, val/*, README.roboflow.txt": (10, 10, "val/ validates"),
    "train/*, val/*, __MACOSX/._x": (10, 10, "val/ validates"),
    "train/*, val/*, a.zip": (10, 10, "val/ validates"),
    "Train/*, Test/{1,2}.jpg, a.csv": (8, 2, ONE.format("is")),
    "Train/*, Test/1.png, Meta/1.png": (8, 2, ONE.format("and Meta/ are")),
    "Train/*, Test/1.png, Train (1)/1.png": (8, 2, ONE.format("and Train (1)/ are")),
    # Folders in classes, and files that systems leave.
    "cat/a/1.png, cat/b/2.png, dog/c/1.png, dog/2.png": (2, 2, SHARED),
    f"*, cat/{LITTER}, __MACOSX/cat/._1.png": (8, 2, SHARED),
    # What unzipping doubled.
    "PetImages/*": (8, 2, f"all lies in PetImages/; {SHARED}"),
    "pets/pets/*": (8, 2, f"all lies in pets/pets/; {SHARED}"),
    "Images/*, docs/a.txt, labels/1.xml": (8, 2, f"all lies in Images/; {SHARED}"),
    "pets/*, __MACOSX/pets/._1.png, Thumbs.db": (8, 2, f"all lies in pets/; {SHARED}"),
    "data/{Train,Test}/*": (10, 10, "all lies in data/; Test/ validates"),
    "test/{train,val}/*": (10, 10, "all lies in test/; val/ validates"),
    "x/Train/*, x/Test/1.jpg, y.csv": (8, 2, f"all lies in x/; {ONE}".format("is")),
}


@pytest.mark.parametrize("paths", FOUND)
def test_what_is_found(tree, paths):
    assert opened(tree(paths)) == (PETS, *FOUND[paths])


def test_a_share_of_each_class_validates_where_nothing_is_split(tree):
    root = tree("cat/{1..5}.png, dog/{1..20}.png")
    source = find_source(root)
    assert (source.class_names, source.validation_share) == (PETS, 0.2)
    held, rest = names_of(source.validation), names_of(source.train)
    assert (len(held), len(rest)) == (5, 20) and not held & rest
    assert sum(name.startswith("cat") for name in held) == 1
    # The same images, to evaluate or in another run.
    again = find_source(root, evaluation_only=True)
    assert names_of(again.validation) == held
    assert opened(root, evaluation_only=True, validation_share=1)[2] == 25
    assert opened(root, validation_share=0.4)[1:3] == (15, 10)
    assert opened(root, validation_share=0.99)[1:3] == (2, 23)  # one of each trains


def sides(root):
    """{name: whether it validates} of the images of a folder without splits."""
    splits = find_source(root).splits
    return {
        name: key == "validation" for key in splits for name in names_of(splits[key])
    }


def test_a_file_that_comes_or_goes_moves_one_image_of_its_class_at_most(tree):
    """All of its class were drawn anew, so images that had trained validated."""
    root = tree("cat/{1..40}.png, dog/{1..40}.png")
    before = sides(root)
    # Of every system and Python the same.
    held = [i for i in range(1, 41) if before[f"cat/{i}.png"]]
    assert held == [1, 3, 7, 16, 19, 27, 34, 36]
    for path in expanded("cat/new{1..9}.png") + expanded("dog/{11..20}.png"):
        (root / path).unlink() if path in before else tree(path)
        after = sides(root)
        common = before.keys() & after
        moved = [name for name in common if before[name] != after[name]]
        assert len(moved) <= 1 and all(name[:3] == path[:3] for name in moved)
        for pet in PETS:
            images = [validates for name, validates in after.items() if pet in name]
            assert sum(images) == round(0.2 * len(images))
        before = after
    tree("ant/{1..5}.png")
    assert sides(root).items() >= before.items()


def test_a_training_split_alone(tree):
    root = tree("Training/*")
    assert opened(root) == (PETS, 8, 2, "20% of Training/ validates")
    note = "20% of Training/ is evaluated"
    assert opened(root, evaluation_only=True) == (PETS, 0, 2, note)
    # The same images as of a flat folder of them.
    held = names_of(find_source(root / "Training").validation)
    assert names_of(find_source(root).validation) == {f"Training/{n}" for n in held}


def test_no_share_where_splits_are_given(tree):
    with pytest.raises(ValueError, match=r"archive' has splits of its own; got 0\.2"):
        data.open_dataset(data_dir=tree("{train,val}/*"), validation_share=0.2)


def test_the_test_split_is_evaluated_when_asked_for(tree):
    root = tree("{train,valid}/*, train/other/1.png, Test/{cat,dog}/{1,2}.png")
    note = "valid/ is evaluated, Test/ and train/ are left alone"
    assert opened(root, evaluation_only=True) == (PETS, 0, 10, note)
    note = "Test/ is evaluated, train/ and valid/ are left alone"
    assert opened(root, evaluation_only=True, split="test") == (PETS, 0, 4, note)
    with pytest.raises(ValueError, match=r"split='test' is for evaluation only"):
        data.open_dataset(data_dir=root, split="test")


@pytest.mark.parametrize(
    ("paths", "split", "message"),
    [
        ("*", "test", "without a test split"),
        ("train/*, test/1.jpg", "test", "test holds images, but no class folder"),
        ("{train,val}/*", "test", "needed is a split of test"),
        ("val/", "validation", "val holds no class folder"),
    ],
)
def test_nothing_to_evaluate(tree, paths, split, message):
    with pytest.raises(ValueError, match=message):
        find_source(tree(paths), evaluation_only=True, split=split)


NAMED_LIKE_SPLITS = """
    {cat,dog,test} {cat,dog,test,val} {bus,car,train} {Test,cat} {cat,test,val}
    {dev,prod,test}
""".split()


@pytest.mark.parametrize("names", NAMED_LIKE_SPLITS)
def test_a_class_may_have_the_name_of_a_split(tree, names):
    expected = tuple(expanded(names))
    root = tree(names + "/{1..5}.png")
    assert opened(root)[:2] == (expected, 4 * len(expected))
    assert opened(root, evaluation_only=True)[0] == expected
    tree("both/{train,val}/" + names + "/{1..5}.png")
    assert opened(root / "both")[0] == expected
    for name in expected:
        tree(f"one/{name}/{name[0]}/1.png, one/{name}/{name[0]}/2.png")
    assert opened(root / "one")[0] == expected


# Names that begin with a dot, which vanished.
CALIBRES = ".22 LR", ".45 ACP", "9mm"
OF_CALIBRES = "{.22 LR,.45 ACP,9mm}/{1..5}.png"
HIDDEN = "{.cache,.ipynb_checkpoints,.Trash-1000,.git}/1.png, .notes/a.txt"


@pytest.mark.parametrize(
    ("paths", "names", "train", "validation"),
    [
        ("{train,val}/{test,val}/{1..5}.png", ("test", "val"), 10, 10),
        # As Tiny ImageNet's.
        ("{n1,n2,test}/images/{a,b}.JPEG", ("n1", "n2", "test"), 3, 3),
        (f"{OF_CALIBRES}, {HIDDEN}", CALIBRES, 12, 3),
        ("{train,val}/" + OF_CALIBRES, CALIBRES, 15, 15),
    ],
)
def test_classes_of_odd_names(tree, paths, names, train, validation):
    assert opened(tree(paths))[:3] == (names, train, validation)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        # Splits of other names, and images in several versions.
        ("fold{1,2}/*", r"fold1/, fold2/ hold no images but .*\(cat, dog\)"),
        ("{cat,dog}/{train,test}/*", r"cat/, dog/ hold .*\(test, train\)"),
        ("*, pets/*", r"pets/ holds folders of the same names .*cat, d"),
        # Names of splits in the names of folders.
        ("pets_train/{1..5}.png, pets_test/1.png", "look by their names like splits"),
        ("{train,test}_{cat,dog}/{1,2}.png", "look by their names like splits"),
        # Splits beside classes or other folders.
        ("*, test/*", "test/ by name and .* split, .* in cat/, dog/"),
        ("{bus,car,train/steam,train/diesel}/1.png", "train/ by name and content a sp"),
        ("Pets/Pets/{train,valid}/*, test/test/1.jpg", "Pets/ holds splits "),
        # Images and what is known of them.
        ("Images/1.png, annotations/trimaps/1.png", "Images/, annotations/ look like"),
        ("{train,val}/{images,labels}/1.png", "images/, labels/ look like images and"),
        # Splits without classes.
        ("{train,test}/1.png", "test/, train/ would be a split by the name"),
        ("{train,test,sample}/1.png", "test/, train/ would be a split by the name"),
        ("test/1.png", "test/ would be a split"),
        ("train/*, val/1.png", "val holds images, but no class folder"),
        ("train/, val/", "train holds no class folder"),
        # A split too few or too many.
        ("val/*", r"folders of the splits \['val'\]; needed is a split of tra"),
        ("{train,val,Validation}/*", "2 folders of .*, Validation and val"),
        # Classes that differ; accents as macOS writes them, in two characters.
        ("train/{cat,wolf}/1.png, val/{cat,dog}/1.png", "/: wolf; only in val/: dog"),
        ("train/caf\xe9/1, val/cafe\u0301/1", r"/: 'caf\\xe9'; .*: 'cafe\\u0301'"),
        ("train/{b ,c}/1.png, val/b/1.png", "/: 'b ', 'c'; only in val/: 'b'"),
        ("train/\u732b/1.png, val/\u72ac/1.png", "/: \u732b; only in val/: \u72ac"),
        ("train/{a,\x1b[31m}/1, val/a/1", r"/: \\x1b\[31m; only in val/: none"),
        # Names that do not show.
        ("{a\nb,c}/1.png", r"a\\nb has invisible characters"),
        ("{\u05d0\u200f,c}/1.png", "has invisible characters"),
        ("{cat,dog,.NET}/1.png", r"\.NET begins with a dot, which hides it, and"),
        # No layout: what it holds is told.
        ("photos.tar.gz", r"the files photos\.tar\.gz; unpack photos\.tar\.gz first"),
        ("a.zip, x/", r"\['x'\], and the files a\.zip; unpack a\.zip first"),
        ("train-0.tar.gz, val-0.tgz", "compressed tars cannot be read: make them"),
        ("{1,2}.jpg", "1.jpg, 2.jpg; put images into a folder for each class"),
        ("cat/1.jpg", r"with two classes or more: it holds the folders \['cat'\]"),
        ("a.csv", "none of the layouts .* no folder, and the files a.csv"),
        # Too few images, named as they lie.
        ("*, owl/1.png", "only one image in owl; every class needs one"),
        ("*, owl/", "no image in owl; every class needs one"),
        ("{train,val}/*, train/owl/.x, val/owl/1", "no image in train/owl;"),
        ("{train,val}/*, train/owl/1, val/owl/.x", "no image in val/owl;"),
    ],
)
def test_what_is_in_doubt_or_missing_is_told(tree, paths, message):
    """Many of these became classes of a flat folder."""
    with pytest.raises(ValueError, match=message) as error:
        data.open_dataset(data_dir=tree(paths))
    assert "\n" not in str(error.value)
