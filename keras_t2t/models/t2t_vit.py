"""T2T-ViT as a functional Keras model (Yuan et al., ICCV 2021, arXiv:2101.11986)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras

from keras_t2t import layers as t2t_layers
from keras_t2t._ground.arguments import check_counts, check_flags, python_numbers
from keras_t2t._ground.types import (
    Activation,
    BlockType,
    Features,
    Pooling,
    Shape,
    Tensor,
    TokenType,
    Weights,
)
from keras_t2t.checkpoints.published_file import Pretrained
from keras_t2t.models.arguments import (
    check_blocks,
    check_design,
    check_outputs,
    check_stages,
    check_tokens,
    check_training,
    image_input,
)
from keras_t2t.models.backbone import (
    BlockSettings,
    deep_narrow,
    densely_connected,
    layer_norm,
)
from keras_t2t.models.feature_grids import feature_extractor
from keras_t2t.models.head import head
from keras_t2t.models.named_variant import NamedT2TViT, named_variant
from keras_t2t.models.tokens import image_to_tokens
from keras_t2t.preprocessing import preprocessing_layer
from keras_t2t.variants import variant_name


@python_numbers
def T2TViT(
    embed_dim: int,
    depth: int | Sequence[int],
    num_heads: int,
    mlp_ratio: float,
    token_type: TokenType = "performer",
    block_type: BlockType = "standard",
    growth: int | None = None,
    token_labelling: bool = False,
    include_top: bool = True,
    include_preprocessing: bool = False,
    weights: Weights = None,
    input_tensor: Tensor = None,
    input_shape: Shape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: Activation = "softmax",
    name: str = "t2t_vit",
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    drop_path: float = 0.0,
    remat: bool = False,
    token_dropout: float | None = None,
    fused_soft_split: bool = True,
    features: Features = None,
) -> keras.Model:
    """Builds a Tokens-to-Token vision transformer (paper section 3).

    Args:
        embed_dim: int, width of the backbone's tokens.
        depth: int, number of backbone blocks; with `growth` a tuple, the number of
            blocks in each stage.
        num_heads: int, attention heads per block; must divide its width.
        mlp_ratio: float, hidden width of a block's MLP over the block's.
        token_type: `"performer"` (linear attention, the paper's T2T-ViT) or
            `"transformer"` (softmax attention, T2T-ViT_t) between the soft splits,
            or `"convolution"`, three convolutions in place of both (T2T-ViT_c).
        block_type: `"standard"`, `"se"` (squeeze-and-excitation after the
            attention) or `"ghost"` (half of q, k, v and most of the MLP are cheap
            copies; `mlp_ratio` must then be a whole number).
        growth: None, or int: the blocks are densely connected, each adds `growth`
            channels to its input, and the width is halved between stages.
        token_labelling: bool, whether the patch tokens have a classifier too; per
            class, half of their largest logit is added to the class token's (Jiang et
            al., 2021). The setting `teacher` of training gives each token a label.
        include_top: bool, whether to end in the class token's classifier.
        include_preprocessing: bool. If True the model takes RGB pixels 0..255 and
            standardises them as its `weights` need, otherwise it takes the result of
            `keras_t2t.preprocess_input`.
        weights: None (random); published weights of this variant, `"imagenet"`,
            `"imagenet384"`, `"cifar10"` or `"cifar100"`, downloaded and converted once
            (`"imagenet384"` does not set `input_shape`, nor CIFAR's `classes`);
            `"hf://OWNER/NAME"` on the Hugging Face hub, see `keras_t2t.push_to_hub`,
            or `"hf://OWNER/NAME/FILE"`; or the path of a checkpoint, see
            `keras_t2t.load_checkpoint`. A file's image size and number of classes may
            differ from the model's.
        input_tensor: optional Keras tensor `(batch, height, width, channels)` to
            build the model on.
        input_shape: `(height, width, channels)`, at least 16 px each way, square
            or not; default `(224, 224, 3)`. Channels are last whatever
            `keras.config.image_data_format()` says.
        pooling: with `include_top=False`: None gives all tokens, `"token"` the
            class token, `"avg"` the mean of the patch tokens, all after the
            final norm.
        classes: int, number of classes of the head.
        classifier_activation: activation of the head; None gives logits.
        name: name of the model.
        dropout: float in [0, 1), after the position embedding, the attention
            projections and the MLP layers of the backbone.
        attention_dropout: float in [0, 1), on the backbone's attention
            probabilities.
        drop_path: float in [0, 1), stochastic depth of the last block; it rises
            linearly from 0 over the blocks and acts per image. With `growth`, stage
            i has i/11 of it, as in the authors' code.
        remat: bool, whether attention and MLPs are recomputed for the gradient instead
            of stored (rematerialisation): less memory, slower training, same results.
            Needs `dropout` and `attention_dropout` of 0.
        token_dropout: float in [0, 1), dropout in the token layers; None means
            the authors' 0.1 for Performer tokens and 0.0 for Transformer tokens.
            Convolutions have none.
        fused_soft_split: bool, whether each soft split, its norm and the Dense after it
            are computed as one strided convolution (the fast path), or layers
            `soft_split_0` to `soft_split_2` store the long patch vectors (the readable
            path). Weights, checkpoints and outputs are the same.
        features: None, or with `include_top=False` names from
            `keras_t2t.list_features`, such as `("tokens_1", "block_13")`: the model
            then returns their grids.

    Returns:
        A functional `keras.Model`. Output `(batch, classes)` in float32 under
        every dtype policy; without top `(batch, 1 + tokens, dim)`, or `(batch, dim)`
        with `pooling`. `tokens` is grid height times grid width, 14 x 14 at 224 px;
        `dim` is `embed_dim`, with `growth` the width after the last block. With
        `features` a dict, for each name `(batch, grid height, grid width, channels)`
        without the class token: at 224 px 56 x 56 x 64 for `"tokens_1"`, 28 x 28 x 64
        for `"tokens_2"`, 14 x 14 x `dim` for a block.

    Raises:
        ValueError: if an argument is out of range, or `weights` does not exist or
            fit; the message names it.
        OSError, ImportError: if published weights cannot be downloaded or converted.
    """
    check_tokens(token_type, token_dropout)
    check_blocks(embed_dim, num_heads, mlp_ratio)
    check_design(block_type, embed_dim, mlp_ratio)
    if growth is None:
        check_counts(depth=depth)
    else:
        check_stages(embed_dim, num_heads, depth, growth)
    check_training(dropout, attention_dropout, drop_path, remat)
    check_flags(fused_soft_split=fused_soft_split, token_labelling=token_labelling)
    check_outputs(include_top, pooling, classes, classifier_activation, name, features)
    architecture: dict[str, Any] = {
        "embed_dim": embed_dim,
        "depth": depth,
        "num_heads": num_heads,
        "mlp_ratio": mlp_ratio,
        "token_type": token_type,
        "block_type": block_type,
        "growth": growth,
        "token_labelling": token_labelling,
    }
    pretrained = Pretrained(weights, variant_name(**architecture))
    inputs, x = image_input(input_tensor, input_shape, include_preprocessing)
    if include_preprocessing:
        x = preprocessing_layer(*pretrained.standardization, name="preprocessing")(x)

    x = image_to_tokens(
        x, embed_dim, token_type, token_dropout, fused_soft_split, remat
    )
    x = t2t_layers.ClassToken(name="class_token")(x)
    x = t2t_layers.SinusoidPositionEmbedding(name="position_embedding")(x)
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="embedding_dropout")(x)
    blocks = BlockSettings(
        num_heads,
        mlp_ratio,
        block_type,
        dropout=dropout,
        attention_dropout=attention_dropout,
        remat=remat,
    )
    if growth is None:
        x = deep_narrow(x, blocks, depth, drop_path)
    else:
        x = densely_connected(x, blocks, depth, growth, drop_path)
    x = layer_norm("norm")(x)
    x = head(x, include_top, pooling, classes, classifier_activation, token_labelling)
    model = keras.Model(inputs, x, name=name)
    pretrained.load(model, partial(T2TViT, **architecture))
    return model if features is None else feature_extractor(model, features)


_named_variant: Callable[[str], NamedT2TViT] = partial(named_variant, T2TViT)

T2TViT7 = _named_variant("T2TViT7")
T2TViT10 = _named_variant("T2TViT10")
T2TViT12 = _named_variant("T2TViT12")
T2TViT14 = _named_variant("T2TViT14")
T2TViT19 = _named_variant("T2TViT19")
T2TViT24 = _named_variant("T2TViT24")
T2TViTt14 = _named_variant("T2TViTt14")
T2TViTt19 = _named_variant("T2TViTt19")
T2TViTt24 = _named_variant("T2TViTt24")
T2TViT24TokenLabelling = _named_variant("T2TViT24TokenLabelling")
T2TViT14ResNeXt = _named_variant("T2TViT14ResNeXt")
T2TViT14Wide = _named_variant("T2TViT14Wide")
T2TViT14SE = _named_variant("T2TViT14SE")
T2TViT16Ghost = _named_variant("T2TViT16Ghost")
T2TViTDense = _named_variant("T2TViTDense")
T2TViTc14 = _named_variant("T2TViTc14")
