"""What editors show of a named builder is what it takes."""

import inspect

import pytest

import keras_t2t
from keras_t2t.models.arguments import POOLINGS
from keras_t2t.models.named_variant import NamedT2TViT, NamedViT, Pooling
from keras_t2t.variants import VARIANTS, VIT_VARIANTS

pytestmark = pytest.mark.once

ROWS = {**VARIANTS, **VIT_VARIANTS}
PROTOCOLS = dict.fromkeys(VARIANTS, NamedT2TViT) | dict.fromkeys(VIT_VARIANTS, NamedViT)


@pytest.mark.parametrize("variant", PROTOCOLS)
def test_they_are_the_builder_s_own(variant):
    shown = inspect.signature(PROTOCOLS[variant].__call__).parameters
    taken = inspect.signature(getattr(keras_t2t, variant)).parameters
    assert list(shown) == ["self", *taken]
    for name, parameter in taken.items():
        assert shown[name].kind == parameter.kind
        of_the_row = name == "name"
        expected = ROWS[variant].default_name if of_the_row else shown[name].default
        assert parameter.default == expected, name


def test_every_pooling_is_named():
    literal, none = Pooling.__args__
    assert {*literal.__args__, None} == set(POOLINGS)
    assert none is type(None)
