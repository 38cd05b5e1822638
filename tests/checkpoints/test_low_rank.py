"""Models with LoRA are saved merged; what raises in loading changes nothing."""

import keras
import numpy as np
import pytest

import keras_t2t
from tests.checkpoints import helpers
from tests.examples.small_run import SIZE, outputs, random_model

pytestmark = pytest.mark.every_backend


def with_low_rank():
    model = random_model()
    for part in (
        model.get_layer("block_0_attention").qkv,
        model.get_layer("block_0_mlp").expand,
    ):
        part.enable_lora(2, lora_alpha=3)
        part.lora_kernel_b.assign(np.full(part.lora_kernel_b.shape, 0.5))
    return model


@pytest.mark.parametrize("name", ["x.safetensors", "x.weights.h5", "x.keras"])
def test_what_is_saved_is_merged(name, tmp_path):
    model = with_low_rank()
    helpers.save(model, tmp_path / name)
    expected = outputs(model)
    for other in (random_model(seed=1), with_low_rank()):
        keras_t2t.load_checkpoint(other, tmp_path / name)
        np.testing.assert_allclose(outputs(other), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_an_error_in_loading_changes_nothing(raised, tmp_path, monkeypatch):
    keras_t2t.save_official(random_model(seed=1), tmp_path / "x.safetensors")
    model = with_low_rank()
    before = helpers.arrays(model)
    assign, calls = keras.Variable.assign, []

    def fails_once(variable, value):
        calls.append(variable)
        if len(calls) == 12:
            raise raised("at the twelfth")
        return assign(variable, value)

    monkeypatch.setattr(keras.Variable, "assign", fails_once)
    with pytest.raises(raised):
        keras_t2t.load_checkpoint(model, tmp_path / "x.safetensors")
    assert len(calls) > 12
    np.testing.assert_equal(helpers.arrays(model), before)


class Wrapped(keras.Layer):
    """Builds its model itself, so that paths begin with its own name."""

    def build(self, input_shape):
        self.model = random_model(seed=2)


@pytest.mark.parametrize("name", ["x.weights.h5", "x.keras"])
def test_a_model_that_another_layer_builds(name, tmp_path):
    model = random_model()
    helpers.save(model, tmp_path / name)
    layer = Wrapped(name="around")
    layer.build((None, SIZE, SIZE, 3))
    assert layer.model.weights[0].path.startswith("around/")
    keras_t2t.load_checkpoint(layer.model, tmp_path / name)
    np.testing.assert_array_equal(outputs(layer.model), outputs(model))
    helpers.save(layer.model, tmp_path / f"again-{name}")
    fresh = random_model(seed=3)
    keras_t2t.load_checkpoint(fresh, tmp_path / f"again-{name}")
    np.testing.assert_array_equal(outputs(fresh), outputs(model))
