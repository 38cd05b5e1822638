"""The layers of T2T-ViT that Keras does not have."""

from keras_t2t.layers.attention import MultiHeadSelfAttention
from keras_t2t.layers.channel_scale import ChannelScale
from keras_t2t.layers.class_token import ClassToken
from keras_t2t.layers.flatten_grid import FlattenGrid
from keras_t2t.layers.ghost_attention import GhostSelfAttention
from keras_t2t.layers.ghost_mlp import GhostMLP
from keras_t2t.layers.mlp import MLP
from keras_t2t.layers.patch_projection import PatchProjection
from keras_t2t.layers.position_embedding import (
    LearnedPositionEmbedding,
    SinusoidPositionEmbedding,
)
from keras_t2t.layers.soft_split import SoftSplit
from keras_t2t.layers.squeeze_excitation import SqueezeExcitation
from keras_t2t.layers.token_performer import TokenPerformer
from keras_t2t.layers.token_transformer import TokenTransformer

__all__ = [
    "MLP",
    "ChannelScale",
    "ClassToken",
    "FlattenGrid",
    "GhostMLP",
    "GhostSelfAttention",
    "LearnedPositionEmbedding",
    "MultiHeadSelfAttention",
    "PatchProjection",
    "SinusoidPositionEmbedding",
    "SoftSplit",
    "SqueezeExcitation",
    "TokenPerformer",
    "TokenTransformer",
]
