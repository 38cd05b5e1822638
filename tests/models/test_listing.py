"""Finding models by name, family and design."""

import pytest

import keras_t2t
from keras_t2t import list_models
from keras_t2t.models.by_name import builder

pytestmark = pytest.mark.once


def test_every_listed_model_is_a_public_function_found_by_name():
    for name in list_models():
        assert getattr(keras_t2t, name) is builder(name)
        assert builder(name).__name__ == name


def test_filters():
    assert list_models("*l16") == ["ViTL16"]
    assert list_models("T2TViT1?") == ["T2TViT10", "T2TViT12", "T2TViT14", "T2TViT19"]
    assert list_models(family="vit") == ["ViTS16", "ViTB16", "ViTL16"]
    assert list_models(family="resnet") == ["ResNet50"]
    assert list_models(token_type="convolution") == ["T2TViTc14"]
    assert list_models("*14*", token_type="performer", block_type="standard") == [
        *("T2TViT14", "T2TViT14ResNeXt", "T2TViT14Wide")
    ]
    assert list_models("*14", family="vit") == []


def test_a_filter_that_no_model_has():
    with pytest.raises(ValueError, match=r"`family` must be .*'t2t_vit'.*, got 'deit'"):
        list_models(family="deit")
