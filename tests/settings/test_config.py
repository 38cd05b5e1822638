"""What a run may be told, and what it uses when it is not told."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from keras_t2t.data import AUGMENTATIONS
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.recipes import IMAGENET, RECIPES
from keras_t2t.training.planning import augmentation

pytestmark = pytest.mark.once


def filled(dataset="imagenet2012", classes=1000, images=None, **settings):
    """All settings of a run that is told these."""
    return TrainingConfig(**settings).with_defaults(dataset, classes, images)


def check(config, **expected):
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("batch_size", 0), ("image_size", 15), ("seed", -1), ("lora", -1)),
        *(("learning_rate", 0.0), ("learning_rate", math.nan), ("teacher_weight", 0)),
        *(("warmup_epochs", math.inf), ("crop", 1.1), ("epochs", 1.5)),
        *(("epochs", True), ("drop_path", False), ("resume", 1), ("resume", None)),
        *(("model", 7), ("mixed_precision", "fp8"), ("preview", "sheet.jpg")),
    ],
)
def test_a_value_that_is_not_accepted_is_named(name, value):
    told = f"^{name} must be .*, got {re.escape(repr(value))}$"
    with pytest.raises(ValueError, match=told):
        TrainingConfig(**{name: value})


def test_what_resume_needs():
    with pytest.raises(ValueError, match="resume needs output_dir"):
        TrainingConfig(resume=True)
    with pytest.raises(ValueError, match="resume and overwrite exclude each other"):
        TrainingConfig(resume=True, overwrite=True, output_dir="x")


@pytest.mark.parametrize(
    "settings",
    [
        {"linear_probe": True},
        {"backbone_rate": 0.5},
        {"fresh_head": True},
        {"lora": 8},
        {"weights": "x", "lora": 8, "linear_probe": True},
        {"weights": "x", "linear_probe": True, "drop_path": 0.1},
        {"teacher_weight": 0.3},
        {"optimizer": "sgd"},
        {"optimizer": "lamb", "layer_decay": 0.5},
        {"class_weights": "balanced", "loss": "binary_crossentropy"},
        {"warmup_epochs": 8.0},
    ],
)
def test_what_does_not_go_together_is_named(settings):
    with pytest.raises(ValueError, match=r"; got ") as error:
        filled("digits", 10, **settings)
    for name, value in settings.items():
        assert f"{name}={value!r}" in str(error.value) or name == "weights"


def test_values_are_python_s_own():
    config = TrainingConfig(
        epochs=np.int64(3), mixup=np.float32(1), skip_corrupt=np.True_, data_dir=Path()
    )
    values = (config.epochs, config.mixup, config.skip_corrupt, config.data_dir)
    assert json.dumps(values) == '[3, 1.0, true, "."]'


def test_defaults_follow_the_data_set():
    check(filled("digits", 10), model="T2TViT7", image_size=64, batch_size=64)
    for name, classes in (("imagenet2012:5.1.0", 2), ("my_photos", 1000)):
        assert filled(name, classes).model == "T2TViT14"
    assert filled("my_photos", 10).model == "T2TViT7"


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_augments_or_crops_digits(recipe):
    check(filled("digits", 10, recipe=recipe), augmentation="none", crop=1.0)


@pytest.mark.parametrize(
    ("model", "learning_rate", "weight_decay"),
    [
        ("T2TViT7", 1e-3, 0.03),
        ("T2TViT12", 1e-3, 0.03),
        ("T2TViT14", 5e-4, 0.05),
        ("T2TViT19", 5e-4, 0.065),
        ("T2TViTt24", 5e-4, 0.065),
        ("T2TViT14SE", 5e-4, 0.05),
    ],
)
def test_the_imagenet_recipe_is_the_authors(model, learning_rate, weight_decay):
    check(
        filled(model=model),
        **{"learning_rate": learning_rate, "weight_decay": weight_decay},
        **{"epochs": 310, "batch_size": 512, "rate_changes": "epoch"},
        **{"warmup_epochs": 10, "cooldown_epochs": 10, "ema_decay": 0.99996},
        **{"drop_path": 0.1, "label_smoothing": 0.1, "augmentation": "full"},
    )


def test_the_recipe_of_90_epochs():
    """Beyer et al., arXiv:2205.01580, warm up for 10,000 steps of 1,024 images."""
    config = filled(model="T2TViT19", recipe="budget90", images=1_281_167)
    check(
        config,
        **{"model": "T2TViT19", "recipe": "budget90"},
        **{"epochs": 90, "batch_size": 1024, "learning_rate": 1e-3},
        **{"clip_norm": 1, "label_smoothing": 0, "drop_path": 0, "mixup": 0.2},
        **{"cutmix": 0, "random_erasing": 0, "final_learning_rate": 0},
    )
    assert config.warmup_epochs * config.steps_per_epoch == pytest.approx(10_000, 0.01)
    # Beside the rate, as theirs is, the decay is 1e-4.
    assert config.weight_decay * config.learning_rate == pytest.approx(1e-4)
    drawn = AUGMENTATIONS[config.augmentation]  # two operations of level 10, always
    assert config.randaugment and (drawn.num_operations, drawn.magnitude) == (2, 10)
    assert (drawn.magnitude_std, drawn.operation_probability) == (0, 1)
    assert drawn.crop_scale == (0.05, 1)


def test_the_recipe_of_deit_iii():
    """README_revenge.md of DeiT, the first command: eight times 256 images a step."""
    check(
        filled(model="T2TViT19", recipe="modern"),
        **{"model": "T2TViT19", "epochs": 800, "batch_size": 2048},
        **{"learning_rate": 4e-3, "final_learning_rate": 1e-5, "warmup_epochs": 5},
        **{"optimizer": "lamb", "loss": "binary_crossentropy", "weight_decay": 0.05},
        **{"mixup": 0.8, "cutmix": 1, "random_erasing": 0, "randaugment": False},
        **{"drop_path": 0.05, "label_smoothing": 0, "augmentation": "three"},
    )


def test_from_weights_the_recipe_is_the_authors_on_cifar():
    check(
        filled("cifar10", 10, weights="imagenet"),
        **{"model": "T2TViT14", "image_size": 224, "epochs": 60, "batch_size": 64},
        **{"optimizer": "sgd", "learning_rate": 0.05, "final_learning_rate": 2e-4},
        **{"backbone_rate": 0.01, "weight_decay": 5e-4, "drop_path": 0.1, "lora": 0},
        **{"augmentation": "padded", "label_smoothing": 0, "ema_decay": 0},
        **{"crop": 1, "interpolation": "bilinear", "normalization": "cifar"},
    )
    versioned = filled("cifar10:3.0.2", 10, weights="imagenet")
    assert versioned == filled("cifar10", 10, weights="imagenet")
    flowers = filled("flowers", 5, weights="imagenet")
    check(flowers, recipe="authors", optimizer="sgd", normalization="imagenet")


def test_a_recipe_for_small_sets():
    check(
        filled("flowers", 5, recipe="small_set", weights="imagenet"),
        **{"optimizer": "adamw", "layer_decay": 0.75},
        **{"class_weights": "balanced", "patience": 10},
    )
    assert filled("flowers", 5, recipe="small_set").layer_decay == 1
    adapters = filled("flowers", 5, recipe="small_set", weights="imagenet", lora=8)
    check(adapters, optimizer="adamw", layer_decay=1, backbone_rate=1)


def test_given_settings_stay_and_the_rate_follows_the_batch():
    rate = IMAGENET["T2TViT7"].learning_rate
    given = {"model": "T2TViT7", "batch_size": 128, "weight_decay": 0}
    check(filled(**given), learning_rate=rate / 4, **given)
    assert filled(**given, gradient_accumulation=4).learning_rate == rate
    assert filled(**given, learning_rate=0.01).learning_rate == 0.01
    assert filled(teacher="ResNet50").teacher_weight == 0.5


def test_the_augmentation_is_a_row_with_changes():
    changed = augmentation(filled(mixup=0.2, random_erasing=0, randaugment=False))
    check(changed, mixup_alpha=0.2, cutmix_alpha=1)
    check(changed, erasing_probability=0, num_operations=0)
    assert augmentation(filled("digits", 10)) == AUGMENTATIONS["none"]


def test_warmup_and_cooldown_keep_their_share_of_a_short_run():
    """By whole epochs where the rate changes so; more is in tests/cli/test_flags.py."""
    check(filled(epochs=31), warmup_epochs=1, cooldown_epochs=1)
    check(filled(epochs=50), warmup_epochs=2)
    check(filled("flowers", 5, epochs=10, rate_changes="epoch"), warmup_epochs=0)
    check(filled(epochs=62, recipe="budget90"), warmup_epochs=8 * 62 / 90)
    check(filled(epochs=2, warmup_epochs=0.5), warmup_epochs=0.5)


def test_the_docstring_says_what_each_setting_is():
    for field in dataclasses.fields(TrainingConfig):
        assert f"\n        {field.name}: " in TrainingConfig.__doc__
