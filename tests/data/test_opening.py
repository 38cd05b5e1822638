"""What `open_dataset` opens when, how it finds prepared data, and what it refuses."""

import math

import pytest

from benchmarks.fuzz import is_clear
from keras_t2t import data


@pytest.fixture
def tfds_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "folder", "prepared"),
    [
        ("TFDS_DATA_DIR", "imagenet2012/5.1.0", True),
        ("TFDS_DATA_DIR", "imagenet2012/some_config/5.1.0", True),
        ("TFDS_DATA_DIR", "imagenet2012/incomplete.ABC123_5.1.0", False),
        ("HOME", "tensorflow_datasets/imagenet2012/5.0.0", True),  # TFDS's own
    ],
)
def test_prepared_is_a_finished_version(
    tmp_path, monkeypatch, variable, folder, prepared
):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert not data.is_prepared("imagenet2012")
    (tmp_path / folder).mkdir(parents=True)
    assert not data.is_prepared("imagenet2012")
    (tmp_path / folder / "dataset_info.json").touch()
    assert data.is_prepared("imagenet2012") is prepared
    assert not data.is_prepared("imagenet")


def test_default_is_imagenet_where_it_is_prepared_else_digits(tfds_folder, monkeypatch):
    assert data.open_dataset().name == "digits"
    monkeypatch.setattr("keras_t2t.data.opening.is_prepared", lambda name: True)
    # The folder is empty, so opening it fails: at imagenet2012.
    with pytest.raises(ValueError, match="'imagenet2012' is not prepared"):
        data.open_dataset()


def test_what_the_digits_do_not_have():
    for name, value in {
        "data_dir": "validation",
        "skip_corrupt": True,
        "validation_share": 0.2,
        "exif_orientation": True,
        "split": "test",
    }.items():
        asked = {"evaluation_only": name == "split", name: value}
        with pytest.raises(ValueError, match=f"{name}={value!r}") as caught:
            data.open_dataset("digits", **asked)
        assert "digits" in str(caught.value)


OUT_OF_RANGE = {
    "validation_share": [0, -0.1, 1.5, "x", True, math.nan, 1],
    "reader": ["pillow", "", 3],
    "exif_orientation": ["yes"],
    "split": ["train"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in OUT_OF_RANGE.items() for value in values],
)
def test_an_argument_out_of_range(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"`?{name}`? must .* got {value!r}"):
        data.open_dataset(data_dir=tmp_path, **{name: value})


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
