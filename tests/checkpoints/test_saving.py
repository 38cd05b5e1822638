"""Official -> Keras -> official is bit-exact, and the oracle loads it."""

import keras
import numpy as np
import pytest
import safetensors.torch
import torch

import keras_t2t
from keras_t2t.checkpoints import keras_file
from tests.checkpoints import helpers
from tests.shared_case import random_input

SUFFIXES = ["pth", "safetensors", "weights.h5", "keras"]


@pytest.mark.parametrize("suffix", ["pth", "pth.tar", "safetensors"])
@pytest.mark.parametrize("token_type", ["performer", "transformer"])
def test_there_and_back_is_bit_exact(token_type, suffix, tmp_path):
    oracle = helpers.random_oracle(token_type=token_type)
    first = helpers.save(oracle, tmp_path / "first.pth")
    model = helpers.build(token_type=token_type, weights=first)
    second = helpers.save(model, tmp_path / f"second.{suffix}")
    if suffix == "safetensors":
        state_dict = safetensors.torch.load_file(second)
    else:
        state_dict = torch.load(second, weights_only=True)["state_dict"]
    assert set(state_dict) == set(oracle.state_dict())
    for name, tensor in oracle.state_dict().items():
        assert state_dict[name].dtype == torch.float32
        assert torch.equal(state_dict[name], tensor), name
    helpers.random_oracle(token_type=token_type, seed=1).load_state_dict(state_dict)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "settings",
    [{"size": (64, 256)}, {"include_top": False}],
    ids=["as many tokens as 8 x 8", "without a top"],
)
def test_files_tell_grid_and_heads(settings, suffix, tmp_path):
    """No shape shows them."""
    model = helpers.build(**settings)
    path = helpers.save(model, tmp_path / f"x.{suffix}")
    helpers.assert_equal_weights(model, helpers.build(weights=path, **settings))
    other = helpers.build(num_heads=4, **settings)
    helpers.assert_refused(other, path, r"has 2 heads, but that of the model.*has 4")


@pytest.mark.every_backend
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_precision_weights_come_back_in_float32(suffix, tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = helpers.build(token_type="transformer")
    finally:
        keras.config.set_dtype_policy("float32")
    path = helpers.save(model, tmp_path / f"x.{suffix}")
    again = helpers.build(token_type="transformer", weights=path)
    expected = {k: v.astype("float32") for k, v in helpers.arrays(model).items()}
    np.testing.assert_equal(helpers.arrays(again), expected)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_nothing_half_written_stays(suffix, tmp_path, monkeypatch):
    model = helpers.build()
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(b"what was there")

    def half(content, target, **kwargs):
        target.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", half)
    monkeypatch.setattr("safetensors.numpy.save_file", half)
    with pytest.raises(OSError, match="no space left"):
        keras_t2t.save_official(model, path)
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.safetensors", "x.weights.h5"])
def test_a_flipped_bit_of_our_files_is_found(name, tmp_path):
    model, path = helpers.build(), tmp_path / name
    helpers.save(model, path)
    if "h5" in name:
        keras_file.seal(path)
        model.load_weights(path)  # Keras does not mind what is at the end
    data = bytearray(path.read_bytes())
    end = len(data) - keras_file.SEAL_SIZE if "h5" in name else len(data)
    for place in range(8, end, len(data) // 50):
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(ValueError, match=path.name):
            keras_t2t.load_checkpoint(model, path)
        data[place] ^= 1


def test_a_quantized_model_is_refused(tmp_path):
    """Its integers were written as if they were the weights."""
    model = helpers.build()
    path = helpers.save(model, tmp_path / "x.pth")
    model.quantize("int8")
    told, other = "must have floating-point weights", tmp_path / "y.pth"
    helpers.assert_refused(model, path, told)
    helpers.refusal(keras_t2t.save_official, model, other, match=told)
    assert not other.exists()


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_a_quantized_model_is_loaded_as_it_was_saved(mode, tmp_path):
    model = helpers.build(block_type="se")
    model.quantize(mode)
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    loaded.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    x = random_input(model)
    expected = model.predict(x, verbose=0)
    for other in (loaded, again):
        np.testing.assert_array_equal(other.predict(x, verbose=0), expected)
