"""TensorFlow Datasets: a small real data set, prepared here, is read by its name."""

import dataclasses
import functools
import re

import numpy as np
import pytest

from keras_t2t import data
from keras_t2t._ground.optional_imports import import_tensorflow_datasets
from keras_t2t.data.opening import naming_unreadable
from keras_t2t.data.readers import READERS
from tests.data import streams
from tests.hidden import hiding
from tests.processes import python

tfds = import_tensorflow_datasets()

IN_TWO = tfds.download.DownloadConfig(num_shards=2)

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
            return {name: self._generate_examples(name, n) for name, n in self.SPLITS}

        def _generate_examples(self, split, size):
            for i in range(size):
                image = np.full((20, 30, 3), 10 * i, "uint8")
                yield i, {"image": image, **self._labels(split, i)}

        def _labels(self, split, i):
            return {"label": int(i >= self.FIRST_BRIGHT)}

    class Cifar10(Colours):
        """Stands for the real cifar10 (3.0.2 in TFDS's code), prepared long ago."""

        VERSION = tfds.core.Version("2.0.0")

    class Alone(Colours):
        """A training split and no other, with more of one class."""

        SPLITS = (("train", 20),)
        FIRST_BRIGHT = 15

    class HeldBack(Colours):
        """As imagenet2012 without its validation split: no label in the test split."""

        def _labels(self, split, i):
            return {"label": -1} if split == "test" else super()._labels(split, i)

    class PartlyHeldBack(Colours):
        """The last test image has no label."""

        def _labels(self, split, i):
            return {"label": -1} if i == 4 else super()._labels(split, i)

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

        def _labels(self, split, i):
            return {"original_label": 0, "real_label": self.LABELS[i % 5]}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """prepared(file_format, builder, **settings) -> a data set in 2 files a split."""

    @functools.cache
    def folder_of(file_format, builder):
        folder = tmp_path_factory.mktemp(file_format)
        builder = builder(data_dir=folder, file_format=file_format)
        builder.download_and_prepare(download_config=IN_TWO)
        return folder

    def prepared(file_format, builder, **settings):
        folder = folder_of(file_format, builder)
        return data.open_dataset(builder.name, folder, **settings)

    return prepared


def numbers_of(stream, count=None):
    """The images' numbers, of so many batches, and their targets."""
    images, targets = streams.read(stream, count)
    return images[:, 0, 0, 0] // 10, targets


@pytest.mark.parametrize(
    ("builder", "name"), [(Colours, "colours:1.0.0"), (Cifar10, "cifar10")]
)
def test_description_and_version(tmp_path, monkeypatch, builder, name):
    """An older one on disk is preferred to a newer one in code."""
    builder(data_dir=tmp_path).download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert data.is_prepared(builder.name) and data.is_prepared(builder.name, tmp_path)
    dataset = data.open_dataset(name)
    assert dataset.class_names == ("dark", "bright")
    assert (dataset.num_train, dataset.num_validation) == (20, 5)
    assert dataset.known_as == name
    assert dataset.diagnose(ValueError()) is None


CLOSEST = "is not known; the closest names are [^;]*"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imagenet", CLOSEST + r"\bimagenet2012\b"),
        ("CIFAR10", CLOSEST + r"\bcifar10\b"),
        ("digit", CLOSEST + r"\bdigits\b"),
        ("no such thing", CLOSEST + r"\bnone\b"),
        ("imagenet2012:9.9.9", "cannot be opened"),
        ("imagenette/no_config", "cannot be opened"),
        ("glue", "is not image classification"),
        ("coco", "is not image classification"),
        ("cifar10", r"'cifar10', data_dir='FOLDER'\)\.download_and_prepare\(\)\"$"),
        ("imagenet2012", r"FOLDER/downloads/manual: .*ILSVRC2012_img_train\.tar"),
    ],
)
def test_what_cannot_be_opened(tmp_path, name, message):
    with pytest.raises(ValueError) as error:
        data.open_dataset(name, tmp_path)
    told = str(error.value).replace(str(tmp_path), "FOLDER")
    assert told.startswith(f"dataset={name!r} ") and "\n" not in told
    assert re.search(message, told)


@pytest.mark.parametrize(
    ("file_format", "reader"), [("tfrecord", "grain"), ("array_record", "tensorflow")]
)
def test_images_with_any_number_of_labels(prepared, file_format, reader):
    with pytest.raises(ValueError, match="'reassessed' can only be evaluated on"):
        prepared(file_format, Reassessed)
    dataset = prepared(file_format, Reassessed, evaluation_only=True, reader=reader)
    assert dataset.class_names == ("dark", "bright", "grey")
    numbers, targets = numbers_of(dataset.validation_batches(16, 7))
    assert sorted(numbers) == list(range(20))
    for number, target in zip(numbers, targets, strict=True):
        expected = np.zeros(3)
        expected[Reassessed.LABELS[number % 5]] = 1
        np.testing.assert_array_equal(target, expected)
    streams.check_validation(dataset)


FORMATS = pytest.mark.parametrize(
    ("file_format", "reader"),
    [
        ("tfrecord", "grain"),
        pytest.param("tfrecord", "tensorflow", marks=pytest.mark.nightly),
        pytest.param("array_record", "tensorflow", marks=pytest.mark.nightly),
        pytest.param("array_record", "grain", marks=pytest.mark.nightly),
    ],
)


@FORMATS
def test_a_share_of_training_validates_where_it_is_alone(prepared, file_format, reader):
    """The same images every time, and none of them trains."""
    dataset = prepared(file_format, Alone, reader=reader)
    assert dataset.notes == ("20% of train validates",)
    assert (dataset.num_train, dataset.num_validation) == (16, 4)
    assert dataset.validation_share == 0.2
    np.testing.assert_array_equal(dataset.class_counts, [12, 4])
    held, targets = numbers_of(dataset.validation_batches(16, 3))
    np.testing.assert_array_equal(targets.argmax(axis=1), held >= 15)
    # 12 batches of 4 are three epochs.
    trained, targets = numbers_of(dataset.train_batches(16, 4, seed=0), 12)
    np.testing.assert_array_equal(targets.argmax(axis=1), trained >= 15)
    for epoch in trained.reshape(3, 16):
        assert sorted([*epoch, *held]) == list(range(20))
    again = prepared(file_format, Alone, reader=reader, evaluation_only=True)
    assert (again.notes, again.num_train) == (("20% of train is evaluated",), 0)
    np.testing.assert_array_equal(numbers_of(again.validation_batches(16, 4))[0], held)


def test_a_test_split_whose_labels_are_held_back(prepared):
    dataset = prepared("tfrecord", HeldBack)
    assert dataset.notes == ("20% of train validates, test is left alone",)
    assert (dataset.num_train, dataset.num_validation) == (16, 4)
    message = r"^dataset='held_back': the labels of the split test are held back \("
    with pytest.raises(ValueError, match=message):
        prepared("tfrecord", HeldBack, evaluation_only=True, split="test")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("training", [False, True])
def test_an_image_whose_label_is_held_back_is_named(prepared, reader, training, capsys):
    dataset = prepared("tfrecord", PartlyHeldBack, reader=reader)
    stream = dataset.validation_batches(16, 5)
    if training:
        stream = dataset.train_batches(16, 20, 0)
    message = r"^dataset='partly_held_back': t\w+, record \d+ has the label -1; "
    with (
        pytest.raises(ValueError, match=message + "accepted are 0 to 1$"),
        naming_unreadable(dataset),
    ):
        streams.batches(stream, 1)
    assert "looking for" not in capsys.readouterr().out


@pytest.mark.parametrize("number", [0, 1])
def test_a_cut_file_is_named(tmp_path, number):
    Colours(data_dir=tmp_path).download_and_prepare(download_config=IN_TWO)
    [file] = tmp_path.rglob(f"*train.tfrecord-0000{number}*")
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(Exception, match=rf"{file.name} is cut short or damaged"):
        dataset = data.open_dataset("colours", tmp_path)
        streams.batches(dataset.train_batches(16, 5, 0), 4)


@FORMATS
def test_streams_of_either_format(prepared, file_format, reader):
    dataset = prepared(file_format, Colours, reader=reader)
    assert dataset.reader == reader
    # 7 batches of 4 run over the end of an epoch of 20.
    streams.check_training(dataset)
    streams.check_validation(dataset)
    numbers, targets = numbers_of(dataset.train_batches(16, 5, seed=0), 8)
    np.testing.assert_array_equal(targets.argmax(axis=1), numbers >= 10)
    assert sorted(numbers[:20]) == sorted(numbers[20:]) == list(range(20))
    numbers, targets = numbers_of(dataset.validation_batches(16, 2))
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(targets, [[1, 0]] * 5)
    repeating = dataclasses.replace(data.AUGMENTATIONS["light"], repeats=2)
    for first in (0, 3):
        batches = dataset.train_batches(16, 5, 0, repeating, first_step=first)
        epoch = numbers_of(batches, 8 - first)[0][-20:]
        assert len(set(epoch[:16])) == 16
        np.testing.assert_array_equal(epoch[16:], epoch[[0, 3, 2, 5]])


@pytest.mark.nightly
def test_tfrecords_are_read_without_tensorflow(tmp_path):
    Colours(data_dir=tmp_path).download_and_prepare()
    script = """
from keras_t2t import data
dataset = data.open_dataset("colours", sys.argv[1])
images, _ = next(iter(dataset.train_batches(16, 4, 0)))
assert images.shape == (4, 16, 16, 3)
"""
    done = python("-c", hiding("tensorflow") + script, tmp_path)
    assert done.returncode == 0, done.stderr
