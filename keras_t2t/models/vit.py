"""ViT as a functional Keras model (Dosovitskiy et al., ICLR 2021), the baseline."""

from collections.abc import Callable
from functools import partial

import keras

from keras_t2t import layers as t2t_layers
from keras_t2t._ground.arguments import (
    check_counts,
    check_flags,
    check_positive,
    python_numbers,
)
from keras_t2t._ground.types import (
    Activation,
    Features,
    Pooling,
    Shape,
    Tensor,
    Weights,
)
from keras_t2t.checkpoints.published_file import Pretrained
from keras_t2t.models.arguments import (
    check_blocks,
    check_outputs,
    check_patches,
    check_training,
    image_input,
)
from keras_t2t.models.backbone import BlockSettings, deep_narrow, layer_norm
from keras_t2t.models.feature_grids import feature_extractor
from keras_t2t.models.head import head
from keras_t2t.models.named_variant import NamedViT, named_variant
from keras_t2t.models.tokens import convolution
from keras_t2t.preprocessing import preprocessing_layer


@python_numbers
def ViT(
    embed_dim: int,
    depth: int,
    num_heads: int,
    mlp_ratio: float,
    patch_size: int = 16,
    qkv_bias: bool = True,
    epsilon: float = 1e-6,
    include_top: bool = True,
    include_preprocessing: bool = False,
    weights: Weights = None,
    input_tensor: Tensor = None,
    input_shape: Shape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: Activation = "softmax",
    name: str = "vit",
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    drop_path: float = 0.0,
    remat: bool = False,
    features: Features = None,
) -> keras.Model:
    """Builds a plain vision transformer: square patches, learned positions.

    Its blocks, class token and head are those of `keras_t2t.T2TViT`, and so are the
    arguments that are not listed here.

    Args:
        embed_dim: int, width of the tokens.
        depth: int, number of blocks.
        num_heads: int, attention heads per block; must divide `embed_dim`.
        mlp_ratio: float, hidden width of a block's MLP over `embed_dim`.
        patch_size: int, pixels per token each way. Pixels to the right of or below
            the last whole patch are ignored.
        qkv_bias: bool, whether q, k, v have a bias.
        epsilon: float, of the LayerNorms.

    Returns:
        A functional `keras.Model`. Output `(batch, classes)` in float32 under
        every dtype policy; without top `(batch, 1 + tokens, embed_dim)`, or
        `(batch, embed_dim)` with `pooling`, or a dict of grids with `features`.
        `tokens` is the number of patches, 14 x 14 at 224 px with patches of 16.

    Raises:
        ValueError: if an argument is out of range; the message names it.
    """
    check_counts(depth=depth)
    check_blocks(embed_dim, num_heads, mlp_ratio)
    check_training(dropout, attention_dropout, drop_path, remat)
    check_flags(qkv_bias=qkv_bias)
    check_positive(epsilon=epsilon)
    check_outputs(include_top, pooling, classes, classifier_activation, name, features)
    pretrained = Pretrained(weights)
    inputs, x = image_input(input_tensor, input_shape, include_preprocessing)
    check_patches(patch_size, x.shape[1:])
    if include_preprocessing:
        x = preprocessing_layer(*pretrained.standardization, name="preprocessing")(x)

    x = convolution(x, embed_dim, patch_size, patch_size, padding=0, name="project")
    x = t2t_layers.FlattenGrid(name="flatten_grid")(x)
    x = t2t_layers.ClassToken(name="class_token")(x)
    x = t2t_layers.LearnedPositionEmbedding(name="position_embedding")(x)
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="embedding_dropout")(x)
    blocks = BlockSettings(
        num_heads,
        mlp_ratio,
        qkv_bias=qkv_bias,
        epsilon=epsilon,
        dropout=dropout,
        attention_dropout=attention_dropout,
        remat=remat,
    )
    x = deep_narrow(x, blocks, depth, drop_path)
    x = layer_norm("norm", epsilon)(x)
    x = head(x, include_top, pooling, classes, classifier_activation, False)
    model = keras.Model(inputs, x, name=name)
    pretrained.load(model)
    return model if features is None else feature_extractor(model, features)


_named_variant: Callable[[str], NamedViT] = partial(named_variant, ViT)

ViTS16 = _named_variant("ViTS16")
ViTB16 = _named_variant("ViTB16")
ViTL16 = _named_variant("ViTL16")
