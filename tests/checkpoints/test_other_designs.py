"""Checkpoint files of the ablation designs and of ViT: there, back, other sizes."""

import numpy as np
import pytest
import torch

import keras_t2t
from keras_t2t.checkpoints.architecture import architecture_of
from keras_t2t.checkpoints.keras_file import variable_keys
from keras_t2t.checkpoints.loading import CheckpointFile
from keras_t2t.checkpoints.official import official_entries
from tests.checkpoints.helpers import (
    SMALL,
    assert_equal_weights,
    assert_same_logits,
    resized_into,
)
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
@pytest.mark.parametrize("suffix", [".pth.tar", ".safetensors"])
def test_official_files_there_and_back(tmp_path, design, suffix):
    model = randomized(DESIGNS[design]())
    path = tmp_path / f"model{suffix}"
    keras_t2t.save_official(model, path)
    loaded = DESIGNS[design](weights=path)
    assert_equal_weights(loaded, model)


@pytest.mark.parametrize("design", DESIGNS)
def test_own_files_at_another_size(tmp_path, design):
    """A file that tells its grid and one that does not are one and the same."""
    model = randomized(DESIGNS[design]())
    model.save(tmp_path / "model.keras")
    keras_t2t.save_official(model, tmp_path / "model.safetensors")
    other = {"input_shape": (96, 48, 3), "classes": 5}
    models = [
        DESIGNS[design](**{**other, "weights": tmp_path / file})
        for file in ("model.keras", "model.safetensors")
    ]
    x = random_input(models[0])
    a, b = (outputs(each, x) for each in models)
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
    keys = variable_keys(model).items()
    assert architecture_of({k: v.shape for k, v in keys}).variants == [variant]


def test_shapes_do_not_tell_the_number_of_heads():
    entries = official_entries(keras_t2t.T2TViT14ResNeXt(input_shape=(32, 32, 3)))
    found = architecture_of({entry.name: entry.shape for entry in entries})
    assert found.variants == ["T2TViT14", "T2TViT14ResNeXt"]


def test_our_files_tell_the_number_of_heads(tmp_path, caplog):
    """A T2TViT14ResNeXt silently became a T2TViT14 with 6 heads."""
    model = keras_t2t.T2TViT14ResNeXt(input_shape=(32, 32, 3), classes=2)
    keras_t2t.save_official(model, tmp_path / "x.safetensors")
    file = CheckpointFile(tmp_path / "x.safetensors")
    assert file.description().variant == "T2TViT14ResNeXt"
    assert not caplog.text
    file._contents = file.contents._replace(num_heads=12)
    with pytest.raises(ValueError, match="its attention has 12 heads, which is no nam"):
        file.description()


def test_foreign_files_do_not_tell_the_number_of_heads(tmp_path, caplog):
    oracle = t2t_vit.build("T2TViT14", image_size=(32, 32), num_classes=2)
    for name in ("x.pth", "81.5_T2T_ViT_14.pth.tar"):
        torch.save(oracle.state_dict(), tmp_path / name)
    assert describe(tmp_path / "81.5_T2T_ViT_14.pth.tar").variant == "T2TViT14"
    named = describe(tmp_path / "x.pth", "T2TViT14ResNeXt")
    assert named[:3] == ("T2TViT14ResNeXt", 2, (2, 2))
    assert not caplog.text
    assert describe(tmp_path / "x.pth").variant == "T2TViT14"
    assert "x.pth may be T2TViT14 or T2TViT14ResNeXt, which differ only" in caplog.text


def describe(path, variant=None):
    return CheckpointFile(path).description(variant)


def test_a_vit_and_a_t2t_vit_refuse_each_other(tmp_path):
    keras_t2t.save_official(t2t(), tmp_path / "t2t.pth")
    keras_t2t.save_official(plain(), tmp_path / "vit.pth")
    with pytest.raises(ValueError, match=r"this is a T2T-ViT .* is a ViT with 2 bl"):
        plain(weights=tmp_path / "t2t.pth")
    with pytest.raises(ValueError, match=r"this is a ViT .* is a T2T-ViT with perf"):
        t2t(weights=tmp_path / "vit.pth")
    with pytest.raises(ValueError, match="no weights='imagenet' for this architecture"):
        plain(weights="imagenet")


@pytest.mark.nightly_elsewhere
def test_a_timm_file_gives_the_oracle_s_logits_at_another_size(tmp_path):
    oracle = vit.ViT(**SMALL, image_size=(64, 64), num_classes=5)
    vit.randomize_(oracle, seed=0).eval()
    torch.save(oracle.state_dict(), tmp_path / "vit.pth")
    resized = vit.ViT(**SMALL, image_size=(96, 48), num_classes=5)
    settings = {"input_shape": (96, 48, 3), "classifier_activation": None}
    model = plain(**settings, weights=tmp_path / "vit.pth")
    assert_same_logits(model, resized_into(resized, oracle))
