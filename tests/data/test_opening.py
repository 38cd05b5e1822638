"""What `open_dataset` opens when, and how it finds prepared data."""

import pytest

from benchmarks.fuzz import is_clear
from keras_t2t import data


@pytest.fixture
def tfds_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("folder", ["5.1.0", "some_config/5.1.0"])
def test_prepared_is_a_finished_version(tfds_folder, folder):
    assert not data.is_prepared("imagenet2012")
    version = tfds_folder / "imagenet2012" / folder
    version.mkdir(parents=True)
    assert not data.is_prepared("imagenet2012")
    (version / "dataset_info.json").touch()
    assert data.is_prepared("imagenet2012")
    assert not data.is_prepared("imagenet")


def test_unfinished_version_is_not_prepared(tfds_folder):
    version = tfds_folder / "imagenet2012/incomplete.ABC123_5.1.0"
    version.mkdir(parents=True)
    (version / "dataset_info.json").touch()
    assert not data.is_prepared("imagenet2012")


def test_default_folder_is_tfds_own(tmp_path, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not data.is_prepared("imagenet2012")
    version = tmp_path / "tensorflow_datasets/imagenet2012/5.0.0"
    version.mkdir(parents=True)
    (version / "dataset_info.json").touch()
    assert data.is_prepared("imagenet2012")


def test_default_is_digits_where_imagenet_is_not_prepared(tfds_folder):
    assert data.open_dataset().name == "digits"


def test_default_is_imagenet_where_it_is_prepared(tfds_folder, monkeypatch):
    monkeypatch.setattr("keras_t2t.data.opening.is_prepared", lambda name: True)
    # The folder is empty, so opening it fails: at imagenet2012.
    with pytest.raises(ValueError, match="'imagenet2012' is not prepared"):
        data.open_dataset()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"data_dir": "validation"}, "scikit-learn: .* got data_dir='validation'"),
        ({"skip_corrupt": True}, "skip_corrupt=True works on an image folder"),
        ({"validation_share": 0.2}, "fixed splits, .* got validation_share=0.2"),
        ({"exif_orientation": True}, "no EXIF data; got exif_orientation=True"),
        ({"evaluation_only": True, "split": "test"}, "none for test, .* split='test'"),
    ],
)
def test_what_the_digits_do_not_have(asked, message):
    with pytest.raises(ValueError, match=message):
        data.open_dataset("digits", **asked)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"data_dir": value} for value in (5, ["x"], "", b"x", "a\0b", "x" * 5000)),
        *({"data_dir": value} for value in ("~nobody-here/x", "gone")),
        *({"dataset": value} for value in ("no-such-set", "", 3, b"x")),
    ],
    ids=lambda arguments: repr(arguments)[:40],
)
def test_what_names_no_data(arguments, tfds_folder, monkeypatch):
    monkeypatch.chdir(tfds_folder)
    with pytest.raises((ValueError, OSError)) as caught:
        data.open_dataset(**arguments)
    assert is_clear(caught.value), caught.value
