"""The settings: the authors' values, what can be switched off, bad values."""

import dataclasses

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


def test_light_is_crop_and_flip_and_none_is_nothing():
    light = AUGMENTATIONS["light"]
    assert light.crop_scale == (0.08, 1.0) and light.flip_probability == 0.5
    assert not (light.num_operations or light.mixes or light.erasing_probability)
    assert not light.is_off
    assert AUGMENTATIONS["none"].is_off


def test_padded_is_the_authors_fine_tuning():
    padded = AUGMENTATIONS["padded"]
    assert 224 * padded.crop_padding == 28
    assert (padded.interpolation, padded.flip_probability) == ("bilinear", 0.5)
    assert not (padded.num_operations or padded.mixes or padded.erasing_probability)
    assert not padded.is_off
    with pytest.raises(ValueError, match="crop_padding and crop_scale exclude each"):
        Augmentation(crop_padding=0.125)


def test_deit_iii_s_row():
    row = AUGMENTATIONS["three"]
    assert (row.color_jitter, row.repeats, row.erasing_probability) == (0.3, 3, 0)
    assert (row.crop_scale, row.interpolation) == ((0.08, 1.0), "bicubic")
    assert (row.mixup_alpha, row.cutmix_alpha, row.flip_probability) == (0.8, 1, 0.5)
    assert row.operations_per_image == 4 and not row.is_off
    none = AUGMENTATIONS["none"]
    assert not dataclasses.replace(none, color_jitter=0.1).is_off
    assert not dataclasses.replace(none, three_augment=True).is_off


def test_mixing_is_off_without_probability_or_alphas():
    assert AUGMENTATIONS["full"].mixes
    assert not Augmentation(mixing_probability=0).mixes
    assert not Augmentation(mixup_alpha=0, cutmix_alpha=0).mixes
    assert Augmentation(mixup_alpha=0).mixes and Augmentation(cutmix_alpha=0).mixes


def test_lists_from_a_configuration_file_are_ranges():
    assert Augmentation(crop_scale=[0.5, 1]) == Augmentation(crop_scale=(0.5, 1.0))


@pytest.mark.parametrize(
    ("attribute", "value", "accepted"),
    [
        ("crop_scale", (0.0, 1.0), "0 < least <= greatest <= 1"),
        ("crop_scale", (0.5, 0.2), "0 < least <= greatest <= 1"),
        ("crop_scale", (0.5, 1.1), "0 < least <= greatest <= 1"),
        ("crop_scale", 0.5, "two numbers"),
        ("crop_scale", "no", "two numbers"),
        ("crop_ratio", (0.5, float("inf")), "0 < least <= greatest"),
        ("crop_ratio", (1, 2, 3), "two numbers"),
        ("interpolation", "nearest", r"one of \['bicubic', 'bilinear', 'random'\]"),
        ("color_jitter", 1.2, r"in 0\.\.1"),
        ("three_augment", 1, "True or False"),
        ("repeats", 0, "at least 1"),
        ("repeats", 2.0, "an integer"),
        ("crop_padding", 2, r"in 0\.\.1"),
        ("flip_probability", 1.5, r"in 0\.\.1"),
        ("flip_probability", float("nan"), r"in 0\.\.1"),
        ("num_operations", 1.5, "an integer at least 0"),
        ("num_operations", -1, "an integer at least 0"),
        ("magnitude", 11, r"in 0\.\.10"),
        ("magnitude_std", -1.0, "at least 0"),
        ("mixup_alpha", "high", "at least 0"),
        ("mixup_alpha", -0.1, "at least 0"),
        ("erasing_probability", -0.25, r"in 0\.\.1"),
    ],
)
def test_a_bad_value_is_named(attribute, value, accepted):
    with pytest.raises(
        ValueError, match=f"^`?{attribute}`? must be .*{accepted}"
    ) as error:
        Augmentation(**{attribute: value})
    assert repr(value) in str(error.value)
