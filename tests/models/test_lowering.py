"""The training step is lowered for TPUs and NVIDIA GPUs, which takes neither."""

import re

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.training.optimizer import adamw

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


def lowered(model):
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
    step = jax.jit(model.train_step, donate_argnums=0).trace(tuple(state), data)
    return {
        platform: step.lower(lowering_platforms=(platform,)).as_text()
        for platform in ("tpu", "cuda")
    }


@pytest.fixture
def dtype():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("performer", "float32"), *((name, "mixed_bfloat16") for name in MODELS)],
)
def test_the_step_is_for_accelerators(name, policy, unset_weights, dtype):
    dtype(policy)
    build, settings = MODELS[name]
    model = build(
        *(32, 2, 2, 2),
        input_shape=(32, 32, 3),
        classes=10,
        drop_path=0.1,
        include_preprocessing=True,
        classifier_activation=None,
        **settings,
    )
    for platform, text in lowered(model).items():
        assert "dot_general" in text
        assert "f64" not in text
        calls = set(re.findall(r"custom_call @(\w+)", text))
        assert not [c for c in calls if FORBIDDEN.search(c)], (platform, calls)
        assert ("bf16" in text) == (policy == "mixed_bfloat16")
