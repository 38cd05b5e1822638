"""Image folders: what the streams hold, and one clear error for each bad file."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from keras_t2t import data
from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.opening import naming_unreadable
from tests.data import streams
from tests.data.streams import read
from tests.photographs import encode, oriented

pytestmark = pytest.mark.usefixtures("reader")
NONE, FULL = data.AUGMENTATIONS["none"], data.AUGMENTATIONS["full"]


def colours(images):
    """The one colour of each image."""
    assert (images == images[:, :1, :1]).all()
    return [tuple(int(c) for c in image[0, 0]) for image in images]


def test_description_and_images_with_their_labels(write_folder, small_files):
    small_files["train/README.md"] = b"not in a class"
    dataset = data.open_dataset(data_dir=write_folder(small_files, "pets"))
    assert (dataset.name, dataset.class_names) == ("pets", ("cat", "dog"))
    assert (dataset.num_train, dataset.num_validation) == (6, 4)
    batches = streams.batches(dataset.validation_batches(16, 3))
    assert [len(images) for images, _ in batches] == [3, 1]
    images, labels = read(batches)
    assert images.shape == (4, 16, 16, 3) and images.dtype == np.uint8
    assert colours(images) == [(0, 0, 150), (10, 0, 150), (0, 99, 150), (10, 99, 150)]
    np.testing.assert_array_equal(labels, [[1, 0], [1, 0], [0, 1], [0, 1]])
    assert labels.dtype == np.float32
    images, labels = read(dataset.train_batches(16, 4, seed=0), 3)
    green = np.array(colours(images))[:, 1]
    np.testing.assert_array_equal(labels.argmax(axis=1), green == 99)
    assert len(set(colours(images))) == len(set(colours(images[:6]))) == 6


def test_formats_are_told_by_content(write_folder, photographs):
    photo = Image.fromarray(photographs[0]).resize((60, 40))
    frames = {"save_all": True, "append_images": [photo.rotate(90)], "duration": 9}
    files = {
        "a.JPEG": encode(photo, "PNG"),
        "b.png": encode(photo, "JPEG"),
        "c.jpg": encode(photo.convert("CMYK"), "JPEG"),
        "d.jpg": encode(photo.convert("L"), "JPEG"),
        "deeper/e.bmp": encode(photo.convert("P"), "BMP"),
        "f.png": encode(photo.convert("P"), "PNG"),
        "g": encode(photo.convert("RGBA"), "PNG"),
        "h.gif": encode(photo.convert("P"), "GIF"),
        "i.tif": encode(photo, "TIFF"),
        "j.jp2": encode(photo, "JPEG2000"),
        "k.webp": encode(photo, "WEBP", **frames),
        "l.ppm": encode(photo, "PPM"),
    }
    folders = ("train", "validation")
    both = {f"{split}/x/{name}": files[name] for split in folders for name in files}
    dataset = data.open_dataset(data_dir=write_folder(both), skip_corrupt=True)
    assert (dataset.num_train, dataset.num_validation) == (12, 12)
    images, _ = read(dataset.validation_batches(32, 12))
    exact, *others = images.astype(float)
    for name, image in zip(list(files)[1:], others, strict=True):
        reference = exact.mean(-1, keepdims=True) if name == "d.jpg" else exact
        # Palette, JPEG and grey weights change colours a little, not the picture.
        assert np.abs(image - reference).mean() < 12, name
    read(dataset.train_batches(32, 12, seed=0), 2)


CUT = oriented(1, size=(640, 427))[:5000]
CORRUPT = {"empty.jpg": b"", "text.png": b"no image", "cut.jpg": CUT}


@pytest.mark.parametrize("name", CORRUPT)
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_corrupt_file_is_named(write_folder, small_files, name, split):
    small_files[f"{split}/dog/{name}"] = CORRUPT[name]
    dataset = data.open_dataset(data_dir=write_folder(small_files))
    stream = dataset.validation_batches(16, 5)
    if split == "train":
        stream = dataset.train_batches(16, 7, seed=0)
    told = f"1 of 11 files cannot be decoded as images: {split}/dog/{name};.*--skip-cor"
    with pytest.raises(ValueError, match=told), naming_unreadable(dataset):
        streams.batches(stream, 1)


def test_diagnose_leaves_other_errors_alone(write_folder, small_files):
    tf = import_tensorflow()
    dataset = data.open_dataset(data_dir=write_folder(small_files))
    assert dataset.diagnose(ValueError("of the model")) is None
    assert dataset.diagnose(tf.errors.InvalidArgumentError(None, None, "other")) is None


def test_skip_corrupt_leaves_out_what_no_reader_decodes(
    write_folder, small_files, capsys
):
    deep = encode(np.zeros((9, 9), "int32"), "TIFF")
    sound = {"a.heic": b"\0\0\0\x18ftypheic" + bytes(50), "b.tif": deep}
    for name, content in {**CORRUPT, **sound, "c.tif": deep[:60]}.items():
        small_files[f"train/dog/{name}"] = content
    small_files["val/cat/text.jpg"] = b"no image"
    dataset = data.open_dataset(data_dir=write_folder(small_files), skip_corrupt=True)
    assert (dataset.num_train, dataset.num_validation) == (6, 4)
    corrupt, others = capsys.readouterr().out.splitlines()
    told = "skipped 5 of 17 files as corrupt: train/dog/c.tif, train/dog/cut.jpg, "
    assert corrupt.startswith(told)
    assert "a.heic (HEIC), train/dog/b.tif (TIFF: pixels of 32 bits" in others
    assert "no reader does" in others
    images, _ = read(dataset.train_batches(16, 6, seed=0), 1)
    assert len(set(colours(images))) == 6
    small_files |= {f"val/cat/{i}.png": b"no image" for i in range(2)}
    with pytest.raises(ValueError, match=r"no readable image in .*val/cat"):
        data.open_dataset(data_dir=write_folder(small_files), skip_corrupt=True)


def test_skip_corrupt_keeps_what_the_other_reader_decodes(
    write_folder, small_files, reader, monkeypatch
):
    """TensorFlow's libjpeg reads fewer kinds of JPEG than Pillow's."""
    if reader == "grain":
        pytest.skip("it decodes all that any does")
    from keras_t2t.data.tensorflow_reader import reader as module

    decode, odd = module.decode_roughly, encode(np.zeros((9, 9, 3), "uint8"), "JPEG")

    def refuse(encoded):
        if encoded == odd:
            raise OSError("of another kind")
        decode(encoded)

    monkeypatch.setattr(module, "decode_roughly", refuse)
    small_files["train/dog/odd.jpg"] = odd
    told = r"does not skip .*1 of 11 files .*dog/odd\.jpg \(JPEG\); --reader grain"
    with pytest.raises(ValueError, match=told):
        data.open_dataset(data_dir=write_folder(small_files), skip_corrupt=True)


def test_what_is_no_file(write_folder, small_files, capsys):
    """Reading a pipe waited for ever."""
    odd = write_folder(small_files) / "train/cat/odd.png"
    for make in (
        lambda: odd.symlink_to("nowhere"),
        lambda: odd.symlink_to(odd),
        lambda: os.mkfifo(odd),
    ):
        make()
        folder = odd.parents[2]
        with pytest.raises(ValueError, match=r"links, or no files: .*odd\.png; rem"):
            data.open_dataset(data_dir=folder)
        assert data.open_dataset(data_dir=folder, skip_corrupt=True).num_train == 6
        assert "skipped broken links, or no files: " in capsys.readouterr().out
        odd.unlink()


def test_links_to_folders(write_folder, small_files):
    """They are followed, but not around: the dogs were found again as cats."""
    folder = write_folder(small_files)
    (folder / "train/cat").rename(folder.parent / "elsewhere")
    (folder / "train/cat").symlink_to(folder.parent / "elsewhere")
    assert data.open_dataset(data_dir=folder).num_train == 6
    for target in (".", "..", "../.."):
        (folder / "train/dog/more").symlink_to(target, target_is_directory=True)
        for skip in (False, True):
            with pytest.raises(ValueError, match="dog/more is a link to a folder that"):
                data.open_dataset(data_dir=folder, skip_corrupt=skip)
        (folder / "train/dog/more").unlink()


def test_names_that_are_no_utf_8(write_folder, small_files):
    folder = write_folder(small_files)
    odd = os.fsdecode(b"caf\xe9.png")
    (folder / "train/cat/0.png").rename(folder / "train/cat" / odd)
    dataset = data.open_dataset(data_dir=folder)
    images, _ = read(dataset.train_batches(16, 6, seed=0), 1)
    assert len(set(colours(images))) == 6
    (folder / "val/dog" / odd).write_bytes(b"no image")
    dataset = data.open_dataset(data_dir=folder)
    told = r"val/dog/caf\\xe9\.png;"
    with pytest.raises(ValueError, match=told), naming_unreadable(dataset):
        streams.batches(dataset.validation_batches(16, 5))
    for split in ("train", "val"):
        (folder / split / "dog").rename(folder / split / odd)
    with pytest.raises(ValueError, match=r"the class folder caf\\xe9\.png is no UTF-8"):
        data.open_dataset(data_dir=folder)


def test_odd_names_are_names(write_folder, small_files):
    odd = (
        *("no ending", "UPPER.JPEG", "-n", "--weights", "*?[x]{y}", "zwei\nzeilen.jpg"),
        *("'; touch code-was-run; '", "日本語.jpg", "e\u0301.jpg", "x" * 255),
    )
    for split in ("train", "val"):
        for name in odd:
            small_files[f"{split}/cat/{name}"] = small_files["train/cat/0.png"]
    dataset = data.open_dataset(data_dir=write_folder(small_files))
    assert dataset.num_train == 6 + len(odd) and dataset.num_validation == 4 + len(odd)
    images, _ = read(dataset.validation_batches(16, 4))
    assert len(images) == dataset.num_validation


@pytest.fixture
def photo_folder(write_photographs):
    """Ten training and seven validation photographs of two classes."""
    folder = write_photographs("JPEG")
    (folder / "val/china/3").unlink()
    return data.open_dataset(data_dir=folder)


def test_streams_start_anywhere_and_are_cut_into_shards(photo_folder):
    # 7 batches of 4 run over the ends of epochs of 10.
    streams.check_training(photo_folder)
    streams.check_training(photo_folder, FULL, first_steps=())
    streams.check_validation(photo_folder)
    streams.check_bad_arguments(photo_folder)
    # Each epoch crops anew.
    images, _ = read(photo_folder.train_batches(48, 5, seed=0), 4)
    assert len(np.unique(images.reshape(20, -1), axis=0)) == 20


def test_the_full_recipe_is_mixed_and_erased(photo_folder):
    images, targets = read(photo_folder.train_batches(16, 4, 0, FULL), 10)
    assert images.dtype == np.float32 and targets.dtype == np.float32
    assert images.min() < 0 and images.max() > 255  # noise
    assert (images != np.round(images)).any()
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    # A pair shares its targets, each with the other's weight; a batch has one share.
    shares = targets.reshape(10, 4, 2)
    together = shares[:, ::2] + shares[:, 1::2]
    np.testing.assert_allclose(together, np.round(together), atol=1e-6)
    for size, shards in ((3, 1), (6, 2)):  # pairs are not cut
        with pytest.raises(ValueError, match=f"={size} must be .* by {2 * shards}:"):
            photo_folder.train_batches(16, size, 0, FULL, shard=(0, shards))


def test_every_part_can_be_switched_on_alone(photo_folder):
    def trained(**changes):
        augmentation = dataclasses.replace(NONE, **changes)
        return read(photo_folder.train_batches(16, 4, 0, augmentation), 3)[0]

    for changes, dtype in (
        ({"erasing_probability": 1.0}, np.float32),
        ({"mixup_alpha": 0.8}, np.float32),
        ({"num_operations": 1}, np.uint8),
    ):
        images = trained(**changes)
        assert images.dtype == dtype
        assert not np.array_equal(images, trained())
