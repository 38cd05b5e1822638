"""Every layer of the package passes the shared test-case; and what layers refuse."""

from functools import partial

import keras
import pytest

from keras_t2t import layers as ours
from tests.shared_case import every_check, layer_case

SPLIT = {"soft_split": (3, 2, 1)}
FAST = {**SPLIT, "remat": True}
DROPOUTS = {"attention_dropout": 0.1, "dropout": 0.1}
HIDDEN = {"hidden_dropout": 0.1, "dropout": 0.1}
IMAGE, PATCHES, GRID = (5, 10, 3), (3, 5, 27), (3, 5, 16)
WIDE, SHORT, LONG = (7, 32), (7, 16), (8, 16)
ROWS = [  # layer, shape of its input, of its output
    (partial(ours.SoftSplit, 7, 4, 2, name="soft_split"), (20, 33, 3), (5, 8, 147)),
    (partial(ours.SoftSplit, 3, 2, 1, name="one_channel"), (5, 8, 1), (3, 4, 9)),
    (partial(ours.TokenPerformer, 16, 8, dropout=0.1), PATCHES, GRID),
    (partial(ours.TokenTransformer, 16, dropout=0.1), PATCHES, GRID),
    (partial(ours.TokenPerformer, 16, 8, **FAST, name="fast_performer"), IMAGE, GRID),
    (partial(ours.TokenTransformer, 16, **FAST, name="fast_transformer"), IMAGE, GRID),
    (partial(ours.PatchProjection, 16), PATCHES, GRID),
    (partial(ours.PatchProjection, 16, **SPLIT, name="fast_projection"), IMAGE, GRID),
    (partial(ours.MultiHeadSelfAttention, 4, **DROPOUTS), WIDE, WIDE),
    (partial(ours.MLP, 24, **HIDDEN), SHORT, SHORT),
    (partial(ours.SqueezeExcitation, 4), SHORT, SHORT),
    (ours.ChannelScale, SHORT, SHORT),
    (partial(ours.GhostSelfAttention, 4, **DROPOUTS), WIDE, WIDE),
    (partial(ours.GhostMLP, 3, **HIDDEN), SHORT, SHORT),
    (ours.FlattenGrid, GRID, (15, 16)),
    (ours.ClassToken, SHORT, LONG),
    (ours.SinusoidPositionEmbedding, LONG, LONG),
    (ours.LearnedPositionEmbedding, LONG, LONG),
]
LAYERS = [layer_case(*row) for row in ROWS]


def test_no_layer_is_left_out():
    tested = {type(layer()).__name__ for layer, *_ in ROWS}
    assert tested == set(ours.__all__)


test_layer = every_check(LAYERS)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (partial(ours.SoftSplit, 0, 4, 2), IMAGE, "`kernel_size` must be a positive"),
        (partial(ours.SoftSplit, 7, 2.5, 2), IMAGE, "`strides` must be a positive"),
        (partial(ours.SoftSplit, 7, 4, -1), IMAGE, "`padding` must be .* at least 0"),
        (partial(ours.SoftSplit, 7, 4, 2), (2, 9, 3), "at least 3, got 2"),
        (partial(ours.PatchProjection, 16, (3, 2)), IMAGE, "`soft_split` must be "),
        (partial(ours.MultiHeadSelfAttention, 0), WIDE, "`num_heads` must be a posit"),
        (partial(ours.MultiHeadSelfAttention, 3), WIDE, "num_heads=3 for width 32"),
        (
            partial(ours.GhostSelfAttention, 1),
            (7, 9),
            "tokens of even width, got width 9",
        ),
        (partial(ours.SqueezeExcitation, 20), SHORT, "`ratio` must be at most"),
        (ours.LearnedPositionEmbedding, (8,), "values to unpack"),
        (ours.LearnedPositionEmbedding, (4, 4, 8), "values to unpack"),
    ],
)
def test_what_is_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer()(keras.Input(shape))
