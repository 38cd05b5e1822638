"""The models against the independent torch oracle, with the same weights."""

import numpy as np
import pytest
import torch

from keras_t2t.variants import VARIANTS, VIT_VARIANTS
from tests.checkpoints.helpers import TOLERANCE, build, load_state_dict
from tests.reference import t2t_vit as t2t_reference
from tests.reference import vit

pytestmark = pytest.mark.usefixtures("unset_weights")

MODELS = {**dict.fromkeys(VARIANTS, t2t_reference), **dict.fromkeys(VIT_VARIANTS, vit)}


def oracle_and_model(variant, size):
    reference = MODELS[variant]
    oracle = reference.build(variant, image_size=size, num_classes=10)
    oracle = reference.randomize_(oracle, seed=0).eval()
    model = build(variant, size)
    state_dict = {name: value.numpy() for name, value in oracle.state_dict().items()}
    load_state_dict(model, state_dict)
    return oracle, model


def images(size):
    """Unit noise, and a dim image on which LayerNorm's epsilon shows."""
    noise = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    noise[1] *= 0.01
    return noise


# Every kind of tokens and of blocks; the others are their sizes, for the night.
KINDS = (
    *("T2TViT7", "T2TViTt14", "T2TViTc14", "T2TViT14SE", "T2TViT16Ghost"),
    "T2TViTDense",  # of ViT tests/checkpoints has a small one
)
SIZES = [name for name in MODELS if name not in KINDS]


def at_night(variant):
    return pytest.param(variant, marks=pytest.mark.nightly)


@pytest.mark.parametrize("variant", [*KINDS, *map(at_night, SIZES)])
def test_logits_equal_the_oracle(variant):
    size = (64, 96)
    oracle, model = oracle_and_model(variant, size)
    x = images(size)
    with torch.no_grad():
        expected = oracle(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    # Compiled, which JAX does faster than operation by operation.
    actual = model.predict(x, verbose=0)
    assert np.ptp(expected) > 1
    # A wrong scale, order or activation moves logits by 1e-3 to 2.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)
