"""What a run does when it is not told, by what data it was given."""

import json
import types

import numpy as np
import pytest

from keras_t2t.data import open_dataset
from keras_t2t.training import TrainingConfig, planning
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.own import Own
from keras_t2t.training.planning import plan_run
from keras_t2t.training.run_folder import RunFolder
from tests.training import recipe

pytestmark = pytest.mark.once


def planned(folder, own=None, **settings):
    """The complete config of a run."""
    with RunFolder(folder / "run") as run:
        config = TrainingConfig(batch_size=2, **settings)
        return plan_run(config, run, None, Devices(), Own(dataset=own)).config


@pytest.mark.parametrize("name", ["digits", "imagenet2012"])
@pytest.mark.parametrize("opened", [True, False])
def test_a_folder_s_name_chooses_no_recipe(name, opened, tmp_path):
    recipe.write_photographs(tmp_path, classes=2)
    flat = (tmp_path / "train").rename(tmp_path / name)
    given = {"own": open_dataset(data_dir=flat)} if opened else {"data_dir": flat}
    config = planned(tmp_path, **given)
    assert (config.augmentation, config.epochs) == ("full", 100)
    assert (config.model, config.image_size) == ("T2TViT7", 224)


def test_nor_does_the_name_of_custom_batches(tmp_path, capsys):
    batches = [(np.full((2, 32, 32, 3), 200.0), np.array([0, 1]))]
    named = types.SimpleNamespace(name="digits", class_names=("a", "b"))
    named.train_batches = named.validation_batches = batches
    config = planned(tmp_path, own=named)
    assert (config.epochs, config.crop) == (100, 0.9)
    assert "imagenet2012" not in capsys.readouterr().out


@pytest.fixture
def moved(source, tmp_path, monkeypatch):
    """Plans a run from `source`, whose 24 photographs are in another folder now."""

    def moved(data=None, **settings):
        recipe.write_photographs(tmp_path)
        names = [f"class {label}" for label in range(4)]
        known = {"training images": 12, "validation images": 12, "classes": names}
        recorded = json.loads((tmp_path / "source" / "config.json").read_text())
        recorded["data"] = known | {"name": "photos", **(data or {})}
        recorded |= {"data_dir": "/gone", "validation_share": 0.5}
        (tmp_path / "source" / "config.json").write_text(json.dumps(recorded))
        classes = json.dumps(recorded["data"]["classes"])
        (tmp_path / "source" / "classes.json").write_text(classes)
        monkeypatch.chdir(tmp_path)
        return planned(tmp_path, data_dir="train", weights="source", **settings)

    return moved


@pytest.mark.parametrize(
    ("data", "asked", "share"),
    [
        *((None, None, 0.5), (None, 0.25, 0.25)),
        *(({"training images": 13}, None, 0.2), ({"classes": [*"abcd"]}, None, 0.2)),
    ],
)
def test_images_that_trained_the_weights_do_not_validate_elsewhere(
    data, asked, share, moved
):
    assert moved(data, validation_share=asked).validation_share == share


def test_a_head_for_other_classes_cannot_be_kept(moved):
    with pytest.raises(ValueError, match=r"fresh_head=False: the head of .* not of"):
        moved({"classes": [*"abcd"]}, fresh_head=False)


def test_the_record_can_be_read_from_elsewhere(source, moved, tmp_path):
    config = moved(teacher="source")
    paths = config.data_dir, config.weights, config.teacher
    assert paths == (str(tmp_path / "train"), source, source)
    named = {"weights": "imagenet", "teacher": "ResNet50"}
    (tmp_path / "imagenet").mkdir()
    config = planning.with_whole_paths(TrainingConfig(**named))
    assert {name: getattr(config, name) for name in named} == named


@pytest.mark.parametrize("way", ["named", "opened", "by default"])
def test_the_digits_have_their_own_recipe(way, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "empty"))
    ways = {"named": {"dataset": "digits"}, "opened": {"own": open_dataset("digits")}}
    config = planned(tmp_path, **ways.get(way, {}))
    assert (config.augmentation, config.epochs) == ("none", 6)
    assert (config.image_size, config.crop) == (64, 1.0)
    told = "imagenet2012 is not prepared" in capsys.readouterr().out
    assert told == (way != "named")
