"""Functional builders of the models."""

from keras_t2t.models.by_name import list_models
from keras_t2t.models.feature_grids import list_features
from keras_t2t.models.resnet50 import ResNet50
from keras_t2t.models.t2t_vit import (
    T2TViT,
    T2TViT7,
    T2TViT10,
    T2TViT12,
    T2TViT14,
    T2TViT14ResNeXt,
    T2TViT14SE,
    T2TViT14Wide,
    T2TViT16Ghost,
    T2TViT19,
    T2TViT24,
    T2TViT24TokenLabelling,
    T2TViTc14,
    T2TViTDense,
    T2TViTt14,
    T2TViTt19,
    T2TViTt24,
)
from keras_t2t.models.vit import ViT, ViTB16, ViTL16, ViTS16

__all__ = [
    "ResNet50",
    "T2TViT",
    "T2TViT7",
    "T2TViT10",
    "T2TViT12",
    "T2TViT14",
    "T2TViT14ResNeXt",
    "T2TViT14SE",
    "T2TViT14Wide",
    "T2TViT16Ghost",
    "T2TViT19",
    "T2TViT24",
    "T2TViT24TokenLabelling",
    "T2TViTDense",
    "T2TViTc14",
    "T2TViTt14",
    "T2TViTt19",
    "T2TViTt24",
    "ViT",
    "ViTB16",
    "ViTL16",
    "ViTS16",
    "list_features",
    "list_models",
]
