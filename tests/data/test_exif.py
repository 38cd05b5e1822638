"""Photographs are turned as the files say, by every reader; `test_cut.py` does the same
in training."""

import numpy as np
import pytest

from keras_t2t import data
from keras_t2t.data import readers
from keras_t2t.data.encoded_dataset import EncodedDataset
from tests.data import streams
from tests.photographs import ORIENTATIONS, encode, oriented, upright


@pytest.fixture
def files():
    """{path: bytes}: photographs of all orientations, one class upright, one turned."""
    return {
        f"{split}/{name}/{i}.jpg": oriented(orientation, size=(360, 240))
        for split in ("train", "val")
        for i in ORIENTATIONS
        for name, orientation in (("turned", i), ("upright", 1))
    }


def validation(folder, reader, told=None):
    """All images that validate."""
    dataset = data.open_dataset(data_dir=folder, reader=reader, exif_orientation=told)
    return streams.read(dataset.validation_batches(32, 4))[0].astype(int)


@pytest.mark.parametrize("reader", readers.READERS)
def test_own_photographs_are_turned_unless_told(write_folder, files, reader):
    folder = write_folder(files)
    turned = {path: encode(upright(content), "PNG") for path, content in files.items()}
    turned = validation(write_folder(turned, "turned"), reader)
    difference = np.abs(validation(folder, reader) - turned)
    # TensorFlow decodes the centre of a JPEG alone, with other neighbours.
    assert difference.mean() <= 0.5 and np.quantile(difference, 0.99) <= 4
    lying = validation(folder, reader, told=False)
    assert np.abs(lying - turned)[1:8].mean() > 10  # of those that are turned


def test_what_is_turned_by_default(write_folder, files, monkeypatch):
    monkeypatch.setattr("keras_t2t.data.encoded_dataset.check_classes", lambda *_: None)
    source = data.open_dataset(data_dir=write_folder(files))._source
    for classes, turns in ((2, True), (999, True), (1000, False)):
        of_classes = source._replace(class_names=tuple(map(str, range(classes))))
        for told, expected in ((None, turns), (True, True), (False, False)):
            dataset = EncodedDataset("own", "here", of_classes, "grain", False, told)
            assert dataset.exif_orientation is expected
    assert not data.open_dataset("digits").exif_orientation
