"""Large JPEGs are decoded to a part of their size, and show the same. Photographs are
turned as the files say, by every reader; `test_cut.py` does the same in training."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_t2t import data
from keras_t2t._ground.images import Encoded
from keras_t2t.data.dataset import Training, Validation
from keras_t2t.data.draws.image_draws import draws_at
from keras_t2t.data.encoded_dataset import EncodedDataset
from keras_t2t.data.grain_reader import transforms
from keras_t2t.data.grain_reader.reader import validation_batches
from keras_t2t.data.readers import READERS
from keras_t2t.preprocessing import evaluation_transform, reduction
from tests.data import streams
from tests.photographs import ORIENTATIONS, encode, oriented, upright

# The mean over an image, in grey levels. Reduced decoding averages blocks where the
# filter of the resizing weighs pixels, which differs by 0.2 at edges; a pixel beside
# the place would differ by 3.
NEAR = 0.6


@pytest.fixture(scope="module")
def large():
    return oriented(1, size=(2001, 1501), quality=90)


@pytest.fixture
def decoded(monkeypatch):
    """The reductions that were asked for; filled as images are decoded."""
    asked, decode = [], Encoded.decode

    def noting(self, reduction=1):
        asked.append(reduction)
        return decode(self, reduction)

    monkeypatch.setattr(Encoded, "decode", noting)
    return asked


def difference(ours, theirs):
    return np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).mean()


def test_twice_the_result_is_left():
    for part, result, times in (
        ((4032, 3024), (330, 248), 4),
        ((3024, 4032), (64, 64), 8),
        ((1000, 896), (224, 224), 2),
        ((1000, 895), (224, 224), 1),  # half of it would be less than twice 224
        ((500, 375), (330, 248), 1),  # ImageNet's
        ((30, 20), (224, 224), 1),
    ):
        assert reduction(part, result) == times, (part, result)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_way_up(orientation):
    """Of a size that no reduction divides: the last pixels are in part beyond it."""
    content = oriented(orientation, size=(301, 203))
    for times, stored in ((1, (301, 203)), (2, (151, 102)), (8, (38, 26))):
        expected = Image.open(io.BytesIO(content))
        expected.draft(None, (301 // times, 203 // times))
        assert expected.size == stored
        expected = np.asarray(ImageOps.exif_transpose(expected))
        encoded = Encoded(io.BytesIO(content), exif_orientation=True)
        assert encoded.size == ((203, 301) if orientation > 4 else (301, 203))
        found, (left, top, right, bottom) = encoded.decode(times)
        np.testing.assert_array_equal(found, expected)
        width, height = encoded.size
        assert (right - left, bottom - top) == (width / times, height / times)
        assert (left > 0) == (times > 1 and orientation in (2, 3, 6, 7))
        assert (top > 0) == (times > 1 and orientation in (3, 4, 7, 8))


def test_tiny_ones_and_other_formats():
    photograph = Image.open(io.BytesIO(oriented(1)))
    assert Encoded(io.BytesIO(oriented(1, size=(3, 90)))).decode(8)[0].width == 2
    for format in ("PNG", "WEBP"):
        encoded = Encoded(io.BytesIO(encode(photograph, format)))
        assert encoded.decode(8)[0].size == encoded.size == (60, 40)


@pytest.mark.parametrize("name", ["none", "light", "padded"])
def test_training_shows_the_same(large, name, decoded, monkeypatch):
    augmentation = dataclasses.replace(data.AUGMENTATIONS[name], crop_ratio=(1, 1.2))
    asked = Training(96, 1, 3, augmentation)

    def images():
        drawn = [draws_at(position, asked) for position in range(4)]
        how = asked, False, True
        return [transforms.transformed(large, one, *how) for one in drawn]

    ours = images()
    assert min(decoded) >= 2
    for module in (transforms.__name__, "keras_t2t.preprocessing"):
        monkeypatch.setattr(f"{module}.reduction", lambda part, result: 1)
    assert max(difference(*pair) for pair in zip(ours, images(), strict=True)) < NEAR
    assert decoded[-4:] == [1, 1, 1, 1]


def test_evaluation_is_exact_for_as_many_classes_as_imagenets(
    large, write_folder, decoded
):
    folder = write_folder({f"{name}/a.jpg": large for name in ("train/a", "val/a")})
    dataset = data.open_dataset(data_dir=folder)
    split, path = dataset._source.validation, folder / "val/a/a.jpg"
    exact = evaluation_transform(path, (96, 96))
    for classes, reduced in ((999, True), (1000, False)):
        decoded.clear()
        [(images, _)] = validation_batches(split, Validation(96, 1), classes)
        expected = evaluation_transform(path, (96, 96), reduced=reduced)
        assert decoded == [4 if reduced else 1] * 2
        np.testing.assert_array_equal(images[0], expected)
        assert (0 < difference(expected, exact) < NEAR) == reduced


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


@pytest.mark.parametrize("reader", READERS)
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
            dataset = EncodedDataset(
                "own", "here", of_classes, "grain", False, told, None
            )
            assert dataset.exif_orientation is expected
    assert not data.open_dataset("digits").exif_orientation
