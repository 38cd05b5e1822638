"""The settings: the authors' values, what can be switched off, bad values."""

import dataclasses
import math

import pytest

from keras_t2t.data import AUGMENTATIONS, Augmentation


def test_the_full_row_is_the_authors_recipe():
    assert dataclasses.asdict(AUGMENTATIONS["full"]) == {
        "crop_scale": (0.08, 1.0),
        "crop_ratio": (3 / 4, 4 / 3),
        "crop_padding": 0.0,
        "interpolation": "random",
        "flip_probability": 0.5,
        "three_augment": False,
        "color_jitter": 0.0,
        "num_operations": 2,
        "operation_probability": 0.5,
        "magnitude": 9.0,
        "magnitude_std": 0.5,
        "mixup_alpha": 0.8,
        "cutmix_alpha": 1.0,
        "switch_probability": 0.5,
        "mixing_probability": 1.0,
        "erasing_probability": 0.25,
        "repeats": 1,
    }


WITHOUT = {"num_operations": 0, "erasing_probability": 0}
PLAIN = {**WITHOUT, "mixup_alpha": 0, "cutmix_alpha": 0, "interpolation": "bicubic"}
PADDED = {"crop_scale": None, "crop_padding": 28 / 224, "interpolation": "bilinear"}
JITTER = {"three_augment": True, "color_jitter": 0.3, "interpolation": "bicubic"}
CHANGES = {
    "none": {**PLAIN, "crop_scale": None, "flip_probability": 0},
    "light": PLAIN,
    "padded": {**PLAIN, **PADDED},  # the authors' fine-tuning
    "three": {**WITHOUT, **JITTER, "repeats": 3},  # DeiT III's
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_rows_are_the_full_one_with_changes(name):
    row = AUGMENTATIONS[name]
    assert row == dataclasses.replace(AUGMENTATIONS["full"], **CHANGES[name])
    assert row.is_off == (name == "none")


def test_one_part_is_enough_to_be_on_but_for_mixing():
    for part in ({"color_jitter": 0.1}, {"three_augment": True}):
        assert not dataclasses.replace(AUGMENTATIONS["none"], **part).is_off
    assert AUGMENTATIONS["full"].mixes
    assert not Augmentation(mixing_probability=0).mixes
    assert not Augmentation(mixup_alpha=0, cutmix_alpha=0).mixes
    assert Augmentation(mixup_alpha=0).mixes and Augmentation(cutmix_alpha=0).mixes


BAD = {
    "crop_scale": [(0.0, 1.0), (0.5, 0.2), (0.5, 1.1), 0.5, "no"],
    "crop_ratio": [(0.5, math.inf), (1, 2, 3)],
    "crop_padding": [2],
    "interpolation": ["nearest"],
    "flip_probability": [1.5, math.nan],
    "three_augment": [1],
    "color_jitter": [1.2],
    "num_operations": [1.5, -1],
    "magnitude": [11],
    "magnitude_std": [-1.0],
    "mixup_alpha": ["high", -0.1],
    "erasing_probability": [-0.25],
    "repeats": [0, 2.0],
}


@pytest.mark.parametrize(
    ("attribute", "value"), [(name, value) for name in BAD for value in BAD[name]]
)
def test_a_bad_value_is_named(attribute, value):
    with pytest.raises(ValueError, match=f"^`?{attribute}`? must be ") as error:
        Augmentation(**{attribute: value})
    assert repr(value) in str(error.value)


def test_crops_of_two_kinds_and_from_a_configuration_file():
    with pytest.raises(ValueError, match="crop_padding and crop_scale exclude each"):
        Augmentation(crop_padding=0.125)
    assert Augmentation(crop_scale=[0.5, 1]) == Augmentation(crop_scale=(0.5, 1.0))
