"""Training on the 3,409 real photographs, where they lie beside the project."""

import csv
from pathlib import Path

import pytest

from keras_t2t.training import TrainingConfig, train

CLOTHING = Path(__file__).parents[2].parent / "shared" / "data" / "clothing"


@pytest.mark.nightly
@pytest.mark.skipif(not CLOTHING.is_dir(), reason="the photographs are not here")
def test_the_loss_falls_on_photographs(tmp_path):
    config = TrainingConfig(
        data_dir=str(CLOTHING),
        image_size=96,
        augmentation="light",
        epochs=2,
        output_dir=str(tmp_path / "run"),
    )
    result = train(config, verbose=0)
    assert result["val_top1"] > 0.2  # the largest class is 24%, chance is 10%
    with open(tmp_path / "run" / "history.csv", encoding="utf-8") as file:
        first, last = csv.DictReader(file)
    assert float(last["loss"]) < float(first["loss"])
    assert float(last["val_loss"]) < float(first["val_loss"])
