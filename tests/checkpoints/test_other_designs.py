"""Checkpoint files of the ablation designs, of token labelling and of ViT."""

import numpy as np
import pytest
import torch

import keras_t2t
from keras_t2t.checkpoints.architecture import architecture_of
from keras_t2t.checkpoints.keras_file import variable_keys
from keras_t2t.checkpoints.loading import CheckpointFile
from tests.checkpoints import helpers
from tests.checkpoints.helpers import SMALL, assert_same_logits, save
from tests.reference import t2t_vit, vit
from tests.shared_case import outputs, random_input, randomized

SIZE = {"input_shape": (64, 96, 3), "classes": 5}
DENSE = {**SMALL, "depth": (1, 2), "growth": 16}


def t2t(**settings):
    return keras_t2t.T2TViT(**{**SMALL, **SIZE, **settings})


def plain(**settings):
    return keras_t2t.ViT(**{**SMALL, **SIZE, **settings})


DESIGNS = {
    "se": lambda **s: t2t(block_type="se", embed_dim=64, **s),
    "ghost": lambda **s: t2t(block_type="ghost", **s),
    "dense": lambda **s: t2t(**DENSE, **s),
    "convolution": lambda **s: t2t(token_type="convolution", **s),
    "token labelling": lambda **s: t2t(token_labelling=True, **s),
    "vit": plain,
}


@pytest.mark.parametrize("design", DESIGNS)
def test_own_files_at_another_size(tmp_path, design):
    """A file that tells its grid and one that does not are one and the same."""
    model, other = randomized(DESIGNS[design]()), {"input_shape": (96, 48, 3)}
    one, two = (
        DESIGNS[design](**other, weights=save(model, tmp_path / name))
        for name in ("model.keras", "model.safetensors")
    )
    x = random_input(one)
    a, b = outputs(one, x), outputs(two, x)
    np.testing.assert_array_equal(a, b)
    assert np.ptp(a) > 1e-3


@pytest.mark.parametrize(
    "variant",
    [
        *("T2TViT14SE", "T2TViT16Ghost", "T2TViTDense", "T2TViTc14", "ViTS16"),
        pytest.param("T2TViT24TokenLabelling", marks=pytest.mark.nightly),  # 65 M
    ],
)
def test_a_variant_is_recognised_by_its_shapes(variant):
    with torch.device("meta"):
        state_dict = (vit if "ViTS" in variant else t2t_vit).build(variant).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    assert architecture_of(shapes).variants == [variant]
    model = getattr(keras_t2t, variant)(input_shape=(32, 32, 3))
    shapes = {key: v.shape for key, v in variable_keys(model).items()}
    assert architecture_of(shapes).variants == [variant]


def test_our_files_tell_the_number_of_heads(tmp_path, caplog):
    """A T2TViT14ResNeXt silently became a T2TViT14 with 6 heads."""
    model = keras_t2t.T2TViT14ResNeXt(input_shape=(32, 32, 3), classes=2)
    file = CheckpointFile(save(model, tmp_path / "x.safetensors"))
    assert file.description().variant == "T2TViT14ResNeXt"
    assert not caplog.text
    file.contents = file.contents._replace(num_heads=12)
    with pytest.raises(ValueError, match="has 12 heads, which is no named variant"):
        file.description()


def test_foreign_files_do_not_tell_the_number_of_heads(tmp_path, caplog):
    oracle = t2t_vit.build("T2TViT14", image_size=(32, 32), num_classes=2)
    published, unknown = (
        CheckpointFile(save(oracle, tmp_path / name))
        for name in ("81.5_T2T_ViT_14.pth.tar", "x.pth")
    )
    assert published.description().variant == "T2TViT14"
    named = unknown.description("T2TViT14ResNeXt")
    assert named[:3] == ("T2TViT14ResNeXt", 2, (2, 2))
    assert not caplog.text
    assert unknown.description().variant == "T2TViT14"
    assert "x.pth may be T2TViT14 or T2TViT14ResNeXt, which differ only" in caplog.text


def test_a_t2t_vit_refuses_other_designs(labelled, tmp_path):
    with pytest.raises(ValueError, match=r"this is a ViT .* is a T2T-ViT with "):
        t2t(weights=save(plain(), tmp_path / "vit.pth"))
    with pytest.raises(ValueError, match="and token labelling, but the model"):
        t2t(weights=save(labelled, tmp_path / "labelled.pth"))


@pytest.mark.nightly_elsewhere
def test_a_timm_file_gives_the_oracle_s_logits_at_another_size(tmp_path):
    oracle = vit.ViT(**SMALL, image_size=(64, 64), num_classes=5)
    vit.randomize_(oracle, seed=0).eval()
    resized = vit.ViT(**SMALL, image_size=(96, 48), num_classes=5)
    settings = {"input_shape": (96, 48, 3), "classifier_activation": None}
    model = plain(**settings, weights=save(oracle, tmp_path / "vit.pth"))
    assert_same_logits(model, helpers.resized_into(resized, oracle))


@pytest.fixture(scope="module")
def labelled():
    """An oracle with the second head of token labelling."""
    return helpers.random_oracle(size=(64, 96), classes=5, token_labelling=True)


@pytest.mark.nightly_elsewhere
def test_every_class_takes_its_best_token(labelled, tmp_path):
    path = save(labelled, tmp_path / "x.pth")
    model = t2t(token_labelling=True, classifier_activation=None, weights=path)
    assert_same_logits(model, labelled)


def test_another_class_count_keeps_both_fresh_heads(labelled, tmp_path, caplog):
    settings = {"token_labelling": True, "weights": save(labelled, tmp_path / "x.pth")}
    model = t2t(classes=4, **settings)
    assert "head for 5 classes and the model for 4" in caplog.text
    helpers.assert_equal_weights(model, t2t(**settings), ["head", "aux_head"])
