"""Both readers turn photographs alike, in training and in evaluation."""

import numpy as np
import pytest

from benchmarks.data_layouts import write_tars
from keras_t2t import data
from keras_t2t.data import readers
from keras_t2t.data.draws.image_draws import ImageDraws
from keras_t2t.data.encoded_dataset import EncodedDataset
from keras_t2t.data.grain_reader.transforms import training_image
from keras_t2t.data.tensorflow_reader.cut import pixels, training_cut
from tests.data import streams
from tests.photographs import ORIENTATIONS, oriented, upright

SIZE = 360, 240


@pytest.fixture
def files():
    """{path: bytes}: photographs of all orientations, one class upright, one turned."""
    return {
        f"{split}/{name}/{i}.jpg": oriented(i if name == "turned" else 1, size=SIZE)
        for split in ("train", "val")
        for name in ("turned", "upright")
        for i in ORIENTATIONS
    }


@pytest.fixture
def folder(write_folder, files):
    return write_folder(files)


def batches(folder, reader, make, exif_orientation=None):
    dataset = data.open_dataset(
        data_dir=folder, reader=reader, exif_orientation=exif_orientation
    )
    return streams.batches(make(dataset), 4)


def validation(dataset):
    return dataset.validation_batches(32, 4, pad=True)


@pytest.mark.parametrize("reader", readers.READERS)
def test_own_photographs_are_turned_unless_told(
    folder, write_folder, files, encode, reader
):
    turned = {path: encode(upright(content), "PNG") for path, content in files.items()}
    turned = batches(write_folder(turned, "turned"), reader, validation)
    found = batches(folder, reader, validation)
    for (images, *_), (other, *_) in zip(found, turned, strict=True):
        difference = np.abs(images.astype(int) - other)
        # TensorFlow decodes the centre of a JPEG alone, with other neighbours.
        assert difference.mean() <= 0.5 and np.quantile(difference, 0.99) <= 4
    assert farthest(batches(folder, reader, validation, False), turned) > 20


def farthest(ours, theirs):
    """Mean difference of images, in grey levels, of the batch where it is largest."""
    pairs = zip(ours, theirs, strict=True)
    return max(np.abs(a[0].astype(int) - b[0]).mean() for a, b in pairs)


@pytest.mark.parametrize("name", ["none", "light", "padded"])
def test_both_readers_cut_the_same(name):
    """By the same draws, whatever way up the file lies."""
    augmentation = data.AUGMENTATIONS[name]
    drawn = streams.image_draws(np.arange(8), 3, 48, augmentation)
    for orientation, *one in zip(ORIENTATIONS, *drawn, strict=True):
        content, one = oriented(orientation, size=SIZE), ImageDraws(*one)
        cut = training_cut(content, 48, one, augmentation, True)
        method = "bicubic" if one.bicubic else "bilinear"
        ours = pixels(cut, 48, method).numpy()
        theirs = training_image(content, 48, one, augmentation, True)
        # Without rounding in between, and a JPEG's part has other neighbours.
        assert np.abs(ours - theirs).mean() <= 1, orientation
    assert drawn.flipped.any() == (name != "none")


def test_what_is_turned_by_default(folder, monkeypatch):
    monkeypatch.setattr("keras_t2t.data.encoded_dataset.check_classes", lambda *_: None)
    source = data.open_dataset(data_dir=folder, reader="grain")._source
    for classes, turns in ((2, True), (999, True), (1000, False)):
        of_classes = source._replace(class_names=tuple(map(str, range(classes))))
        for told, expected in ((None, turns), (True, True), (False, False)):
            dataset = EncodedDataset("own", "here", of_classes, "grain", False, told)
            assert dataset.exif_orientation is expected
    assert not data.open_dataset("digits").exif_orientation
    with pytest.raises(ValueError, match="`exif_orientation` must be True or False"):
        data.open_dataset(data_dir=folder, reader="grain", exif_orientation="yes")


def test_a_tar_and_its_kept_index(files, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write_tars(tmp_path / "tars", files)
    lying, turned, again = (
        batches(tmp_path / "tars", "grain", validation, told)
        for told in (False, None, None)
    )
    streams.assert_same(turned, again)
    assert farthest(lying, turned) > 20
