"""Whole runs at toy size: what they leave behind, and that failures leave nothing."""

import importlib.util
import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_t2t.models.by_name import builder as by_name
from keras_t2t.training import TrainingConfig, train
from keras_t2t.training.compiled_model import compiled_model, learning_rates
from tests.training import recipe, tiny
from tests.training.conftest import history, record

SHORT = {"image_size": 32, "batch_size": 40, "steps_per_epoch": 2, "epochs": 2}
READER = [pytest.param("tensorflow", marks=pytest.mark.nightly), "grain"]


def train_on_digits(folder, **settings):
    settings = {**SHORT, "dataset": "digits", "output_dir": folder, **settings}
    return train(TrainingConfig(**settings), verbose=0)


@pytest.fixture(scope="module", autouse=True)
def small_model():
    """For every name; the scripts' test trains T2TViT7 itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "keras_t2t.training.compiled_model.builder", lambda name: recipe.performer
        )
        yield


@pytest.fixture
def train_on_photos(tmp_path):
    """Trains one epoch on ten tiny JPEGs of two classes, into the folder `run`."""
    recipe.write_photographs(tmp_path / "photos", classes=2, train=5, val=2)

    def train_on_photos(**settings):
        few = {"data_dir": tmp_path / "photos", "batch_size": 8, "epochs": 1}
        return train_on_digits(tmp_path / "run", dataset=None, **{**few, **settings})

    return train_on_photos


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run: its folder and its result."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, train_on_digits(folder)


def test_a_run_leaves_its_folder(finished):
    folder, result = finished
    assert list(result) == [
        *("backend", "model", "dataset", "epochs", "val_top1", "val_top5"),
        *("val_top1_ema", "images_per_second", "output_dir"),
    ]
    assert result["backend"] == keras.backend.backend()
    assert (result["model"], result["dataset"]) == ("T2TViT7", "digits")
    assert 0 <= result["val_top1"] <= result["val_top5"] <= 1
    assert result["images_per_second"] > 0

    writes = all(map(importlib.util.find_spec, ("tensorboard", "tensorflow")))
    assert {path.name for path in folder.iterdir()} == {
        *["tensorboard"] * writes,
        *("config.json", "classes.json", "history.csv", "curves.png"),
        *("best.weights.h5", "final.keras", "final_ema.keras", "result.json"),
    }
    assert json.loads((folder / "classes.json").read_text()) == list("0123456789")
    config, rows = record(folder), history(folder)
    assert (config["epochs"], config["learning_rate"]) == (2, 5e-4 * 40 / 64)
    assert len(rows) == 2
    assert {"loss", "top1", "top5", "val_top1", "images_per_second"} <= set(rows[0])
    assert rows[-1]["val_top1"] == result["val_top1"]

    model = keras.saving.load_model(folder / "final.keras")
    assert model.input_shape == (None, 32, 32, 3)
    model.load_weights(folder / "best.weights.h5")
    pixels = np.full((1, 32, 32, 3), 255, "uint8")
    assert np.isfinite(model.predict(pixels, verbose=0)).all()


def test_the_history_has_the_rate_of_each_epoch_s_last_step(finished):
    """Not that of the step which would follow."""
    found = [row["learning_rate"] for row in history(finished[0])]
    rates = learning_rates(TrainingConfig(**SHORT).with_defaults("digits", 10))
    expected = [float(keras.ops.convert_to_numpy(rates(step))) for step in (1, 3)]
    assert found == pytest.approx(expected)
    assert found[0] > found[1] > 1.1e-5  # the end of the cosine is 1e-5


@pytest.mark.nightly_elsewhere
@pytest.mark.usefixtures("keras_initializers")
def test_one_seed_gives_one_loss_curve(finished, tmp_path):
    train_on_digits(tmp_path / "again")
    runs = finished[0], tmp_path / "again"
    one, other = ([row["loss"] for row in history(run)] for run in runs)
    assert one == other and one[0] != one[1]


@pytest.mark.parametrize(
    "precision",
    [
        pytest.param("bfloat16", marks=pytest.mark.nightly),
        pytest.param("float16", marks=pytest.mark.nightly_elsewhere),
    ],
)
def test_mixed_precision_trains(tmp_path, precision):
    before = keras.config.dtype_policy()
    train_on_digits(tmp_path / "run", mixed_precision=precision, epochs=1)
    assert keras.config.dtype_policy() == before
    (row,) = history(tmp_path / "run")
    assert np.isfinite(row["val_loss"])


@pytest.mark.nightly_elsewhere
@pytest.mark.filterwarnings("error:Your input ran out of data")
@pytest.mark.parametrize("reader", READER)
def test_an_image_folder_trains(tmp_path, train_on_photos, reader):
    """With the whole recipe, and a preview of what it makes of the images."""
    result = train_on_photos(reader=reader, preview=tmp_path / "preview.png")
    recorded = record(tmp_path / "run")
    assert (recorded["augmentation"], recorded["reader"]) == ("full", reader)
    assert Image.open(tmp_path / "preview.png").size == (3 * 164, 3 * 190)
    assert result["dataset"] == "photos"
    assert result["val_top5"] == 1.0  # of two classes


@pytest.mark.once
def test_the_share_of_a_flat_folder_and_which_way_up_are_the_run_s(
    tmp_path, train_on_photos
):
    settings = {"data_dir": tmp_path / "photos/train", "augmentation": "light"}
    train_on_photos(**settings)
    recorded = record(tmp_path / "run")
    assert (recorded["validation_share"], recorded["exif_orientation"]) == (0.2, True)
    assert recorded["data"]["training images"] == 8
    for name, other in (("validation_share", 0.4), ("exif_orientation", False)):
        told = f"{name}: the run has {recorded[name]}, now {other}"
        with pytest.raises(ValueError, match=told):
            train_on_photos(**settings, **{name: other}, resume=True)
    train_on_photos(**settings, resume=True)


@pytest.mark.once
def test_one_class_is_nothing_to_learn(tmp_path, train_on_photos):
    recipe.write_photographs(tmp_path / "cats", classes=1)
    with pytest.raises(ValueError, match="2 classes, got 1 in 'cats': 'class 0'"):
        train_on_photos(data_dir=tmp_path / "cats")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("reader", READER)
@pytest.mark.once
def test_a_corrupt_image_is_named_and_nothing_is_left(
    tmp_path, train_on_photos, reader
):
    path = tmp_path / "photos" / "train" / "class 0" / "0.jpg"
    path.write_bytes(b"\xff\xd8\xff no image")
    settings = {"augmentation": "light", "reader": reader}
    with pytest.raises(ValueError, match=r"class 0/0\.jpg.* --skip-corrupt"):
        train_on_photos(**settings)
    assert not (tmp_path / "run").exists()
    train_on_photos(**settings, skip_corrupt=True)
    assert (tmp_path / "run" / "final.keras").exists()


@pytest.mark.parametrize("name", ["ViTS16", "ResNet50"])
@pytest.mark.nightly
def test_the_baselines_take_a_step(name, monkeypatch):
    """Without the files of a run: these are large."""
    monkeypatch.setattr("keras_t2t.training.compiled_model.builder", by_name)
    config = TrainingConfig(model=name, **SHORT).with_defaults("digits", 4)
    model = compiled_model(config, tiny.TinyData())
    model.run_eagerly = keras.backend.backend() == "tensorflow"  # tracing takes longer
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    labels = np.eye(4, dtype="float32")[:2]
    for _ in range(2):
        result = model.train_on_batch(pixels, labels, return_dict=True)
        assert np.isfinite(result["loss"])


@pytest.mark.nightly
def test_the_recipe_of_deit_iii(train_on_photos, tmp_path):
    train_on_photos(recipe="modern")
    (epoch,) = history(tmp_path / "run")
    assert np.isfinite(epoch["loss"]) and epoch["val_loss"] > 0
