"""The training step as TPUs and NVIDIA GPUs run it, which takes neither: lowered for
them, and on the CPU."""

import re

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.training.optimizer import adamw
from tests.shared_case import randomized

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="JAX lowers for other platforms"
)
# What no accelerator runs.
FORBIDDEN = re.compile(r"callback|lapack|cpu|ducc|host", re.IGNORECASE)
MODELS = {
    "performer": (keras_t2t.T2TViT, {"token_type": "performer"}),
    "transformer": (keras_t2t.T2TViT, {"token_type": "transformer"}),
    "convolution": (keras_t2t.T2TViT, {"token_type": "convolution"}),
    "readable": (keras_t2t.T2TViT, {"fused_soft_split": False}),
    "remat": (keras_t2t.T2TViT, {"remat": True}),
    "se": (keras_t2t.T2TViT, {"block_type": "se"}),
    "ghost": (keras_t2t.T2TViT, {"block_type": "ghost"}),
    "vit": (keras_t2t.ViT, {}),
}


PLATFORMS = {"tpu": "tpu", "cuda": "gpu"}  # JAX's name and Keras's


def at_night(*values):
    return pytest.param(*values, marks=pytest.mark.nightly)


@pytest.fixture
def on(monkeypatch):
    """`on("tpu")`: layers choose their path as if the device were this."""

    def on(device):
        monkeypatch.setattr(
            keras.distribution, "list_devices", lambda kind=None: [f"{device}:0"]
        )

    return on


def lowered(model, on):
    """The text of the training step for each platform."""
    import jax

    model.compile(
        adamw(model, 1e-3, 0.05, ema_decay=0.9, total_steps=10),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    state = [
        [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    ]
    data = (
        jax.ShapeDtypeStruct((4, 32, 32, 3), np.dtype("uint8")),
        jax.ShapeDtypeStruct((4, 10), np.dtype("float32")),
    )
    texts = {}
    for platform, device in PLATFORMS.items():
        on(device)
        step = jax.jit(lambda *arguments: model.train_step(*arguments))
        lowered = step.trace(tuple(state), data).lower(lowering_platforms=(platform,))
        texts[platform] = lowered.as_text()
    return texts


def tiny(name, **kwargs):
    build, settings = MODELS[name]
    kwargs |= {"input_shape": (32, 32, 3), "classes": 10, "classifier_activation": None}
    return build(32, 2, 2, 2, include_preprocessing=True, **settings, **kwargs)


@pytest.fixture
def dtype():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("performer", "float32"),
        ("transformer", "mixed_bfloat16"),
        *(at_night(name, "mixed_bfloat16") for name in MODELS if name != "transformer"),
    ],
)
def test_the_step_is_for_accelerators(name, policy, unset_weights, dtype, on):
    dtype(policy)
    for platform, text in lowered(tiny(name, drop_path=0.1), on).items():
        assert "dot_general" in text
        assert "f64" not in text
        calls = set(re.findall(r"custom_call @(\w+)", text))
        assert not [c for c in calls if FORBIDDEN.search(c)], (platform, calls)
        assert ("bf16" in text) == (policy == "mixed_bfloat16")


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("performer", "tpu"),
        at_night("performer", "gpu"),
        *(at_night(name, "tpu") for name in ("transformer", "ghost", "vit")),
    ],
)
def test_its_path_gives_the_same(name, device, on):
    """Logits and gradients of the path that the device takes, on the CPU."""
    import jax

    model = randomized(tiny(name))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]

    def score(trainable):
        logits, _ = model.stateless_call(trainable, others, images)
        return (logits * np.arange(10.0)).sum(), logits

    here, there = [], []
    for found, place in ((here, "cpu"), (there, device)):
        on(place)
        # A new function each time, or JAX keeps the first one's trace.
        step = jax.jit(jax.grad(lambda weights: score(weights), has_aux=True))
        gradients, logits = step(trainable)
        found += [logits, *gradients]
    assert np.ptp(here[0]) > 1
    for a, b in zip(here, there, strict=True):
        # float32 in another order
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * max(1, np.abs(a).max()))
