"""T2T-ViT (Tokens-to-Token vision transformer) for Keras 3."""

from keras_t2t._ground import import_order  # noqa: F401, I001  before Keras
from keras_t2t._ground import backend  # noqa: F401
from keras_t2t._ground.version import __version__  # noqa: F401
from keras_t2t.checkpoints.adapters import add_adapters, load_adapters, save_adapters
from keras_t2t.checkpoints.foreign_file import save_official
from keras_t2t.checkpoints.loading import load_checkpoint
from keras_t2t.classifier import load
from keras_t2t.models.counting import count_macs, summarize
from keras_t2t.export import export_model
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
from keras_t2t.preprocessing import decode_predictions, preprocess_input
from keras_t2t.hub.push import push_to_hub
from keras_t2t.training import TrainingConfig, train

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
    "TrainingConfig",
    "ViT",
    "ViTB16",
    "ViTL16",
    "ViTS16",
    "add_adapters",
    "count_macs",
    "decode_predictions",
    "export_model",
    "list_features",
    "list_models",
    "load",
    "load_adapters",
    "load_checkpoint",
    "preprocess_input",
    "push_to_hub",
    "save_adapters",
    "save_official",
    "summarize",
    "train",
]
