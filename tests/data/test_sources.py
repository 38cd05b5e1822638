"""Every layout gives the same streams of the same images, and tells bad files."""

import functools
import gzip
import io
import json
import os
import shutil
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data_layouts as layouts
from keras_t2t import data
from keras_t2t.data.opening import naming_unreadable
from keras_t2t.data.sources.layouts import find_source
from keras_t2t.data.sources.wordnet import WORDNET
from tests.data import streams


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras/datasets/keras_t2t"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "copy"


def everything(folder):
    """(split, bytes, label) of each image, in their order."""
    splits = find_source(folder).splits.items()
    return [
        (key, *split.example(i)) for key, split in splits for i in range(len(split))
    ]


WRITERS = {
    # Row groups that are smaller than a batch.
    "parquet": functools.partial(layouts.write_parquet, rows_each=2),
    "parquet, img": functools.partial(layouts.write_parquet, column="img"),
    "tar": layouts.write_tars,
    "tars with json": functools.partial(layouts.write_tars, labels="json"),
    "kaggle": layouts.write_kaggle,
}


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("layout", WRITERS)
def test_streams_equal_the_folders(layout, folder, write_folder, small_files):
    WRITERS[layout](folder, small_files)
    copy, plain = (
        data.open_dataset(data_dir=place)
        for place in (folder, write_folder(small_files))
    )
    assert copy.name == "copy"
    assert copy.class_names == ("cat", "dog")
    assert (copy.num_train, copy.num_validation) == (6, 4)
    ours, theirs = (
        streams.batches(dataset.train_batches(16, 4, 3), 5)
        + streams.batches(dataset.validation_batches(16, 3))
        for dataset in (copy, plain)
    )
    streams.assert_same(ours, theirs)


def test_image_net_s_own_tars(folder, small_files, write_folder, capsys):
    layouts.write_imagenet_tars(folder, small_files)
    cat, dog = map(layouts.synset, range(2))
    assert find_source(folder).class_names == (dog, cat)
    assert "6 images in 1 tars, indexed in " in capsys.readouterr().out
    batches = data.open_dataset(data_dir=folder).validation_batches(16, 3)
    assert sum(len(images) for images, _ in streams.batches(batches)) == 4
    # As the folders that people unpack them to, in WordNet's order.
    renamed = {
        path.replace("cat", cat).replace("dog", dog): content
        for path, content in small_files.items()
    }
    unpacked = write_folder(renamed)
    assert sorted(everything(folder)) == sorted(everything(unpacked))
    # Packed again from folders of classes, whose names are in another order.
    path = folder / IMAGENET_VAL
    with tarfile.open(path) as archive:
        images = {file.name: archive.extractfile(file).read() for file in archive}
    names = [f"{letter}/{name}" for letter, name in zip("zyxw", images, strict=True)]
    layouts.write_tar(path, dict(zip(names, images.values(), strict=True)))
    assert sorted(everything(folder)) == sorted(everything(unpacked))


HASHED = " ".join(
    f"{split}-0000{i}-of-00002-9c1f2e3d4a5b6c7{i}"
    for split in ("train", "validation", "test")
    for i in (0, 1)
)
# {names of files, "-" for none: images that train and that validate, what validates,
# what is left alone}.
SHARD_NAMES = {
    "Train-0 Train-1 VALID-0 VALID-1 Test-0 Test-1": (6, 4, "valid", "test"),
    "x_training_0 x_training_1 x_dev_0 x_dev_1 x_test_0": (6, 4, "dev", "test"),
    HASHED: (6, 4, "validation", "test"),
    "train/0000 train/0001 validation/0000 validation/0001": (6, 4, "validation"),
    "data/Train/0 data/Train/1 data/val/0 data/val/1": (6, 4, "val"),
    "default/train/0000 default/train/0001 default/test/0000": (6, 2, "test"),
    "data/train-part-0 data/train-part-1 data/val_shard_0": (6, 2, "val"),
    "train/part-a train/part-b test/part-a test/part-b": (6, 4, "test"),
    "train - test": (3, 2, "test"),
    # One file of validation beside numbered ones of training was ignored.
    "train-0 train-1 val more": (6, 2, "val", "more.{}"),
    # A share of what lies there alone validates.
    "a - b": (4, 1, "20% of train"),
    "0000 - 0001": (4, 1, "20% of train"),
}


@pytest.mark.parametrize("kind", ["tar", "parquet"])
@pytest.mark.parametrize("names", SHARD_NAMES)
def test_shards_of_any_name(tmp_path, folder, small_files, names, kind):
    """Only the words of the hubs' own scripts were known."""
    WRITERS[kind](tmp_path / "new", small_files)
    made = sorted((tmp_path / "new").glob(f"*.{kind}"))
    made += made[2:]  # a test split equal to validation
    for name, path in zip(names.split(), made, strict=False):
        if name != "-":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / f"{name}.{kind}")
    if kind == "tar":
        shutil.copy(tmp_path / "new/classnames.txt", folder)
    source = find_source(folder)
    *counts, validates, left = (*SHARD_NAMES[names], "")[:4]
    assert source.class_names == ("cat", "dog")
    assert [len(source.train), len(source.validation)] == counts
    left = left and f", {left.format(kind)} is left alone"
    counted = "-of-" not in names and any(map(str.isdigit, names))
    assert source.notes[-1].startswith("found ") == counted
    assert source.notes[-1 - counted] == f"{validates} validates{left}"
    if "test is left" in left:
        test = find_source(folder, evaluation_only=True, split="test")
        assert len(test.validation) > 1 and test.train is None


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_further_shard_moves_few_images(folder, tmp_path, kind):
    """The names of parquet files tell how many there are."""
    folder.mkdir()

    def sides(numbers, name):
        paths = [f"train/{pet}/{i}.png" for pet in ("cat", "dog") for i in numbers]
        WRITERS[kind](
            tmp_path / name, {path: path.encode() for path in paths}, shards=1
        )
        path = min((tmp_path / name).glob(f"*.{kind}"))
        path.rename(folder / f"{name}.{kind}")
        return {image: split for split, image, _ in everything(folder)}

    before = sides(range(50), "train-0000-of-0001")
    (first,) = folder.iterdir()
    first.rename(folder / f"train-0000-of-0002-9c1f2e3d.{kind}")
    after = sides(range(50, 55), "train-0001-of-0002")
    assert len(after) == 110 and after != before
    assert sum(after[image] != before[image] for image in before) <= 10


def test_an_index_is_kept_until_it_or_its_tar_changes(
    folder, small_files, cache, monkeypatch, capsys
):
    def indexed():
        return everything(folder), capsys.readouterr().out

    layouts.write_tars(folder, small_files)
    whole, told = indexed()
    assert "6 images in 2 tars, indexed in " in told
    assert len(list(cache.iterdir())) == 4
    assert indexed() == (whole, "")
    path = min(cache.iterdir())
    sound = path.read_bytes()
    for place in range(0, len(sound), 101):
        damaged = bytearray(sound)
        damaged[place] ^= 16
        for content in (damaged, sound[:place]):
            path.write_bytes(content)
            found, told = indexed()
            assert found == whole and "indexed in" in told
    # Another order of the same bytes, of another time.
    layouts.write_tars(folder, dict(reversed(small_files.items())))
    found, told = indexed()
    assert sorted(found) == sorted(whole) != found and "indexed in" in told
    monkeypatch.setenv("KERAS_HOME", __file__)
    found_again, told = indexed()
    assert found_again == found
    assert "pets-train-0000.tar is not kept: Not a directory" in told


# What spoils a folder: functions of it.


def changes(name, change):
    def spoil(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def half(content):
    return content[: len(content) // 2]


def one_member(content):
    """No end, and no half member: what a stopped download may leave."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return content[: archive.getmembers()[1].offset]


def writes(name, content):
    """A file of bytes, or a tar of {name: bytes}."""

    def spoil(folder):
        write = layouts.write_tar if isinstance(content, dict) else Path.write_bytes
        write(folder / name, content)

    return spoil


def without(pattern):
    return lambda folder: [path.unlink() for path in folder.glob(pattern)]


def copies(name, other):
    def spoil(folder):
        (folder / other).parent.mkdir(exist_ok=True)
        shutil.copy(folder / name, folder / other)

    return spoil


def into_data(folder):
    """All files but one of validation, to the folder data/ that hubs have."""
    (folder / "data").mkdir()
    for path in folder.glob("*.parquet"):
        path.rename(folder / "data" / path.name)
    (folder / "val.parquet").touch()


NAMES = "classnames.txt"
TAR = "pets-train-0000.tar"
BAD_TARS = {
    "missing": (without(TAR), "lacks 1 of the 2 files like pets-train-"),
    "cut": (changes(TAR, one_member), f"{TAR} cannot be read as a tar: it has no end"),
    "empty": (writes(TAR, b""), f"{TAR} cannot be read as a tar"),
    "compressed": (changes(TAR, gzip.compress), f"{TAR} cannot .* or compressed"),
    "one name": (writes(NAMES, b"cat"), r"dog_0\.jpg has the label 1, .* \(3 of 6 "),
    "an empty name": (writes(NAMES, b"cat\n\ndog"), f"{NAMES} must hold the name of a"),
    "names in Latin-1": (writes(NAMES, b"caf\xe9\ndog"), f"{NAMES} is no UTF-8"),
    "three names": (writes(NAMES, b"cat\ndog\nowl"), "no image in train/owl, "),
    "no label": (writes(TAR, {"a.jpg": b"x"}), f"{TAR}: a.jpg has no label"),
    "no training": (without("*train*"), r"tars of the splits \['validation'\]; needed"),
    "one twice": (copies(TAR, "a-train-0.tar"), "a-train-0.tar and pets-train-0"),
    "compressed by name": (writes("b-val-2.tar.gz", b"x"), "b-val-2.tar.gz is"),
    "no number": (copies(TAR, "train.tar"), "of one split .* have none: .* train.tar"),
    "an unclear name": (copies(TAR, "train-extra.tar"), "/train-extra.tar lies beside"),
    "and in a folder": (copies(TAR, "val/val-0.tar"), "beside folders .*/val-0.tar"),
}


def rewrite(change, pattern="*"):
    """A change of the tables in parquet files."""

    def spoil(folder):
        import pyarrow.parquet as pq

        for path in folder.glob(pattern):
            pq.write_table(change(pq.read_table(path)), path)

    return spoil


def column(name, value, type=None, pattern="*", renamed=None):
    """Another column in the place of this one, with one value in every row."""
    import pyarrow as pa

    def change(table):
        array = pa.array([value] * len(table), type)
        return table.drop_columns(name).append_column(renamed or name, array)

    return rewrite(change, pattern)


def metadata(text, pattern="*"):
    written = {"huggingface": text}
    return rewrite(lambda table: table.replace_schema_metadata(written), pattern)


def described(names):
    return json.dumps({"info": {"features": {"label": {"names": names}}}})


def add_folders(folder):
    names = ("train/a/1", "train/b/1", "val/a/1", "val/b/1")
    layouts.write_folders(folder, dict.fromkeys(names, b"x"))


def only_paths(folder):
    """What some versions of `datasets` write of a folder of images."""
    import pyarrow as pa

    type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    column("image", {"bytes": None, "path": "/home/me/1.jpg"}, type)(folder)


PARQUET = "train-00000-of-00002.parquet"
TURNED = described(["dog", "cat"])
NO_NUMBER = "the column label must hold a class's number in every row, got "
BAD_PARQUET = {
    "missing": (without(PARQUET), "lacks 1 of the 2 files like train-"),
    "cut": (changes(PARQUET, half), f"{PARQUET} cannot be read as parquet: "),
    "no images": (column("image", 1, renamed="x"), "column of images .* label, x"),
    "no labels": (column("label", 1, renamed="x"), "column of labels .* image, x"),
    "numbers as images": (column("image", 1), "image must hold encoded .* got int64"),
    "text as labels": (column("label", "cat"), f"{NO_NUMBER}string"),
    "a label above 2^63": (column("label", 2**63 + 1, "uint64"), "label 9223372036854"),
    "a label above 2^31": (column("label", 2**31), "has the label 2147483648, which"),
    "labels of time": (column("label", 5, "timestamp[s]"), f"{NO_NUMBER}timestamp"),
    "no label at all": (column("label", None), f"{NO_NUMBER}null or empty"),
    "yes or no": (column("label", True), f"{NO_NUMBER}bool"),
    "nested names": (metadata("[" * 9999), "'huggingface' is no JSON that can be read"),
    "no JSON": (metadata("{"), "'huggingface' is no JSON that can be read"),
    "names as text": (metadata(described("cat")), "list of the names of classes"),
    "names as numbers": (metadata(described([1, 2])), r"of classes, got \[1, 2\]"),
    "another order": (metadata(TURNED, "val*"), "validation-0.* other names"),
    "in one file": (metadata(TURNED, "train-00001*"), "train-00001.* other names"),
    "an unclear name": (copies(PARQUET, "val_x.parquet"), "/val_x.parquet lies beside"),
    "another count": (copies(PARQUET, "train-2-of-3.parquet"), r"files of \[2, 3\] in"),
    "a hash": (copies(PARQUET, "train-0-of-2-ab12cd34.parquet"), "have the same place"),
    "in two places": (copies(PARQUET, "data/train-0.parquet"), "/data, such as tr"),
    "only paths": (only_paths, "the column image holds no bytes of images, but"),
    "also in data/": (into_data, "/data has .* val.parquet"),
    "two layouts": (add_folders, r"has 2 layouts, train/<class>/\* and train-0"),
}
KIT = "ILSVRC2012_devkit_t12.tar.gz"
IMAGENET_TRAIN, IMAGENET_VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
BAD_IMAGENET = {
    "no kit": (without(KIT), f"lacks {KIT} of image-net.org"),
    "a cut kit": (changes(KIT, half), f"{KIT} cannot be read as ImageNet's dev"),
    "no validation": (without(IMAGENET_VAL), f"lacks {IMAGENET_VAL} of image-net.org"),
    "a class too many": (writes(IMAGENET_TRAIN, {"n1/x.png": b"x"}), "class 'n1'"),
    "an image less": (writes(IMAGENET_VAL, {"x.png": b"x"}), "1 images, .* labels 4"),
}


SOLUTION = "LOC_val_solution.csv"
PLACE = "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_0000000"
TWICE = "ILSVRC/Data/CLS-LOC/val/cat/ILSVRC2012_val_00000001.JPEG"


def table(*rows):
    """Rows of an image's last number and its classes."""
    rows = [f"\nILSVRC2012_val_0000000{row}" for row in rows]
    return writes(SOLUTION, f"ImageId,PredictionString{''.join(rows)}".encode())


def pipe(name):
    def spoil(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


BAD_KAGGLE = {
    "another table": (writes(SOLUTION, b"a,b\n1,2"), "must be a table of ImageId"),
    "a row less": (table("1,cat 1 2 3 4"), "not give the class of .*2, .*3, .*4"),
    "twice": (table("1,cat 1 2 3 4", "1,dog 1 2 3 4"), "00001' more than once"),
    "two classes": (table("1,cat 1 2 3 4 dog 1 2 3 4"), "00001' more than once"),
    "another class": (table("1,owl 1 2 3 4"), "names classes that train/ lacks: owl"),
    "an image less": (without(f"{PLACE}1.JPEG"), "lacks 1 of the 4 images of LOC_val"),
    "an image twice": (copies(f"{PLACE}1.JPEG", TWICE), "more than one file of .*0001"),
    "a pipe": (pipe(f"{PLACE}9.JPEG"), "broken links, or no files: .*9.JPEG"),
    "no table but a pipe": (pipe(SOLUTION), f"lacks {SOLUTION}"),
}
BAD = {
    layouts.write_tars: BAD_TARS,
    layouts.write_parquet: BAD_PARQUET,
    layouts.write_imagenet_tars: BAD_IMAGENET,
    layouts.write_kaggle: BAD_KAGGLE,
}


@pytest.mark.parametrize(
    ("write", "fault"), [(write, fault) for write in BAD for fault in BAD[write]]
)
def test_bad_files_are_told(folder, small_files, write, fault):
    write(folder, small_files)
    spoil, message = BAD[write][fault]
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        data.open_dataset(data_dir=folder)


def test_images_of_kaggle_s_table_can_be_left_out(folder, small_files):
    layouts.write_kaggle(folder, small_files)
    without(f"{PLACE}1.JPEG")(folder)
    assert len(find_source(folder, skip_corrupt=True).validation) == 3


def test_a_test_split_whose_labels_are_held_back(folder, small_files):
    layouts.write_parquet(folder, small_files)
    for path in sorted(folder.glob("validation*")):
        path.rename(path.with_name(path.name.replace("validation", "test")))
    assert find_source(folder).notes == ("test validates",)
    column("label", -1, pattern="test*")(folder)
    source = find_source(folder)
    assert source.notes == ("20% of train validates, test is left alone",)
    with pytest.raises(ValueError, match="has the label -1"):
        find_source(folder, evaluation_only=True, split="test")


@pytest.mark.parametrize("name", ["read", "read_row_group"])
def test_what_pyarrow_raises_is_one_error(folder, small_files, monkeypatch, name):
    """Of kinds that are no ValueError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def refuse(*args, **kwargs):
        raise pa.ArrowNotImplementedError("not this\ntype")

    layouts.write_parquet(folder, small_files)
    monkeypatch.setattr(pq.ParquetFile, name, refuse)
    with pytest.raises(ValueError, match="cannot be read as parquet: not this t"):
        find_source(folder).train.read(0)


def test_threads_read_a_row_group_once(folder, small_files, monkeypatch):
    """Each had read it for itself, with a file of one group in memory as many times."""
    import pyarrow.parquet as pq

    layouts.write_parquet(folder, small_files, shards=1)
    train = find_source(folder).train
    read, groups = pq.ParquetFile.read_row_group, []

    def slowly(file, group, **settings):
        groups.append(group)
        time.sleep(0.1)
        return read(file, group, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", slowly)
    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(train.read, range(6)))) == 6
    assert groups == [0]


@pytest.mark.parametrize(
    "text",
    [None, described(None), "[]", '{"info": null}', '{"info": {"features": [1]}}', "5"],
)
def test_names_of_parquet_beside_it_or_nowhere(folder, small_files, text):
    layouts.write_parquet(folder, small_files, named=False)
    if text is not None:
        metadata(text)(folder)
    source = find_source(folder)
    assert source.class_names == ("0", "1")
    assert "classes are called by number" in source.notes[1]
    for encoding in ("utf-8", "utf-8-sig"):  # as Windows writes it
        (folder / NAMES).write_text("cat\ndog\n", encoding)
        assert find_source(folder).class_names == ("cat", "dog")


def write_labels(path, names):
    """A tar of empty images: {name: label}."""
    members = {}
    for name, label in names.items():
        members |= {f"{name}.jpg": b"x", f"{name}.cls": b"%d" % label}
    layouts.write_tar(path, members)


def test_numbers_need_not_begin_with_0_and_a_thousand_are_image_net_s(tmp_path):
    train, validation = tmp_path / "train-0.tar", tmp_path / "val-0.tar"
    for numbers in ((1, 3), (7, 1000)):
        for path in (train, validation):
            write_labels(path, dict(zip("ab", numbers, strict=True)))
        source = find_source(tmp_path)
        assert source.class_names == tuple(map(str, numbers))
        assert source.notes[-1] == "found 1 tars of train and 1 tars of val"
        np.testing.assert_array_equal(source.train.labels, [0, 1])
    write_labels(train, {str(i): i for i in range(1000)})
    write_labels(validation, {f"{WORDNET[i]}_{i}": i for i in range(1000)})
    source = find_source(tmp_path)
    assert source.class_names == WORDNET
    assert "are taken for ImageNet's" in source.notes[1]
    assert WORDNET[0] == "n01440764" and list(WORDNET) == sorted(set(WORDNET))
    # Unless their names say that they are in another order, or it is another number.
    write_labels(validation, {f"{WORDNET[999 - i]}_{i}": i for i in range(1000)})
    assert find_source(tmp_path).class_names[:2] == ("0", "1")
    write_labels(validation, {str(i): i for i in range(999)})
    source = find_source(tmp_path, evaluation_only=True)
    assert source.class_names[:2] == ("0", "1")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux tells of them")
@pytest.mark.parametrize("write", [layouts.write_tars, layouts.write_parquet])
def test_no_file_stays_open(folder, small_files, write):
    """ImageNet's 1,024 tars are as many files as a process may have open."""
    write(folder, small_files)
    train = find_source(folder).train
    before = len(os.listdir("/proc/self/fd"))
    assert all(train.read(index) for index in range(len(train)))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("write", "name"), [(layouts.write_tars, TAR), (layouts.write_parquet, PARQUET)]
)
def test_a_file_that_changes_under_a_run(folder, small_files, write, name):
    write(folder, small_files)
    dataset = data.open_dataset(data_dir=folder)
    path = folder / name
    spoilt = b"\0" * path.stat().st_size
    for change, told in (
        (lambda: path.write_bytes(spoilt), f"{name} changed since it was"),
        (path.unlink, f"{name} cannot be read any more"),
    ):
        change()
        with pytest.raises(ValueError, match=told), naming_unreadable(dataset):
            streams.batches(dataset.train_batches(16, 6, 0), 2)


@pytest.mark.parametrize(
    ("write", "place"),
    [
        (layouts.write_tars, "pets-train-0000.tar: cat_0.jpg"),
        (layouts.write_parquet, "train-00000-of-00002.parquet: row 0"),
        (layouts.write_kaggle, "ILSVRC/Data/CLS-LOC/train/cat/0.png"),
    ],
)
def test_corrupt_images_are_named_and_skipped(
    folder, small_files, write, place, capsys
):
    small_files["train/cat/0.png"] = b"no image"
    write(folder, small_files)
    dataset = data.open_dataset(data_dir=folder)
    told = f"1 of 10 files cannot be decoded as images: {place};"
    with pytest.raises(ValueError, match=told), naming_unreadable(dataset):
        streams.batches(dataset.train_batches(16, 6, 0), 1)
    dataset = data.open_dataset(data_dir=folder, skip_corrupt=True)
    assert dataset.num_train == 5
    assert f"skipped 1 of 10 files as corrupt: {place}" in capsys.readouterr().out
    streams.batches(dataset.train_batches(16, 5, 0), 2)
