"""Small models of every design, with weights that tell tokens apart."""

import functools

from sklearn.datasets import load_sample_image

import keras_t2t
from tests.shared_case import randomized

SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}
SHAPE = (48, 64, 3)  # a grid of 3 x 4 patches: rows and columns differ
DENSE = {"depth": (1, 1), "growth": 4}
DESIGNS = {
    "performer": {},
    "transformer, ghost": {"token_type": "transformer", "block_type": "ghost"},
    "dense, se": {"fused_soft_split": False, **DENSE, "block_type": "se"},
    "vit": {"builder": keras_t2t.ViT, "num_heads": 16},  # as many as ResNeXt's
}
PHOTOGRAPH = load_sample_image("china.jpg")  # 427 x 640


@functools.cache
def model(design):
    """The model of a row of `DESIGNS`; built once per process."""
    settings = {**SMALL, "input_shape": SHAPE, "classes": 5, **DESIGNS[design]}
    if design != "vit":
        settings = {"token_type": "performer"} | settings
    return randomized(settings.pop("builder", keras_t2t.T2TViT)(**settings))


@functools.cache
def resnet50():
    return keras_t2t.ResNet50(
        input_shape=(32, 32, 3), classes=5, include_preprocessing=True
    )
