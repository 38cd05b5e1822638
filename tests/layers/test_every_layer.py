"""Every layer of the package passes the shared test-case."""

import keras_t2t.layers
from tests.shared_case import every_check, layer_case, run

LAYERS = [
    layer_case(
        lambda: keras_t2t.layers.SoftSplit(7, 4, 2, name="soft_split"),
        input_shape=(20, 33, 3),
        output_shape=(5, 8, 147),
    ),
    layer_case(
        lambda: keras_t2t.layers.SoftSplit(3, 2, 1, name="soft_split_one_channel"),
        input_shape=(5, 8, 1),
        output_shape=(3, 4, 9),
    ),
    layer_case(
        lambda: keras_t2t.layers.TokenPerformer(16, num_features=8, dropout=0.1),
        input_shape=(3, 5, 27),
        output_shape=(3, 5, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.TokenTransformer(16, dropout=0.1),
        input_shape=(3, 5, 27),
        output_shape=(3, 5, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.TokenPerformer(
            16, num_features=8, soft_split=(3, 2, 1), remat=True, name="fast_performer"
        ),
        input_shape=(5, 10, 3),
        output_shape=(3, 5, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.TokenTransformer(
            16, soft_split=(3, 2, 1), remat=True, name="fast_transformer"
        ),
        input_shape=(5, 10, 3),
        output_shape=(3, 5, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.PatchProjection(16, name="patch_projection"),
        input_shape=(3, 5, 27),
        output_shape=(3, 5, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.PatchProjection(
            16, soft_split=(3, 2, 1), name="fast_patch_projection"
        ),
        input_shape=(5, 10, 3),
        output_shape=(3, 5, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.MultiHeadSelfAttention(
            4, attention_dropout=0.1, dropout=0.1, name="attention"
        ),
        input_shape=(7, 32),
        output_shape=(7, 32),
    ),
    layer_case(
        lambda: keras_t2t.layers.MLP(24, hidden_dropout=0.1, dropout=0.1),
        input_shape=(7, 16),
        output_shape=(7, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.SqueezeExcitation(4, name="squeeze_excitation"),
        input_shape=(7, 16),
        output_shape=(7, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.ChannelScale(name="channel_scale"),
        input_shape=(7, 16),
        output_shape=(7, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.GhostSelfAttention(
            4, attention_dropout=0.1, dropout=0.1, name="ghost_attention"
        ),
        input_shape=(7, 32),
        output_shape=(7, 32),
    ),
    layer_case(
        lambda: keras_t2t.layers.GhostMLP(
            3, hidden_dropout=0.1, dropout=0.1, name="ghost_mlp"
        ),
        input_shape=(7, 16),
        output_shape=(7, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.ClassToken(),
        input_shape=(7, 16),
        output_shape=(8, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.SinusoidPositionEmbedding(name="position_embedding"),
        input_shape=(8, 16),
        output_shape=(8, 16),
    ),
    layer_case(
        lambda: keras_t2t.layers.LearnedPositionEmbedding(name="learned_positions"),
        input_shape=(8, 16),
        output_shape=(8, 16),
    ),
]


def test_no_layer_is_left_out():
    assert {type(case.build().layers[1]).__name__ for case in LAYERS} == set(
        keras_t2t.layers.__all__
    )


@every_check(LAYERS)
def test_layer(case, check, tmp_path):
    run(check, case, tmp_path)
