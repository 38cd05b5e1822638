"""What a run does when it is not told, by what data it was given."""

import types

import numpy as np
import pytest

from keras_t2t.data import open_dataset
from keras_t2t.training import TrainingConfig
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


@pytest.mark.parametrize("way", ["named", "opened", "by default"])
def test_the_digits_have_their_own_recipe(way, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "empty"))
    ways = {"named": {"dataset": "digits"}, "opened": {"own": open_dataset("digits")}}
    config = planned(tmp_path, **ways.get(way, {}))
    assert (config.augmentation, config.epochs) == ("none", 6)
    assert (config.image_size, config.crop) == (64, 1.0)
    told = "imagenet2012 is not prepared" in capsys.readouterr().out
    assert told == (way != "named")
