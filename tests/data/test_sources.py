"""Every layout gives the same streams of the same images, and tells bad files."""

import functools
import json
import os
import shutil
import tarfile

import numpy as np
import pytest

from benchmarks import data_layouts as layouts
from keras_t2t import data
from keras_t2t.data.sources.layouts import find_source
from keras_t2t.data.sources.wordnet import WORDNET
from tests.data import streams


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras/datasets/keras_t2t"


def in_data_folder(folder, files):
    layouts.write_parquet(folder / "data", files)


# Row groups that are smaller than a batch.
write_parquet = functools.partial(layouts.write_parquet, rows_each=2)
WRITERS = {
    "parquet": write_parquet,
    "parquet, img": functools.partial(layouts.write_parquet, column="img"),
    "parquet in data/": in_data_folder,
    "tars": layouts.write_tars,
    "tars with json": functools.partial(layouts.write_tars, labels="json"),
    "kaggle": layouts.write_kaggle,
}


@pytest.fixture
def copy(request, tmp_path, small_files):
    WRITERS[request.param](tmp_path / "copy", small_files)
    return data.open_dataset(data_dir=tmp_path / "copy")


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("copy", WRITERS, indirect=True)
def test_streams_equal_the_folders(copy, write_folder, small_files):
    folder = data.open_dataset(data_dir=write_folder(small_files))
    assert copy.name == "copy"
    assert copy.class_names == folder.class_names == ("cat", "dog")
    assert (copy.num_train, copy.num_validation) == (6, 4)
    streams.assert_same(
        streams.batches(copy.train_batches(16, 4, 3), 5),
        streams.batches(folder.train_batches(16, 4, 3), 5),
    )
    streams.assert_same(
        streams.batches(copy.validation_batches(16, 3)),
        streams.batches(folder.validation_batches(16, 3)),
    )


def test_image_net_s_own_tars(tmp_path, small_files, write_folder, capsys):
    layouts.write_imagenet_tars(tmp_path / "tars", small_files)
    dataset = data.open_dataset(data_dir=tmp_path / "tars")
    assert "6 images in 1 tars, indexed in " in capsys.readouterr().out
    # As the folders that people unpack them to, in WordNet's order.
    assert dataset.class_names == (layouts.synset(1), layouts.synset(0))
    synsets = {"cat": layouts.synset(0), "dog": layouts.synset(1)}
    renamed = {}
    for path, content in small_files.items():
        split, name, image = path.split("/")
        renamed[f"{split}/{synsets[name]}/{image}"] = content
    folder = data.open_dataset(data_dir=write_folder(renamed))
    assert folder.class_names == dataset.class_names
    everything = [
        sorted(
            (image.tobytes(), target.tobytes())
            for images, targets in streams.batches(one.validation_batches(16, 4))
            for image, target in zip(images, targets, strict=True)
        )
        for one in (dataset, folder)
    ]
    assert everything[0] == everything[1]
    none = data.AUGMENTATIONS["none"]
    [(images, targets)] = streams.batches(dataset.train_batches(16, 6, 0, none), 1)
    for image, target in zip(images, targets, strict=True):
        is_cat = image[0, 0, 1] == 0
        np.testing.assert_array_equal(target, [0, 1] if is_cat else [1, 0])


def test_a_flat_folder_is_split_within_each_class(write_folder, encode):
    files = {
        f"{name}/{i}.png": encode(np.full((20, 20, 3), 40 * label + i, "uint8"), "PNG")
        for label, (name, count) in enumerate((("cat", 10), ("dog", 20)))
        for i in range(count)
    }
    folder = write_folder(files)
    dataset = data.open_dataset(data_dir=folder)
    assert dataset.class_names == ("cat", "dog")
    assert (dataset.num_train, dataset.num_validation) == (24, 6)
    assert dataset.validation_share == 0.2

    def seen(batches, count=None):
        parts = streams.batches(batches, count)
        images, targets = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        pixels = images[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(targets.argmax(1), pixels >= 40)
        return set(pixels)

    validation = seen(dataset.validation_batches(16, 4))
    training = seen(dataset.train_batches(16, 24, 0), 1)
    assert len(validation) == 6 and len(training) == 24
    assert not training & validation
    assert sum(pixel < 40 for pixel in validation) == 2
    # The same images, to evaluate or in another run.
    again = data.open_dataset(data_dir=folder, evaluation_only=True)
    assert seen(again.validation_batches(16, 4)) == validation
    everything = data.open_dataset(
        data_dir=folder, evaluation_only=True, validation_share=1
    )
    assert everything.num_validation == 30
    half = data.open_dataset(data_dir=folder, validation_share=0.5)
    assert (half.num_train, half.num_validation) == (15, 15)


@pytest.mark.parametrize("share", [0, -0.1, 1.5, "x", True, float("nan")])
def test_a_share_that_is_none(write_folder, small_files, share):
    with pytest.raises(ValueError, match=r"`validation_share` must be in \(0, 1\]"):
        data.open_dataset(data_dir=write_folder(small_files), validation_share=share)


def test_a_share_where_nothing_is_split(write_folder, small_files):
    folder = write_folder(small_files)
    with pytest.raises(ValueError, match=r"photos' has splits of its own; got 0\.2"):
        data.open_dataset(data_dir=folder, validation_share=0.2)
    with pytest.raises(ValueError, match="must leave images to train on, got 1"):
        data.open_dataset(data_dir=folder / "train", validation_share=1)
    shutil.rmtree(folder / "train/dog")
    with pytest.raises(ValueError, match=r"none of the layouts .* with two classes"):
        data.open_dataset(data_dir=folder / "train")


SHARD_NAMES = {
    "by hand": ("Train-0", "Train-1", "VALID-0", "VALID-1", "Test-0", "Test-1"),
    "other words": ("x_training_0", "x_training_1", "x_dev_0", "x_dev_1", "x_test_0"),
    "a hash": tuple(
        f"{split}-0000{i}-of-00002-9c1f2e3d4a5b6c7{i}"
        for split in ("train", "validation", "test")
        for i in (0, 1)
    ),
    "in folders": ("train/0000", "train/0001", "validation/0000", "validation/0001"),
    "in folders in data": ("data/Train/0", "data/Train/1", "data/val/0", "data/val/1"),
    "below": ("default/train/0000", "default/train/0001", "default/test/0000"),
    "parts": ("train-part-0", "train-part-1", "val_shard_0", "val_shard_1"),
    "no order": ("train/part-a", "train/part-b", "test/part-a", "test/part-b"),
}


@pytest.mark.parametrize("names", SHARD_NAMES)
@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_of_any_name(tmp_path, small_files, names, kind):
    """Only the words of the hubs' own scripts were known."""
    WRITERS["tars" if kind == "tar" else "parquet"](tmp_path / "new", small_files)
    made = sorted((tmp_path / "new").glob(f"*.{kind}"))
    files = [*made, *made[2:]]  # a test split equal to validation
    folder = tmp_path / "copy"
    for name, path in zip(SHARD_NAMES[names], files, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{name}.{kind}")
    if kind == "tar":
        shutil.copy(tmp_path / "new/classnames.txt", folder)
    source = find_source(folder)
    assert source.class_names == ("cat", "dog")
    validates = [name for name in SHARD_NAMES[names] if "rain" not in name]
    assert len(source.train) == 6
    assert len(source.validation) == (4 if len(validates) > 1 else 2)
    assert "validates" in source.notes[-1]
    if len(validates) > 2 or "other words" in names:
        assert "is left alone" in source.notes[-1]
        test = find_source(folder, evaluation_only=True, split="test")
        assert len(test.validation) > 1 and test.train is None


@pytest.mark.parametrize("kind", ["tar", "parquet"])
@pytest.mark.parametrize("names", [("train", "test"), ("a", "b"), ("0000", "0001")])
def test_shards_without_a_number_or_a_split(tmp_path, small_files, kind, names):
    """A share of what lies there alone validates."""
    WRITERS["tars" if kind == "tar" else "parquet"](tmp_path / "new", small_files)
    train, more, validation, rest = sorted((tmp_path / "new").glob(f"*.{kind}"))
    for name, path in zip(names, (train, validation), strict=True):
        path.rename(path.with_name(f"{name}.{kind}"))
    more.unlink()
    rest.unlink()
    source = find_source(tmp_path / "new")
    counts = len(source.train), len(source.validation)
    assert counts == ((3, 2) if "train" in names else (4, 1))
    assert source.notes == (
        ("test validates",) if "train" in names else ("20% of train validates",)
    )


def test_two_generations_of_a_hub_s_files(tmp_path, small_files):
    write_parquet(tmp_path / "hub", small_files)
    for name in (
        "train-00000-of-00003.parquet",
        "train-00000-of-00002-ab12cd34.parquet",
    ):
        shutil.copy(tmp_path / "hub" / PARQUET, tmp_path / "hub" / name)
        with pytest.raises(ValueError, match="keep those that belong together"):
            find_source(tmp_path / "hub")
        (tmp_path / "hub" / name).unlink()


def test_two_layouts_in_one_folder(write_folder, small_files):
    folder = write_folder(small_files)
    layouts.write_parquet(folder, small_files)
    with pytest.raises(
        ValueError, match=r"has 2 layouts, train/<class>/\* and train-0"
    ):
        data.open_dataset(data_dir=folder)


def test_an_index_is_kept_until_its_tar_changes(tmp_path, small_files, cache, capsys):
    folder = tmp_path / "tars"
    layouts.write_tars(folder, small_files)
    data.open_dataset(data_dir=folder)
    assert "6 images in 2 tars, indexed in " in capsys.readouterr().out
    assert len(list(cache.iterdir())) == 4
    data.open_dataset(data_dir=folder)
    assert capsys.readouterr().out == ""
    # Another order of the same bytes, of another time.
    layouts.write_tars(folder, dict(reversed(list(small_files.items()))))
    dataset = data.open_dataset(data_dir=folder)
    assert "indexed in" in capsys.readouterr().out
    for images, targets in streams.batches(dataset.validation_batches(16, 4)):
        np.testing.assert_array_equal(targets.argmax(1), images[:, 0, 0, 1] > 0)
    # What the cache holds is checked too.
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:-50])
    assert data.open_dataset(data_dir=folder).num_train == 6
    assert "indexed in" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written(tmp_path, small_files, cache, capsys):
    cache.parent.mkdir(parents=True)
    cache.write_text("no folder")
    layouts.write_tars(tmp_path / "tars", small_files)
    assert data.open_dataset(data_dir=tmp_path / "tars").num_train == 6
    assert "pets-train-0000.tar is not kept: " in capsys.readouterr().out


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def cut_at_a_member(path):
    """No end, and no half member: what a stopped download may leave."""
    with tarfile.open(path) as archive:
        end = archive.getmembers()[1].offset
    path.write_bytes(path.read_bytes()[:end])


def gz(path):
    import gzip

    path.write_bytes(gzip.compress(path.read_bytes()))


def writes(name, content):
    """Spoils a folder: a file of text or bytes, or a tar of {name: bytes}."""

    def spoil(folder):
        if isinstance(content, dict):
            layouts.write_tar(folder / name, content)
        else:
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name).write_bytes(data)

    return spoil


def without(pattern):
    return lambda folder: [path.unlink() for path in folder.glob(pattern)]


NAMES = "classnames.txt"
TAR = "pets-train-0000.tar"
BAD_TARS = {
    "missing": (without(TAR), r"lacks 1 of the 2 files like pets-tr"),
    "cut": (lambda f: cut(f / TAR), rf"{TAR} cannot be read as a tar: it has no end"),
    "cut between": (lambda f: cut_at_a_member(f / TAR), rf"{TAR} .*: it has no end; "),
    "empty": (writes(TAR, b""), rf"{TAR} cannot be read as a tar"),
    "no tar": (writes(TAR, b"x" * 2000), rf"{TAR} cannot be read"),
    "compressed": (lambda f: gz(f / TAR), rf"{TAR} cannot .* damaged or compressed"),
    "one name": (
        writes(NAMES, "cat"),
        r"dog_0\.jpg has the label 1, but there are names only for 0 to 0 \(3 of 6 ",
    ),
    "an empty name": (
        writes(NAMES, "cat\n\ndog"),
        "classnames.txt must hold the name of a class on every line",
    ),
    "names in Latin-1": (
        writes(NAMES, b"caf\xe9\ndog"),
        "classnames.txt is no UTF-8",
    ),
    "three names": (
        writes(NAMES, "cat\ndog\nowl"),
        "no image in train/owl, validation/owl; every class needs one",
    ),
    "no label": (
        writes(TAR, {"a.jpg": b"x"}),
        f"{TAR}: a.jpg has no label: expected .cls or .json",
    ),
    "a wrong label": (
        writes(TAR, {"a.jpg": b"x", "a.cls": b"cat"}),
        f"{TAR}: a.cls holds b'cat', expected the number of a class",
    ),
    "no training": (
        without("*train*"),
        r"has tars of the splits \['validation'\]; needed is a split of train",
    ),
    "one twice": (
        lambda f: shutil.copy(f / TAR, f / "more-train-0000.tar"),
        r"more-train-0000\.tar and pets-train-0000\.tar have the same place",
    ),
    "compressed by name": (
        writes("pets-validation-0002.tar.gz", b"x"),
        r"pets-validation-0002\.tar\.gz is compressed, and cannot be read from the mid",
    ),
    "a number and none": (
        lambda f: [shutil.copy(f / TAR, f / n) for n in ("dev-1.tar", "valid-1.tar")],
        r"lacks 1 of the 2 files like dev-1\.tar",
    ),
}


def rewrite(change, pattern="*"):
    def spoil(folder):
        import pyarrow.parquet as pq

        for path in folder.glob(pattern):
            pq.write_table(change(pq.read_table(path)), path)

    return spoil


def names_in_another_order(table):
    metadata = table.schema.metadata[b"huggingface"]
    other = metadata.replace(b'"cat", "dog"', b'"dog", "cat"')
    assert other != metadata
    return table.replace_schema_metadata({"huggingface": other})


def column(name, values, type=None, pattern="*", renamed=None):
    """Spoils the files: another column in the place of this one."""
    import pyarrow as pa

    def change(table):
        array = pa.array(values * len(table), type)
        return table.drop_columns(name).append_column(renamed or name, array)

    return rewrite(change, pattern)


def labels(values, type=None, pattern="*"):
    return column("label", values, type, pattern)


def metadata(text):
    return rewrite(lambda table: table.replace_schema_metadata({"huggingface": text}))


def described(names):
    return json.dumps({"info": {"features": {"label": {"names": names}}}})


PARQUET = "train-00000-of-00002.parquet"
BAD_PARQUET = {
    "missing": (without(PARQUET), "lacks 1 of the 2 files like train-"),
    "cut": (lambda f: cut(f / PARQUET), f"{PARQUET} cannot be read as parquet: "),
    "empty": (writes(PARQUET, b""), f"{PARQUET} cannot be read as"),
    "no images": (
        column("image", [1], renamed="picture"),
        r"has no column of images \(image, img\): it has label, picture",
    ),
    "no labels": (
        rewrite(lambda table: table.drop_columns("label")),
        r"has no column of labels \(label, labels, fine_label\): it has image",
    ),
    "numbers as images": (
        column("image", [1]),
        "the column image must hold encoded images, .* got int64",
    ),
    "text as labels": (
        labels(["cat"]),
        "the column label must hold a class's number in every row, got string",
    ),
    "a label above 2^63": (
        labels([2**63 + 1], "uint64"),
        "has the label 9223372036854",
    ),
    "a label above 2^31": (labels([2**31], "int64"), "has the label 2147483648, which"),
    "several labels": (labels([[0, 1]], None), r"number in every row, got list<"),
    "labels of time": (
        labels([5], "timestamp[s]"),
        r"in every row, got timestamp",
    ),
    "no label at all": (labels([None], None), "in every row, got null or empty"),
    "yes or no": (labels([True], "bool"), "in every row, got bool"),
    "nested names": (metadata("[" * 9999), "'huggingface' is no JSON that can be read"),
    "no JSON": (metadata("{"), "'huggingface' is no JSON that can be read"),
    "names as text": (
        metadata(described("cat")),
        "a list of the names of classes, got",
    ),
    "names as numbers": (
        metadata(described([1, 2])),
        r"names of classes, got \[1, 2\]",
    ),
    "another order in validation": (
        rewrite(names_in_another_order, "validation*"),
        "validation-00000-of-00002.parquet has other names of classes",
    ),
    "another order in one file": (
        rewrite(names_in_another_order, "train-00001*"),
        "train-00001-of-00002.parquet has other names of classes",
    ),
}


@pytest.mark.parametrize(
    "text",
    [described(None), "[]", '{"info": null}', '{"info": {"features": [1]}}', "5"],
)
def test_metadata_without_names(tmp_path, small_files, text):
    layouts.write_parquet(tmp_path / "parquet", small_files)
    metadata(text)(tmp_path / "parquet")
    dataset = data.open_dataset(data_dir=tmp_path / "parquet")
    assert dataset.class_names == ("0", "1")


def test_a_test_split_whose_labels_are_held_back(tmp_path, small_files):
    layouts.write_parquet(tmp_path / "new", small_files)
    for path in sorted((tmp_path / "new").glob("validation*")):
        path.rename(path.with_name(path.name.replace("validation", "test")))
    assert find_source(tmp_path / "new").notes == ("test validates",)
    labels([-1], "int64", "test*")(tmp_path / "new")
    source = find_source(tmp_path / "new")
    assert source.notes == ("20% of train validates, test is left alone",)
    with pytest.raises(ValueError, match="has the label -1"):
        find_source(tmp_path / "new", evaluation_only=True, split="test")


def test_what_pyarrow_raises_is_one_error(tmp_path, small_files, monkeypatch):
    """Of kinds that are no ValueError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    layouts.write_parquet(tmp_path / "parquet", small_files)
    source = find_source(tmp_path / "parquet")

    def refuse(*args, **kwargs):
        raise pa.ArrowNotImplementedError("not this\ntype")

    for name in ("read", "read_row_group"):
        with monkeypatch.context() as patch:
            patch.setattr(pq.ParquetFile, name, refuse)
            with pytest.raises(
                ValueError, match="cannot be read as parquet: not this t"
            ):
                find_source(tmp_path / "parquet").train.read(0)
    assert source.train.read(0)


def test_any_damage_of_an_index_makes_it_anew(tmp_path, small_files, cache):
    """Some ended in tracebacks that stayed until the file was found and deleted."""
    layouts.write_tars(tmp_path / "tars", small_files)
    whole = find_source(tmp_path / "tars")
    path = sorted(cache.iterdir())[0]
    sound = path.read_bytes()
    random = np.random.default_rng(0)
    nonsense = [
        *(("sizes", 10**15), ("sizes", -1), ("offsets", 10**15), ("offsets", -5)),
        *(("labels", 2**62), ("labels", -2), ("labels", "x"), ("sizes", None)),
    ]
    for count in range(-len(nonsense), 100):
        damaged = bytearray(sound)
        for place in random.integers(0, len(sound), 1 + count % 3):
            damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(damaged if count >= 0 else sound)
        if count < 0:
            name, value = nonsense[count]
            with np.load(path) as file:
                arrays = {key: column for key, column in file.items() if key != name}
            if value is not None:
                arrays[name] = np.full(3, value)
            np.savez(path, **arrays)
        again = find_source(tmp_path / "tars")
        for split in ("train", "validation"):
            one, other = getattr(whole, split), getattr(again, split)
            assert one.labels.tolist() == other.labels.tolist()
            assert [one.read(i) for i in range(len(one))] == [
                other.read(i) for i in range(len(other))
            ]


def test_no_home_for_an_index(tmp_path, small_files, monkeypatch, capsys):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("keras_t2t.data.sources.tar_index.keras_folder", homeless)
    layouts.write_tars(tmp_path / "tars", small_files)
    assert len(find_source(tmp_path / "tars").train) == 6
    assert "is not kept: there is no home directory; set" in capsys.readouterr().out


def test_names_beside_parquet(tmp_path, small_files):
    layouts.write_parquet(tmp_path / "parquet", small_files, named=False)
    (tmp_path / "parquet/classnames.txt").write_text("cat\ndog\n")
    dataset = data.open_dataset(data_dir=tmp_path / "parquet")
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize("kind", ["tars", "parquet"])
def test_labels_without_names_are_called_by_number(tmp_path, small_files, kind):
    if kind == "tars":
        layouts.write_tars(tmp_path / "new", small_files)
        (tmp_path / "new/classnames.txt").unlink()
    else:
        layouts.write_parquet(tmp_path / "new", small_files, named=False)
    dataset = data.open_dataset(data_dir=tmp_path / "new")
    assert dataset.class_names == ("0", "1")
    assert (dataset.num_train, dataset.num_validation) == (6, 4)
    assert "classes are called by number" in dataset.notes[1]


@pytest.mark.parametrize(("first", "last"), [(1, 3), (7, 1000)])
def test_numbers_need_not_begin_with_0(tmp_path, first, last):
    for split in ("train", "val"):
        members = {"a.jpg": b"A", "a.cls": b"%d" % first}
        members |= {"b.jpg": b"B", "b.cls": b"%d" % last}
        layouts.write_tar(tmp_path / f"{split}-0.tar", members)
    source = find_source(tmp_path)
    assert source.class_names == (str(first), str(last))
    np.testing.assert_array_equal(source.train.labels, [0, 1])


def write_thousand(path, name, count=1000):
    members = {}
    for label in range(count):
        members |= {f"{name(label)}.jpg": b"x", f"{name(label)}.cls": b"%d" % label}
    layouts.write_tar(path, members)


def test_a_thousand_labels_are_image_net_s(tmp_path):
    write_thousand(tmp_path / "train-0.tar", str)
    write_thousand(tmp_path / "val-0.tar", lambda i: f"{WORDNET[i]}_{i}")
    source = find_source(tmp_path)
    assert source.class_names[0] == "n01440764" and len(source.class_names) == 1000
    assert "are taken for ImageNet's" in source.notes[1]
    assert list(WORDNET) == sorted(set(WORDNET))
    # Unless their names say that they are in another order, or it is another number.
    write_thousand(tmp_path / "val-0.tar", lambda i: f"{WORDNET[999 - i]}_{i}")
    assert find_source(tmp_path).class_names[:2] == ("0", "1")
    write_thousand(tmp_path / "val-0.tar", str, 999)
    source = find_source(tmp_path, evaluation_only=True)
    assert source.class_names[:2] == ("0", "1")


KIT = "ILSVRC2012_devkit_t12.tar.gz"
BAD_IMAGENET = {
    "no kit": (without(KIT), f"lacks {KIT} of image-net.org"),
    "a cut kit": (lambda f: cut(f / KIT), f"{KIT} cannot be read as ImageNet's dev"),
    "no validation": (
        without("ILSVRC2012_img_val.tar"),
        "lacks ILSVRC2012_img_val.tar of image-net.org",
    ),
    "a class too many": (
        writes("ILSVRC2012_img_train.tar", {"n09999999/x.JPEG": b"x"}),
        "holds the class 'n09999999', which",
    ),
    "an image less": (
        writes("ILSVRC2012_img_val.tar", {"x.JPEG": b"x"}),
        "ILSVRC2012_img_val.tar has 1 images, and .* labels 4",
    ),
}


SOLUTION = "LOC_val_solution.csv"


def table(*rows):
    return writes(SOLUTION, "\n".join(("ImageId,PredictionString", *rows)))


BAD_KAGGLE = {
    "no table": (without(SOLUTION), "lacks LOC_val_solution.csv"),
    "another table": (
        writes(SOLUTION, "a,b\n1,2"),
        "must be a table of ImageId and PredictionString",
    ),
    "a row less": (
        table("ILSVRC2012_val_00000001,cat 1 2 3 4"),
        "does not give the class of ILSVRC2012_val_00000002, ",
    ),
    "an image twice": (
        table("x,cat 1 2 3 4", "y,dog 1 2 3 4", "x,dog 1 2 3 4"),
        "gives the class of 'x' more than once",
    ),
    "an image of two classes": (
        table("x,cat 1 2 3 4 dog 1 2 3 4"),
        "gives the class of 'x' more than once",
    ),
    "a pipe": (
        lambda f: os.mkfifo(f / "ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000009.JPEG"),
        r"broken links, or no files: .*00000009\.JPEG",
    ),
    "a pipe as the table": (
        lambda f: [(f / SOLUTION).unlink(), os.mkfifo(f / SOLUTION)],
        "lacks LOC_val_solution.csv",
    ),
    "another class": (
        table("ILSVRC2012_val_00000001,owl 1 2 3 4"),
        "names classes that train/ lacks: owl",
    ),
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
def test_bad_files_are_told(tmp_path, small_files, write, fault):
    write(tmp_path / "bad", small_files)
    spoil, message = BAD[write][fault]
    spoil(tmp_path / "bad")
    with pytest.raises(ValueError, match=message):
        data.open_dataset(data_dir=tmp_path / "bad")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux tells of them")
@pytest.mark.parametrize("write", [layouts.write_tars, layouts.write_parquet])
def test_no_file_stays_open(tmp_path, small_files, write):
    """ImageNet's 1,024 tars are as many files as a process may have open."""
    write(tmp_path / "copy", small_files)
    train = data.open_dataset(data_dir=tmp_path / "copy")._source.train
    before = len(os.listdir("/proc/self/fd"))
    assert all(train.read(index) for index in range(len(train)))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("write", "name"), [(layouts.write_tars, TAR), (layouts.write_parquet, PARQUET)]
)
def test_a_file_that_changes_under_a_run(tmp_path, small_files, write, name):
    folder = tmp_path / "copy"
    write(folder, small_files)
    dataset = data.open_dataset(data_dir=folder)
    (folder / name).write_bytes(b"\0" * (folder / name).stat().st_size)
    with pytest.raises(Exception) as raised:
        streams.batches(dataset.train_batches(16, 6, 0), 2)
    error = dataset.diagnose(raised.value)
    assert isinstance(error, ValueError)
    assert f"{name} changed since it was" in str(error)
    os.remove(folder / name)
    assert f"{name} cannot be read any more" in str(dataset.diagnose(raised.value))


@pytest.mark.parametrize(
    ("write", "place"),
    [
        (layouts.write_tars, r"pets-train-0000.tar: cat_0.jpg"),
        (layouts.write_parquet, r"train-00000-of-00002.parquet: row 0"),
        (layouts.write_kaggle, r"ILSVRC/Data/CLS-LOC/train/cat/0.png"),
    ],
)
def test_corrupt_images_are_named_and_skipped(
    tmp_path, small_files, write, place, capsys
):
    small_files["train/cat/0.png"] = b"no image"
    write(tmp_path / "copy", small_files)
    dataset = data.open_dataset(data_dir=tmp_path / "copy")
    with pytest.raises(Exception) as raised:
        streams.batches(dataset.train_batches(16, 6, 0), 1)
    message = str(dataset.diagnose(raised.value))
    assert f"1 of 10 files cannot be decoded as images: {place};" in message
    dataset = data.open_dataset(data_dir=tmp_path / "copy", skip_corrupt=True)
    assert dataset.num_train == 5
    assert f"skipped 1 of 10 files as corrupt: {place}" in capsys.readouterr().out
    streams.batches(dataset.train_batches(16, 5, 0), 2)
