"""What editors show of a named builder is what it takes."""

import inspect

import pytest

import keras_t2t
from keras_t2t.models.arguments import POOLINGS
from keras_t2t.models.signatures import NamedT2TViT, NamedViT, Pooling
from keras_t2t.variants import VARIANTS, VIT_VARIANTS

pytestmark = pytest.mark.once

PROTOCOLS = dict.fromkeys(VARIANTS, NamedT2TViT) | dict.fromkeys(VIT_VARIANTS, NamedViT)


@pytest.mark.parametrize("variant", PROTOCOLS)
def test_they_are_the_builder_s_own(variant):
    shown = inspect.signature(PROTOCOLS[variant].__call__).parameters
    taken = inspect.signature(getattr(keras_t2t, variant)).parameters
    assert list(shown) == ["self", *taken]
    for name, parameter in taken.items():
        if name != "name":  # its default is the row's
            assert shown[name].default == parameter.default, name
        assert shown[name].kind == parameter.kind


def test_every_pooling_is_named():
    literal, none = Pooling.__args__
    assert {*literal.__args__, None} == set(POOLINGS)
    assert none is type(None)
