"""The layers of T2T-ViT that Keras does not have."""

from keras_t2t.layers.attention import MultiHeadSelfAttention
from keras_t2t.layers.class_token import ClassToken
from keras_t2t.layers.mlp import MLP
from keras_t2t.layers.position_embedding import SinusoidPositionEmbedding
from keras_t2t.layers.soft_split import SoftSplit
from keras_t2t.layers.token_performer import TokenPerformer
from keras_t2t.layers.token_transformer import TokenTransformer

__all__ = [
    "MLP",
    "ClassToken",
    "MultiHeadSelfAttention",
    "SinusoidPositionEmbedding",
    "SoftSplit",
    "TokenPerformer",
    "TokenTransformer",
]
