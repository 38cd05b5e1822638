"""Exact parameters and MACs of every named model, and the docs' table of them."""

import pytest

import keras_t2t
from benchmarks import model_table  # builds each model once, and remembers its counts
from keras_t2t import list_models

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("unset_weights")]

# All parameters, those that are trained, and 1e9 MACs to the last digit given: computed
# from the paper's architectures, at 224 px, 1000 classes.
COUNTS = {
    "T2TViT7": (4_310_222, 4_255_694, 1.147),
    "T2TViT10": (5_889_230, 5_834_702, 1.516),
    "T2TViT12": (6_941_902, 6_887_374, 1.763),
    "T2TViT14": (21_545_550, 21_465_806, 4.783),
    "T2TViT19": (39_177_422, 39_085_070, 8.480),
    "T2TViT24": (64_105_934, 64_000_974, 13.662),
    "T2TViTt14": (21_541_070, 21_465_422, 6.089),
    "T2TViTt19": (39_172_942, 39_084_686, 9.785),
    "T2TViTt24": (64_101_454, 64_000_590, 14.967),
    "T2TViT24TokenLabelling": (64_618_934, 64_513_974, None),
    "T2TViT14ResNeXt": (21_545_550, 21_465_806, None),
    "T2TViT14Wide": (25_156_302, 25_000_910, 5.229),
    "T2TViT14SE": (21_803_598, 21_723_854, None),
    "T2TViT16Ghost": (16_253_262, 16_173_518, None),
    "T2TViTDense": (23_647_062, 23_617_750, None),
    "T2TViTc14": (21_421_992, 21_346_344, None),
    "ViTS16": (48_754_408, 48_754_408, None),
    "ViTB16": (86_567_656, 86_567_656, 17.6),
    "ViTL16": (304_326_632, 304_326_632, 61.6),
    "ResNet50": (25_636_712, 25_583_592, None),  # as in keras.applications
}
# For the night.
LARGE = {name for name, (parameters, *_) in COUNTS.items() if parameters > 60e6}
NAMES = [
    pytest.param(name, marks=pytest.mark.nightly) if name in LARGE else name
    for name in COUNTS
]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_macs(name):
    parameters, trainable, macs = COUNTS[name]
    counted = model_table.counts(name)
    assert (counted.parameters, counted.trainable) == (parameters, trainable)
    if macs is not None:
        digits = len(str(macs).partition(".")[2])
        assert round(counted.macs / 1e9, digits) == macs


def test_counts_at_384():
    model = keras_t2t.T2TViT14(input_shape=(384, 384, 3))
    assert model.count_params() == 21_691_470
    assert round(keras_t2t.count_macs(model) / 1e9, 2) == 16.37


def test_no_model_is_left_out():
    assert list(COUNTS) == list_models()


@pytest.mark.nightly
def test_the_page_holds_the_table_of_now():
    text = model_table.PAGE.read_text(encoding="utf-8")
    assert model_table.with_table(text) == text, "run python benchmarks/model_table.py"
    with pytest.raises(ValueError, match="the page must hold the lines"):
        model_table.with_table(text.replace(model_table.END, ""))
