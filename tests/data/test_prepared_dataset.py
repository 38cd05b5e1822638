"""TensorFlow Datasets: a small real data set, prepared here, is read by its name."""

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest

from keras_t2t import data
from keras_t2t._ground.optional_imports import import_tensorflow_datasets
from tests.data import streams

tfds = import_tensorflow_datasets()

# Unregistered: what TFDS then knows of them is only what lies on disk.
with tfds.core.registered.skip_registration():

    class Colours(tfds.core.GeneratorBasedBuilder):
        """Images of one colour each, 10 times their number; the last are bright."""

        VERSION = tfds.core.Version("1.0.0")
        SPLITS = (("train", 20), ("test", 5))
        FIRST_BRIGHT = 10
        FEATURES = (
            ("image", tfds.features.Image(shape=(None, None, 3))),
            ("label", tfds.features.ClassLabel(names=["dark", "bright"])),
        )

        def _info(self):
            features = tfds.features.FeaturesDict(dict(self.FEATURES))
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, download_manager):
            return {name: self._generate(size) for name, size in self.SPLITS}

        def _generate(self, size):
            for i in range(size):
                image = np.full((20, 30, 3), 10 * i, "uint8")
                yield i, {"image": image, **self._labels(i)}

        def _labels(self, i):
            return {"label": int(i >= self.FIRST_BRIGHT)}

        def _generate_examples(self):
            raise NotImplementedError

    class Alone(Colours):
        """A training split and no other, with more of one class."""

        SPLITS = (("train", 20),)
        FIRST_BRIGHT = 15

    class Reassessed(Colours):
        """As imagenet2012_real: any number of labels per image, no training split."""

        SPLITS = (("validation", 20),)
        CLASSES = tfds.features.ClassLabel(names=["dark", "bright", "grey"])
        LABELS = ([], [0], [1], [0, 1], [1, 2, 0])
        FEATURES = (
            ("image", tfds.features.Image(shape=(None, None, 3))),
            ("original_label", CLASSES),
            ("real_label", tfds.features.Sequence(CLASSES)),
        )

        def _labels(self, i):
            return {"original_label": 0, "real_label": self.LABELS[i % 5]}

    class Sentences(Colours):
        FEATURES = (("number", np.int64),)

        def _generate(self, size):
            for i in range(size):
                yield i, {"number": i}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """prepared(file_format, name, **settings) opens a data set, in 2 files a split."""
    builders = {one.name: one for one in (Colours, Alone, Reassessed, Sentences)}
    folders = {}

    def open_dataset(file_format, name, **settings):
        if (file_format, name) not in folders:
            folder = tmp_path_factory.mktemp(file_format)
            builders[name](
                data_dir=folder, file_format=file_format
            ).download_and_prepare(
                download_config=tfds.download.DownloadConfig(num_shards=2)
            )
            folders[file_format, name] = folder
        return data.open_dataset(name, folders[file_format, name], **settings)

    return open_dataset


def read(batches):
    images, labels = zip(*[map(np.asarray, batch) for batch in batches], strict=True)
    return np.concatenate(images), np.concatenate(labels)


def numbers_of(batches, count=None):
    """The images' numbers, of so many batches, and their labels."""
    images, targets = read(itertools.islice(batches, count))
    return images[:, 0, 0, 0] // 10, targets.argmax(axis=1)


def test_description_and_version(tmp_path, monkeypatch):
    Colours(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert data.is_prepared("colours")
    colours = data.open_dataset("colours:1.0.0")
    assert colours.class_names == ("dark", "bright")
    assert (colours.num_train, colours.num_validation) == (20, 5)
    assert colours.diagnose(ValueError()) is None


def test_older_version_on_disk_is_preferred_to_a_newer_one_in_code(tmp_path):
    with tfds.core.registered.skip_registration():

        class Cifar10(Colours):
            """Stands for the real cifar10 (3.0.2 in TFDS's code), prepared long ago."""

            VERSION = tfds.core.Version("2.0.0")

    Cifar10(data_dir=tmp_path).download_and_prepare()
    assert data.is_prepared("cifar10", tmp_path)
    assert data.open_dataset("cifar10", tmp_path).num_train == 20


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("imagenett", "imagenette"),
        ("imagenet", "imagenet2012"),
        ("cifar-10", "cifar10"),
        ("CIFAR10", "cifar10"),
        ("digit", "digits"),
        ("no such thing", "none"),
    ],
)
def test_unknown_name(tmp_path, name, closest):
    with pytest.raises(ValueError) as error:
        data.open_dataset(name, tmp_path)
    assert f"dataset={name!r} is not known" in str(error.value)
    suggested = str(error.value).partition("names are ")[2].partition(";")[0]
    assert closest in suggested.split(", ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["imagenet2012:9.9.9", "imagenette/no_config"])
def test_name_that_tfds_cannot_open(tmp_path, name):
    with pytest.raises(ValueError, match=f"dataset='{name}'") as error:
        data.open_dataset(name, tmp_path)
    assert "\n" not in str(error.value)


def test_not_prepared(tmp_path):
    with pytest.raises(ValueError) as error:
        data.open_dataset("cifar10", tmp_path)
    assert f"dataset='cifar10' is not prepared in {tmp_path}" in str(error.value)
    assert (
        f"tfds.builder('cifar10', data_dir='{tmp_path}').download_and_prepare()"
        in str(error.value)
    )
    assert "by hand" not in str(error.value)


def test_imagenet_not_prepared_says_what_to_download(tmp_path):
    with pytest.raises(ValueError) as error:
        data.open_dataset("imagenet2012", tmp_path)
    assert f"{tmp_path}/downloads/manual" in str(error.value)
    assert "ILSVRC2012_img_train.tar" in str(error.value)


@pytest.mark.parametrize("name", ["glue", "coco"])
def test_not_image_classification(tmp_path, name):
    with pytest.raises(ValueError, match=f"'{name}' is not image classification"):
        data.open_dataset(name, tmp_path)


def test_not_image_classification_on_disk(prepared):
    with pytest.raises(ValueError, match="'sentences' is not image classification"):
        prepared("tfrecord", "sentences")


@pytest.mark.parametrize(
    ("file_format", "reader"), [("tfrecord", "grain"), ("array_record", "tensorflow")]
)
def test_images_with_any_number_of_labels(prepared, file_format, reader):
    with pytest.raises(ValueError, match="'reassessed' can only be evaluated on"):
        prepared(file_format, "reassessed")
    dataset = prepared(file_format, "reassessed", evaluation_only=True, reader=reader)
    assert dataset.class_names == ("dark", "bright", "grey")
    images, targets = read(dataset.validation_batches(16, 7))
    numbers = images[:, 0, 0, 0] // 10
    assert sorted(numbers) == list(range(20))
    for number, target in zip(numbers, targets, strict=True):
        expected = np.zeros(3)
        expected[Reassessed.LABELS[number % 5]] = 1
        np.testing.assert_array_equal(target, expected)
    streams.check_validation(dataset)


@pytest.mark.parametrize(
    ("file_format", "reader"),
    [
        ("tfrecord", "grain"),
        pytest.param("array_record", "tensorflow", marks=pytest.mark.nightly),
        pytest.param("array_record", "grain", marks=pytest.mark.nightly),
    ],
)
def test_a_share_of_training_validates_where_it_is_alone(prepared, file_format, reader):
    """Of each class, the same images every time, and none of them trains."""
    settings = {"name": "alone", "reader": reader}
    dataset = prepared(file_format, **settings)
    assert dataset.notes == ("20% of train validates",)
    assert (dataset.num_train, dataset.num_validation) == (16, 4)
    assert dataset.validation_share == 0.2
    np.testing.assert_array_equal(dataset.class_counts, [12, 4])
    held, labels = numbers_of(dataset.validation_batches(16, 3))
    np.testing.assert_array_equal(labels, held >= 15)
    assert sorted(labels) == [0, 0, 0, 1]
    # 12 batches of 4 are three epochs.
    trained, labels = numbers_of(dataset.train_batches(16, 4, seed=0), 12)
    np.testing.assert_array_equal(labels, trained >= 15)
    for epoch in (trained[:16], trained[16:32], trained[32:]):
        assert sorted([*epoch, *held]) == list(range(20))
    again = prepared(file_format, **settings, validation_share=0.2)
    np.testing.assert_array_equal(numbers_of(again.validation_batches(16, 4))[0], held)
    settings["evaluation_only"] = True
    evaluated = prepared(file_format, **settings)
    assert evaluated.notes == ("20% of train is evaluated",)
    assert (evaluated.num_train, evaluated.num_validation) == (0, 4)
    np.testing.assert_array_equal(
        numbers_of(evaluated.validation_batches(16, 4))[0], held
    )
    whole = prepared(file_format, **settings, validation_share=1)
    assert sorted(numbers_of(whole.validation_batches(16, 4))[0]) == list(range(20))


def test_a_cut_file_is_named(tmp_path):
    Colours(data_dir=tmp_path).download_and_prepare()
    [file] = tmp_path.rglob("*train.tfrecord*")
    file.write_bytes(file.read_bytes()[:-3])
    dataset = data.open_dataset("colours", tmp_path, reader="grain")
    stream = dataset.train_batches(16, 5, 0)
    with pytest.raises(Exception, match=rf"{file.name} is cut short or damaged"):
        read(itertools.islice(stream, 4))


@pytest.mark.parametrize(
    ("file_format", "reader"),
    [
        ("tfrecord", "grain"),
        *(
            pytest.param(*case, marks=pytest.mark.nightly)
            for case in (
                ("tfrecord", "tensorflow"),
                ("array_record", "tensorflow"),
                ("array_record", "grain"),
            )
        ),
    ],
)
def test_streams_of_either_format(prepared, file_format, reader):
    dataset = prepared(file_format, "colours", reader=reader)
    assert dataset.reader == reader
    # 7 batches of 4 run over the end of an epoch of 20.
    streams.check_training(dataset)
    streams.check_validation(dataset)
    streams.check_bad_arguments(dataset)
    images, labels = read(itertools.islice(dataset.train_batches(16, 5, seed=0), 8))
    numbers = images[:, 0, 0, 0] // 10
    np.testing.assert_array_equal(labels.argmax(axis=1), numbers >= 10)
    epochs = numbers[:20].tolist(), numbers[20:].tolist()
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]
    images, labels = read(dataset.validation_batches(16, 2))
    assert sorted(images[:, 0, 0, 0]) == [0, 10, 20, 30, 40]
    np.testing.assert_array_equal(labels, [[1, 0]] * 5)
    repeating = dataclasses.replace(data.AUGMENTATIONS["light"], repeats=2)
    for first in (0, 3):
        batches = dataset.train_batches(16, 5, 0, repeating, first_step=first)
        numbers = read(itertools.islice(batches, 8 - first))[0][:, 0, 0, 0] // 10
        epoch = numbers[-20:]
        assert len(set(epoch[:16])) == 16
        np.testing.assert_array_equal(epoch[16:], epoch[[0, 3, 2, 5]])


@pytest.mark.nightly
def test_tfrecords_are_read_without_tensorflow(tmp_path):
    folder = tmp_path / "tfds"
    Colours(data_dir=folder).download_and_prepare()
    script = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "tensorflow":
            return self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]
from keras_t2t import data
dataset = data.open_dataset("colours", sys.argv[1], reader="grain")
images, _ = next(iter(dataset.train_batches(16, 4, 0)))
assert images.shape == (4, 16, 16, 3)
"""
    subprocess.run([sys.executable, "-c", script, folder], check=True)
