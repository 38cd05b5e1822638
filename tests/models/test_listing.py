"""Finding models by name, family and design."""

import inspect

import pytest

import keras_t2t
from keras_t2t import list_models
from keras_t2t.models.by_name import builder
from keras_t2t.variants import VARIANTS, VIT_VARIANTS

pytestmark = pytest.mark.once


def test_every_listed_model_is_a_public_function_found_by_name():
    for name in list_models():
        assert getattr(keras_t2t, name) is builder(name)
        assert builder(name).__name__ == name


@pytest.mark.parametrize(
    ("general", "table"),
    [(keras_t2t.T2TViT, VARIANTS), (keras_t2t.ViT, VIT_VARIANTS)],
)
def test_a_named_builder_takes_what_follows_the_architecture(general, table):
    for name, row in table.items():
        taken = list(inspect.signature(general).parameters.values())
        first, rest = taken[: len(row.architecture)], taken[len(row.architecture) :]
        assert {parameter.name for parameter in first} == set(row.architecture)
        own = inspect.signature(builder(name)).parameters
        assert own["name"].default == row.default_name
        assert [p for p in own.values() if p.name != "name"] == [
            parameter for parameter in rest if parameter.name != "name"
        ]


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
