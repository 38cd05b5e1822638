"""Official names -> file -> `weights=path` -> the logits of the oracle."""

import pytest

from keras_t2t.variants import VARIANTS
from tests.checkpoints import helpers


# Equal sizes and all nine variants: tests/models/test_parity.py, and below.
@pytest.mark.every_backend
@pytest.mark.parametrize(
    "variant",
    ["T2TViT7", pytest.param("T2TViTt14", marks=pytest.mark.nightly_elsewhere)],
)
def test_a_checkpoint_gives_the_oracle_s_logits_at_another_size(variant, tmp_path):
    oracle = helpers.random_oracle(variant)
    path = helpers.save(oracle, tmp_path / "x.pth.tar")
    model = helpers.build(variant, (48, 80), weights=path)
    resized = helpers.build_oracle(variant, (48, 80), 10)
    helpers.assert_same_logits(model, helpers.resized_into(resized, oracle))


@pytest.mark.nightly
@pytest.mark.parametrize("variant", VARIANTS)
def test_from_224_to_384_and_to_a_wide_image(variant, tmp_path):
    oracle = helpers.random_oracle(variant, (224, 224))
    path = helpers.save(oracle, tmp_path / "x.pth.tar")
    for size in ((224, 224), (384, 384), (96, 160)):
        model = helpers.build(variant, size, weights=path)
        resized = helpers.build_oracle(variant, size, 10)
        helpers.assert_same_logits(model, helpers.resized_into(resized, oracle))
