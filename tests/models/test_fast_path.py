"""The fast path of the token module against the readable one, on photographs."""

import re
from functools import partial

import keras
import numpy as np
import pytest
import torch
from keras import ops
from sklearn.datasets import load_sample_images

import keras_t2t
from keras_t2t.checkpoints.official import official_entries
from tests.checkpoints import helpers
from tests.shared_case import outputs

SIZE = (96, 128)
# TensorFlow's gradient of the head now and then is 3e-4 off, whichever the path.
NOISE = 5e-4 if keras.backend.backend() == "tensorflow" else 0.0


def photographs():
    """Crops of two photographs, and a patch of sky: `(3, height, width, 3)`."""
    images = load_sample_images().images
    crops = [image[::4, ::4][: SIZE[0], : SIZE[1]] for image in images]
    # enlarged, so that there is almost no contrast inside a patch
    sky = np.kron(images[0][:24, :32], np.ones((4, 4, 1)))
    return keras_t2t.preprocess_input(np.stack([*crops, sky]).astype("float32"))


def oracle(token_type):
    return helpers.random_oracle(size=SIZE, token_type=token_type)


def build(token_type, **kwargs):
    kwargs |= {"token_type": token_type, "token_dropout": 0.0}
    return helpers.build(size=SIZE, **kwargs)


def loaded(token_type="performer", **kwargs):
    """A model with the oracle's weights."""
    model = build(token_type, **kwargs)
    tensors = oracle(token_type).state_dict()
    helpers.load_state_dict(model, {k: v.numpy() for k, v in tensors.items()})
    return model


def both_paths(token_type="performer"):
    return [loaded(token_type, fused_soft_split=fused) for fused in (True, False)]


def gradients_of(model, x, factors):
    """Official name -> gradient of sum(factors * logits), by a step of SGD."""
    entries = [e for e in official_entries(model) if e.variable.trainable]
    before = [entry.variable.numpy().astype("float64") for entry in entries]
    rate = 2.0**-10  # exact, and so small that weights keep their size
    model.compile(keras.optimizers.SGD(rate), lambda y, logits: ops.sum(y * logits))
    model.train_on_batch(x, factors)
    gradients = {
        entry.name: entry.layout.to_torch((old - entry.variable.numpy()) / rate)
        for entry, old in zip(entries, before, strict=True)
    }
    for entry, old in zip(entries, before, strict=True):
        entry.variable.assign(old)
    return gradients


def distance(a, b):
    return float(np.abs(a - b).max())


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("token_type", ["performer", "transformer"])
def test_logits_and_gradients_against_float64(token_type):
    """Neither path is more than twice as far from the truth as the other."""
    x = photographs()
    factors = np.random.default_rng(1).normal(size=(len(x), 10)).astype("float32")
    truth = oracle(token_type).double()
    fused, readable = both_paths(token_type)
    logits = truth(torch.from_numpy(x).permute(0, 3, 1, 2).double())
    (logits * torch.from_numpy(factors)).sum().backward()
    logits = logits.detach().numpy()
    assert np.ptp(logits) > 1

    errors = [distance(outputs(model, x), logits) for model in (fused, readable)]
    assert max(errors) < 1e-4
    assert max(errors) < 2 * min(errors) + 1e-5  # of a float32 sum in another order

    true_gradients = {
        name: parameter.grad.numpy()
        for name, parameter in truth.named_parameters()
        if parameter.requires_grad
    }
    fused, readable = (gradients_of(model, x, factors) for model in (fused, readable))
    assert set(fused) == set(true_gradients)
    for name, true in true_gradients.items():
        scale = np.abs(true).max()
        errors = [distance(path[name], true) / scale for path in (fused, readable)]
        # The step of SGD rounds: a weight near 1 by 6e-8, over the rate 6e-5.
        rounding = 1e-4 + 1e-4 / scale
        assert max(errors) < 2 * min(errors) + rounding + NOISE, name


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("background", [None, 2.6])
def test_half_precision_has_that_precisions_own_error(background):
    """Before white backgrounds too: a rounded kernel would show their mean."""
    x = photographs()
    if background is not None:
        x[:, :, 24:] = background
    exact = tokens(loaded(fused_soft_split=False), x)
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        fused, readable = (np.abs(tokens(path, x) - exact) for path in both_paths())
    finally:
        keras.config.set_dtype_policy("float32")
    assert readable.mean() > 1e-3  # bfloat16 shows at all
    # Its sums are rounded once more; without a remedy it is a hundred times as far.
    assert fused.mean() < 3 * readable.mean()


def tokens(model, x):
    """What the first token layer gives."""
    return outputs(keras.Model(model.input, model.get_layer("tokens_1").output), x)


@pytest.mark.nightly_elsewhere
def test_files_of_one_path_are_the_other_s(tmp_path):
    fused, readable = both_paths()
    fused.save_weights(tmp_path / "fused.weights.h5")
    fresh = build("performer", fused_soft_split=False)
    fresh.load_weights(tmp_path / "fused.weights.h5")
    x = photographs()
    np.testing.assert_array_equal(outputs(fresh, x), outputs(readable, x))
    readable.save(tmp_path / "readable.keras")
    fresh = build("performer", weights=str(tmp_path / "readable.keras"))
    np.testing.assert_array_equal(outputs(fresh, x), outputs(fused, x))


@pytest.mark.nightly_elsewhere
def test_where_convolutions_round_pixels_none_is_used(monkeypatch):
    """As with TF32 on a GPU: then both paths copy the pixels."""
    x = photographs()
    paths = both_paths()
    expected = [outputs(path, x) for path in paths]
    for module in ("soft_split", "patch_projection"):
        monkeypatch.setattr(
            f"keras_t2t.layers.{module}.convolution_is_exact", lambda x: False
        )
        monkeypatch.delattr(f"keras_t2t.layers.{module}.exact_convolution")
    copied = [outputs(path, x) for path in paths]
    np.testing.assert_allclose(copied[0], expected[0], atol=1e-4)
    np.testing.assert_array_equal(copied[1], expected[1])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a rule of JAX's compiler")
def test_jax_is_told_not_to_round_pixels():
    import jax

    for path in both_paths():
        text = str(jax.make_jaxpr(lambda x, path=path: path(x))(photographs()))
        convolutions = text.count("conv_general_dilated[")
        assert convolutions >= 2
        highest = re.findall(r"precision=\(<?Precision\.HIGHEST", text)
        assert len(highest) == convolutions


@pytest.mark.nightly
@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.once)])
def test_int8_quantization(fused):
    """Keras's own quantization replaces the kernels that the fast path convolves."""
    model = loaded(fused_soft_split=fused)
    x = photographs()
    exact = outputs(model, x)
    model.quantize("int8")
    assert "int8" in str(model.get_layer("tokens_1").kqv.kernel.dtype)
    # int8 has two digits, behind a dozen products
    assert distance(outputs(model, x), exact) < 0.15 * np.abs(exact).max()


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch alone tells")
def test_saved_intermediates():
    """What a training step keeps; the figures at full size are in benchmarks/."""
    from benchmarks.memory import torch_saved

    x = photographs()
    fused, readable, remat = (
        torch_saved(partial(build("performer", **settings), training=True), x)
        for settings in ({}, {"fused_soft_split": False}, {"remat": True})
    )
    assert fused < 0.9 * readable
    assert remat < 0.7 * fused
