"""A run's record may come from anybody: every value is checked before use."""

import json

import pytest

from keras_t2t.classifier import find_classifier, read_run
from keras_t2t.settings.recorded import checked_record, repeated_settings
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.visualization.runs import read_history

pytestmark = pytest.mark.once

RECORD = {
    "backend": "jax",
    "versions": {"keras_t2t": "0.1.0", "keras": "3.12.0"},
    **{"model": "T2TViT7", "image_size": 32, "crop": 0.9},
    **{"interpolation": "bicubic", "normalization": "imagenet"},
    **{"dataset": None, "data_dir": "photos", "reader": "grain", "seed": 0},
    **{"epochs": 3, "batch_size": 64, "skip_corrupt": False},
    "data": {"name": "photos", "training images": 10, "classes": ["a", "b"]},
    "run": "0123",
}
ODD = (
    *(None, True, -1, 0.5, 10**400, float("nan"), float("inf"), "", "\x1b[2J"),
    *([], {}, [[]], {"a": 1}, "evilmod.x", 2**31, ["x"] * 3, "../../x"),
)


def written(folder, record, name="final.keras"):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(record))
    (folder / name).touch()
    return folder / name


@pytest.mark.parametrize("key", [*RECORD, "weights", "ema_decay", "resume"])
def test_any_value_is_taken_or_told_in_one_line(tmp_path, key, monkeypatch):
    """And no library is looked for by a name from the record."""
    monkeypatch.setattr("importlib.util.find_spec", pytest.fail)
    for value in ODD:
        path = written(tmp_path, RECORD | {key: value})
        try:
            assert read_run(path)[key] == value
        except ValueError as error:
            assert f"config.json `{key}`: " in str(error) or "lacks" in str(error)
            assert "\n" not in str(error) and "\x1b" not in str(error)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reader": "torch"}, "`reader`: .*grain, tensorflow"),
        ({"crop": 1.5}, "`crop`: crop must be greater than 0 and at most 1, got 1.5"),
        ({"model": "T2TViT8"}, "`model`: unknown model 'T2TViT8'"),
        ({"image_size": 10**9}, "`image_size`: .* at most 5792, got 1000000000"),
        ({"dataset": "kaggle:x"}, "`dataset`: .*got 'kaggle:x'"),
        ({"versions": {"keras_t2t": "x y"}}, "`versions`: .*'x y'"),
        ({"data": {"name": 3}}, "`data`: must be an object with name"),
        (
            {"versions": {"keras_t2t": "9.1"}, "model": "T3TViT"},
            r"`model`: unknown model 'T3TViT'.* \(made by keras_t2t 9\.1, this is 0\.",
        ),
        (
            {"versions": {"keras_t2t": "9.1"}, "resampling": "x"},
            r"`resampling` is unknown \(made by keras_t2t 9\.1",
        ),
    ],
)
def test_the_line_names_file_key_and_value(tmp_path, change, told):
    path = written(tmp_path, {**RECORD, **change})
    with pytest.raises(ValueError, match=rf"config\.json {told}"):
        read_run(path)


@pytest.mark.parametrize("key", ["model", "image_size", "crop", "normalization"])
def test_what_is_missing_is_named(tmp_path, key):
    record = dict(RECORD)
    for missing in (key, "versions"):
        del record[missing]
        for lacking in (record, {**record, key: None}):
            with pytest.raises(ValueError, match=f"lacks `{key}`"):
                find_classifier(written(tmp_path, lacking))


def test_a_record_of_another_program_is_left_alone(tmp_path):
    assert read_run(written(tmp_path, {"model_type": "vit"}, "x.pth")) is None
    assert read_run(written(tmp_path, [], "x.pth")) is None
    (tmp_path / "history.csv").write_text("epoch,loss\n0,1\n")
    for read, path in ((read_run, written(tmp_path, [])), (read_history, tmp_path)):
        with pytest.raises(ValueError, match=r"config\.json must hold a record"):
            read(path)


def test_a_run_that_is_resumed_is_checked_too(tmp_path):
    written(tmp_path, {**RECORD, "batch_size": "many"})
    with RunFolder(tmp_path) as folder:
        with pytest.raises(ValueError, match=r"config\.json `batch_size`: "):
            folder.find_run(resume=True)
        assert folder.find_run(overwrite=True) is None


def test_a_run_with_parts_of_its_own_is_not_repeated(tmp_path):
    own = {"model": {"class": "Net"}, "callbacks": [{"class": "Log"}]}
    written(tmp_path, {**RECORD, "model": None, "own": own})
    told = r"config\.json `own`: the run had its own model, callbacks, which"
    with pytest.raises(ValueError, match=told):
        repeated_settings(tmp_path / "config.json")


def test_a_record_is_given_back_with_all_settings():
    held = checked_record(RECORD, "config.json")
    assert held["validation_share"] is None and held["host_timeout"] == 600
    assert {**held, **RECORD} == held


def test_integers_that_no_float_holds(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(RECORD).replace("64", "9" * 5000))
    with pytest.raises(ValueError, match=r"config\.json is no JSON: Exceeds the limit"):
        read_run(path.with_name("final.keras"))
