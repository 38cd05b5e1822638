"""Whole runs at toy size: what they leave behind, and that failures leave nothing."""

import importlib.util
import json

import keras
import numpy as np
import pytest
from PIL import Image

import keras_t2t
from keras_t2t.models.by_name import builder as by_name
from keras_t2t.training import TrainingConfig, train
from keras_t2t.training.compiled_model import compiled_model
from tests.training.conftest import history, record

SHORT = {"image_size": 32, "batch_size": 40, "steps_per_epoch": 2, "epochs": 2}
READER = [pytest.param("tensorflow", marks=pytest.mark.nightly), "grain"]
FEW = {**SHORT, "batch_size": 8, "epochs": 1}  # for ten images


def digits(folder, **settings):
    return TrainingConfig(
        dataset="digits", output_dir=str(folder), **{**SHORT, **settings}
    )


@pytest.fixture(scope="module", autouse=True)
def small_model():
    """One Performer block for every name; the scripts' test trains T2TViT7 itself."""

    def build(**arguments):
        return keras_t2t.T2TViT(16, 1, 2, 2, "performer", **arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "keras_t2t.training.compiled_model.builder",
            lambda name: build if by_name(name) else None,
        )
        yield


@pytest.fixture
def photos(tmp_path):
    """Two classes of tiny JPEGs, 5 for training and 2 for validation each."""
    random = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 2)):
        for label in ("dark", "light"):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 120, (40, 50, 3)) + 130 * (label == "light")
                Image.fromarray(pixels.astype("uint8")).save(folder / f"{i}.jpg")
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One finished run: its folder and its result."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, train(digits(folder), verbose=0)


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
    config = record(folder)
    assert (config["epochs"], config["learning_rate"]) == (2, 5e-4 * 40 / 64)
    rows = history(folder)
    assert len(rows) == 2
    assert {"loss", "top1", "top5", "val_top1", "images_per_second"} <= set(rows[0])
    assert rows[-1]["val_top1"] == result["val_top1"]

    model = keras.saving.load_model(folder / "final.keras")
    assert model.input_shape == (None, 32, 32, 3)
    model.load_weights(folder / "best.weights.h5")
    pixels = np.full((1, 32, 32, 3), 255, "uint8")
    assert np.isfinite(model.predict(pixels, verbose=0)).all()


@pytest.mark.nightly_elsewhere
@pytest.mark.usefixtures("keras_initializers")
def test_one_seed_gives_one_loss_curve(finished, tmp_path):
    train(digits(tmp_path / "again"), verbose=0)
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
    config = digits(tmp_path / "run", mixed_precision=precision, epochs=1)
    before = keras.config.dtype_policy()
    train(config, verbose=0)
    assert keras.config.dtype_policy() == before
    (row,) = history(tmp_path / "run")
    assert np.isfinite(row["val_loss"])


@pytest.mark.nightly_elsewhere
@pytest.mark.filterwarnings("error:Your input ran out of data")
@pytest.mark.parametrize("reader", READER)
def test_an_image_folder_trains(tmp_path, photos, reader):
    """With the whole recipe, and a preview of what it makes of the images."""
    settings = {**FEW, "data_dir": str(photos), "output_dir": str(tmp_path / "run")}
    preview = str(tmp_path / "preview.png")
    config = TrainingConfig(reader=reader, preview=preview, **settings)
    result = train(config, verbose=0)
    recorded = record(tmp_path / "run")
    assert (recorded["augmentation"], recorded["reader"]) == ("full", reader)
    assert Image.open(tmp_path / "preview.png").size == (3 * 164, 3 * 190)
    assert result["dataset"] == "photos"
    assert result["val_top5"] == 1.0  # of two classes


@pytest.mark.once
def test_the_share_of_a_flat_folder_and_which_way_up_are_the_run_s(tmp_path, photos):
    settings = {**FEW, "data_dir": str(photos / "train"), "augmentation": "light"}
    settings |= {"output_dir": str(tmp_path / "run"), "reader": "grain"}
    train(TrainingConfig(**settings), verbose=0)
    recorded = record(tmp_path / "run")
    assert (recorded["validation_share"], recorded["exif_orientation"]) == (0.2, True)
    assert recorded["data"]["training images"] == 8
    for other, message in (
        ({"validation_share": 0.4}, r"validation_share: the run has 0\.2, now 0"),
        ({"exif_orientation": False}, "exif_orientation: the run has True, now False"),
    ):
        with pytest.raises(ValueError, match=message):
            train(TrainingConfig(**settings, **other, resume=True), verbose=0)
    train(TrainingConfig(**settings, resume=True), verbose=0)


@pytest.mark.parametrize("reader", READER)
@pytest.mark.once
def test_a_corrupt_image_is_named_and_nothing_is_left(tmp_path, photos, reader):
    (photos / "train" / "dark" / "0.jpg").write_bytes(b"\xff\xd8\xff no image")
    settings = {**FEW, "data_dir": str(photos), "output_dir": str(tmp_path / "run")}
    settings |= {"augmentation": "light", "reader": reader}
    with pytest.raises(ValueError, match=r"dark/0.jpg.* --skip-corrupt"):
        train(TrainingConfig(**settings), verbose=0)
    assert not (tmp_path / "run").exists()
    train(TrainingConfig(**settings, skip_corrupt=True), verbose=0)
    assert (tmp_path / "run" / "final.keras").exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("output", "settings", "message"),
    [
        ("a file", {}, "is a file, not a folder"),
        ("run", {"preview": "sheet.txt"}, r"must end in \.png, got .*sheet\.txt"),
    ],
)
def test_where_nothing_can_be_written_nothing_is(output, settings, message, tmp_path):
    (tmp_path / "a file").touch()
    with pytest.raises(ValueError, match=message):
        train(digits(tmp_path / output, **settings), verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.parametrize("name", ["ViTS16", "ResNet50"])
@pytest.mark.nightly
def test_the_baselines_take_a_step(name, monkeypatch):
    """Without the files of a run: these are large."""
    monkeypatch.setattr("keras_t2t.training.compiled_model.builder", by_name)
    config = TrainingConfig(model=name, **SHORT).with_defaults("digits", 7)
    model = compiled_model(config, num_classes=7)
    model.run_eagerly = keras.backend.backend() == "tensorflow"  # tracing takes longer
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    labels = np.eye(7, dtype="float32")[:2]
    for _ in range(2):
        result = model.train_on_batch(pixels, labels, return_dict=True)
        assert np.isfinite(result["loss"])


@pytest.mark.nightly
def test_the_recipe_of_deit_iii(photos, tmp_path):
    folder = tmp_path / "run"
    settings = {**FEW, "data_dir": str(photos), "output_dir": str(folder)}
    train(TrainingConfig(recipe="modern", **settings), verbose=0)
    (epoch,) = history(folder)
    assert np.isfinite(epoch["loss"]) and epoch["val_loss"] > 0
    recorded = record(folder)
    assert (recorded["optimizer"], recorded["augmentation"]) == ("lamb", "three")
    assert recorded["loss"] == "binary_crossentropy"
