"""What a run may be told, and what it uses when it is not told."""

import pytest

from keras_t2t.training.config import DEFAULTS, TrainingConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer at least 1, got 0"),
        ({"epochs": 1.5}, "epochs must be an integer at least 1, got 1.5"),
        ({"image_size": 15}, "image_size must be an integer at least 16, got 15"),
        ({"steps_per_epoch": -1}, "steps_per_epoch must be an integer at least 1"),
        ({"learning_rate": -1e-3}, "learning_rate must be at least 0, got -0.001"),
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be at least 0, got nan"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0, got -0.1"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and less than 1, got 1.0"),
        ({"seed": -1}, "seed must be an integer at least 0 and less than"),
        ({"mixed_precision": "fp8"}, "mixed_precision must be one of none, bfloat16"),
    ],
)
def test_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_defaults_follow_the_data_set():
    digits = TrainingConfig().with_defaults("digits", 10)
    assert (digits.model, digits.image_size, digits.batch_size) == ("T2TViT7", 64, 64)
    for name, classes in (("imagenet2012", 1000), ("my_photos", 1000)):
        assert TrainingConfig().with_defaults(name, classes).model == "T2TViT14"
    assert TrainingConfig().with_defaults("my_photos", 10).model == "T2TViT7"


def test_given_settings_stay_and_the_rate_follows_the_batch():
    row = DEFAULTS["imagenet2012"]
    config = TrainingConfig(model="T2TViT7", batch_size=128, weight_decay=0.0)
    config = config.with_defaults("imagenet2012", 1000)
    assert (config.model, config.batch_size, config.weight_decay) == ("T2TViT7", 128, 0)
    assert config.learning_rate == row.learning_rate / 4
    rate = TrainingConfig(batch_size=128, learning_rate=0.01)
    assert rate.with_defaults("imagenet2012", 1000).learning_rate == 0.01
