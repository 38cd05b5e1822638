"""Both readers turn photographs alike, in training and in evaluation."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from keras_t2t import data
from keras_t2t._ground.exif import orientation_of as expected_orientation
from keras_t2t.data import readers
from keras_t2t.data.encoded_dataset import EncodedDataset
from keras_t2t.data.tensorflow_reader.decode import decode, decode_window, tf
from keras_t2t.data.tensorflow_reader.orientation import orientation_of
from tests.data import streams
from tests.photographs import ORIENTATIONS, oriented, upright

NONE = data.AUGMENTATIONS["none"]
SIZE = 360, 240


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_graph_code_turns_as_pillow_does(format):
    tolerance = 4 if format == "JPEG" else 0
    options = {"lossless": True} if format == "WEBP" else {}
    turned = tf.function(lambda encoded: decode(encoded, orientation_of(encoded)))
    for orientation in (*ORIENTATIONS, 0, 9):
        content = oriented(orientation, format, **options)
        expected = upright(content).astype(int)
        found = turned(tf.constant(content)).numpy()
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance, orientation
        stored = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), int)
        assert np.abs(decode(content).numpy() - stored).max() <= tolerance

        seen = []

        def choose(height, width, seen=seen):
            seen.append((int(height), int(width)))
            return 3, 5, 16, 24

        window = decode_window(content, choose, orientation_of(content)).numpy()
        assert seen == [expected.shape[:2]]
        cut = expected[3:19, 5:29]
        assert window.shape == cut.shape
        # The border of a JPEG's blocks has other neighbours.
        assert np.abs(window - cut).mean() <= tolerance, orientation


def test_graph_code_reads_any_header_as_python_does():
    random = np.random.default_rng(0)
    read = tf.function(orientation_of, input_signature=[tf.TensorSpec((), tf.string)])
    contents = [b"", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X"]
    for format in ("JPEG", "PNG", "WEBP"):
        whole = oriented(6, format)
        contents += [whole[:end] for end in range(0, 140, 3)]
        for _ in range(100):
            bent = np.frombuffer(whole, "uint8").copy()
            bent[random.integers(0, 120, 3)] = random.integers(0, 256, 3)
            contents.append(bent.tobytes())
        contents += [oriented(i, format) for i in ORIENTATIONS]
    for content in contents:
        expected = expected_orientation(io.BytesIO(content)) or 1
        assert read(tf.constant(content)).numpy() == expected, content[:150]


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
    for told in (None, True):
        found = batches(folder, reader, validation, told)
        for (images, *_), (other, *_) in zip(found, turned, strict=True):
            assert np.abs(images.astype(int) - other).max() <= 4
    assert farthest(batches(folder, reader, validation, False), turned) > 20


def farthest(ours, theirs):
    """Mean difference of images, in grey levels, of the batch where it is largest."""
    pairs = zip(ours, theirs, strict=True)
    return max(np.abs(a[0].astype(int) - b[0]).mean() for a, b in pairs)


@pytest.mark.parametrize(
    "augmentation",
    [NONE, data.AUGMENTATIONS["light"], data.AUGMENTATIONS["padded"]],
    ids=["none", "light", "padded"],
)
def test_both_readers_train_on_the_same(folder, augmentation):
    def training(dataset):
        return dataset.train_batches(32, 4, 3, augmentation)

    ours, theirs = (batches(folder, name, training) for name in readers.READERS)
    for (images, targets), (other, other_targets) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(targets, other_targets)
        difference = np.abs(images.astype(int) - other)
        assert np.quantile(difference, 0.95) <= 4


def test_what_is_turned_by_default(folder, monkeypatch):
    monkeypatch.setattr("keras_t2t.data.encoded_dataset.check_classes", lambda *_: None)
    source = data.open_dataset(data_dir=folder, reader="grain")._source
    for classes, turns in ((2, True), (999, True), (1000, False)):
        of_classes = source._replace(class_names=tuple(map(str, range(classes))))
        for told, expected in ((None, turns), (True, True), (False, False)):
            dataset = EncodedDataset("own", "here", of_classes, "grain", False, told)
            assert dataset.exif_orientation is expected
    assert not data.open_dataset("digits").exif_orientation
    with pytest.raises(ValueError, match="'digits' has no EXIF data"):
        data.open_dataset("digits", exif_orientation=True)
    with pytest.raises(ValueError, match="`exif_orientation` must be True or False"):
        data.open_dataset(data_dir=folder, reader="grain", exif_orientation="yes")


def test_a_tar_and_its_kept_index(files, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "tars").mkdir()
    for split in ("train", "val"):
        with tarfile.open(tmp_path / "tars" / f"set-{split}-0000.tar", "w") as tar:
            for number, (path, content) in enumerate(files.items()):
                if not path.startswith(split):
                    continue
                label = str(int("turned" in path)).encode()
                for name, held in (
                    (f"{number}.jpg", content),
                    (f"{number}.cls", label),
                ):
                    info = tarfile.TarInfo(name)
                    info.size = len(held)
                    tar.addfile(info, io.BytesIO(held))
    lying, turned, again = (
        batches(tmp_path / "tars", "grain", validation, told)
        for told in (False, None, None)
    )
    streams.assert_same(turned, again)
    assert farthest(lying, turned) > 20
