"""Parameters and multiply-accumulates, against counts by hand."""

import keras
import pytest
from keras import layers, ops

import keras_t2t
from keras_t2t import layers as ours

pytestmark = pytest.mark.once


class Named(layers.Dense):
    pass


class Doubling(layers.Dense):
    def call(self, x):
        return super().call(super().call(x))


class Counted(Doubling):
    def macs(self, input_shape):
        return 2 * input_shape[-1] * self.units


CHANNELS_FIRST = {"data_format": "channels_first"}
# layer, input shape, MACs by hand
RULES = [
    (lambda: layers.Dense(5), (4,), 4 * 5),
    (lambda: layers.Dense(5), (3, 2, 4), 6 * 4 * 5),
    (lambda: Named(3), (4,), 4 * 3),
    (lambda: Counted(4), (4,), 2 * 4 * 4),
    (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 3)), (7, 4), 7 * 4 * 6),
    (lambda: layers.EinsumDense("...x,xy->...y", 3), (7, 2, 4), 14 * 4 * 3),
    (lambda: layers.EinsumDense("ab...,bc->ac...", (3, None)), (4, 7), 7 * 4 * 3),
    (lambda: layers.Conv1D(5, 3), (9, 4), 7 * 3 * 4 * 5),
    (lambda: layers.Conv1D(5, 3, padding="causal"), (9, 4), 9 * 3 * 4 * 5),
    (lambda: layers.Conv2D(5, 3, 2, "same"), (9, 8, 4), 5 * 4 * 9 * 4 * 5),
    (lambda: layers.Conv2D(6, 3, groups=2), (8, 8, 4), 36 * 9 * 2 * 6),
    (lambda: layers.Conv2D(5, 1, dilation_rate=2), (8, 8, 4), 64 * 4 * 5),
    (lambda: layers.Conv2D(5, 3, **CHANNELS_FIRST), (4, 9, 8), 7 * 6 * 9 * 4 * 5),
    (lambda: layers.Conv3D(2, 2), (3, 3, 3, 4), 8 * 8 * 4 * 2),
    (lambda: layers.DepthwiseConv1D(3), (8, 4), 6 * 3 * 4),
    (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 4), 36 * 9 * 8),
    (lambda: layers.SeparableConv1D(5, 3), (8, 4), 6 * (3 * 4 + 4 * 5)),
    (lambda: layers.SeparableConv2D(5, 3), (8, 8, 4), 36 * (9 * 4 + 4 * 5)),
    (lambda: layers.Conv2DTranspose(5, 3, 2), (8, 8, 4), 64 * 9 * 4 * 5),
    (lambda: layers.LayerNormalization(), (8, 4), 0),
    (lambda: layers.BatchNormalization(), (8, 4), 0),
    (lambda: layers.GlobalAveragePooling2D(), (8, 8, 4), 0),
    (lambda: layers.Embedding(10, 4), (8,), 0),
    (lambda: ours.SoftSplit(3, 2, 1), (8, 8, 4), 0),
    (lambda: ours.MLP(6), (7, 4), 7 * (4 * 6 + 6 * 4)),
    (lambda: ours.MultiHeadSelfAttention(2), (7, 4), 336 + 2 * 7 * 7 * 4 + 7 * 4 * 4),
    (lambda: ours.GhostSelfAttention(2), (7, 4), 3 * 56 + 2 * 7 * 7 * 4 + 7 * 4 * 4),
    (lambda: ours.GhostMLP(3), (7, 4), 7 * (4 * 4 + 12 * 4)),
    (lambda: ours.SqueezeExcitation(4), (7, 8), 8 * 2 + 2 * 8),
    (lambda: ours.TokenTransformer(5), (2, 3, 9), 810 + 2 * 6 * 6 * 5 + 3 * 6 * 5 * 5),
    (
        # k, q, v; w k and w q; phi(k)^T v; phi(q) of it and of the sum; the rest
        lambda: ours.TokenPerformer(5, num_features=4),
        (2, 3, 9),
        6 * 9 * 15 + 2 * 6 * 5 * 4 + 6 * 4 * 5 + 6 * 4 * 5 + 6 * 4 + 3 * 6 * 5 * 5,
    ),
]


@pytest.mark.parametrize(("layer", "input_shape", "macs"), RULES)
def test_rule(layer, input_shape, macs):
    inputs = keras.Input(input_shape)
    layer = layer()
    model = keras.Model(inputs, layer(inputs))
    assert keras_t2t.count_macs(model) == macs
    counted = keras_t2t.summarize(model, print_fn=None)
    assert counted.parameters == model.count_params() == layer.count_params()


def test_every_layer_of_the_package_has_a_rule():
    for name in ours.__all__:
        assert callable(getattr(ours, name).macs), name


def test_attention_of_keras():
    query, value = keras.Input((7, 4)), keras.Input((5, 6))
    layer = layers.MultiHeadAttention(2, key_dim=3, value_dim=8)
    model = keras.Model([query, value], layer(query, value))
    projections = 7 * 4 * 6 + 5 * 6 * 6 + 5 * 6 * 16 + 7 * 16 * 4
    assert keras_t2t.count_macs(model) == projections + 7 * 5 * 2 * (3 + 8)

    grid = keras.Input((3, 7, 4))
    layer = layers.MultiHeadAttention(2, key_dim=3, attention_axes=2)
    model = keras.Model(grid, layer(grid, grid))
    assert keras_t2t.count_macs(model) == 4 * 21 * 4 * 6 + 3 * 2 * 7 * 7 * 6

    key = keras.Input((5, 4))
    layer = layers.GroupQueryAttention(3, num_query_heads=4, num_key_value_heads=2)
    model = keras.Model([query, key], layer(query, key))
    projections = 7 * 4 * 12 + 2 * 5 * 4 * 6 + 7 * 12 * 4
    assert keras_t2t.count_macs(model) == projections + 2 * 7 * 5 * 12

    model = keras.Model([query, value, key], layers.Attention()([query, value, key]))
    assert keras_t2t.count_macs(model) == 7 * 5 * (4 + 6)


def test_operations():
    x, y = keras.Input((7, 4)), keras.Input((4, 5))
    for product in (ops.matmul(x, y), ops.einsum("bnc,bcm->bnm", x, y), x @ y):
        model = keras.Model([x, y], ops.relu(product) + 1)
        assert keras_t2t.count_macs(model) == 7 * 4 * 5
    model = keras.Model([x, y], ops.tensordot(x, y, axes=[[2], [1]]))
    with pytest.raises(ValueError, match=r"no rule .* tensordot \(Tensordot\)"):
        keras_t2t.count_macs(model)


def test_nested_shared_and_frozen():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="in")
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    outer = keras.Model(inputs, shared(inner(shared(inputs))), name="outer")
    top = keras.Model(inputs, layers.Dense(3, name="top")(outer(inputs)))
    outer.trainable = False
    counted = keras_t2t.summarize(top, print_fn=None)
    computing = [row for row in counted.rows if row.macs]
    assert [row[:1] + row[3:] for row in computing] == [
        ("outer/shared", 0, 20, 16),
        ("outer/in/a", 0, 20, 16),
        ("outer/shared", 0, 0, 16),
        ("top", 15, 0, 12),
    ]
    assert counted.macs == keras_t2t.count_macs(top) == 3 * 16 + 12
    assert (counted.trainable, counted.fixed) == (15, 40)


def test_open_sizes_need_an_input_shape():
    inner = keras.Input((None, None, 3))
    inner = keras.Model(inner, layers.Conv2D(5, 3, name="conv")(inner), name="net")
    with pytest.raises(ValueError, match=r"of conv depend .*None.* give `input_shape`"):
        keras_t2t.count_macs(inner)
    assert keras_t2t.count_macs(inner, (8, 8, 3)) == 36 * 27 * 5
    image = keras.Input((10, 8, 3))
    assert keras_t2t.count_macs(keras.Model(image, inner(image))) == 8 * 6 * 27 * 5
    with pytest.raises(ValueError, match="`input_shape` must fit the inputs of net"):
        keras_t2t.count_macs(inner, (8, 8, 4))


def test_a_layer_without_a_rule_is_never_zero(capsys):
    inputs = keras.Input((4,))
    for layer in (Doubling(4, name="own"), layers.Lambda(lambda x: x, name="own")):
        model = keras.Model(inputs, layers.Dense(4)(layer(inputs)))
        with pytest.raises(ValueError, match=r"no rule for the MACs of own \("):
            keras_t2t.count_macs(model)
        counted = keras_t2t.summarize(model)
        assert (counted.macs, counted.rows[0].macs) == (16, None)
        printed = capsys.readouterr().out
        assert "unknown" in printed and "MACs not counted" in printed


def test_models_that_are_not_functional():
    class Own(keras.Model):
        pass

    for model in (Own(), keras.Sequential(), layers.Dense(3)):
        with pytest.raises(ValueError, match="`model` must be a functional"):
            keras_t2t.count_macs(model)


def test_printed_table_is_aligned():
    printed = []
    model = keras_t2t.T2TViT(32, 1, 2, 2, input_shape=(32, 32, 3), classes=5)
    counted = keras_t2t.summarize(model, print_fn=printed.append)
    lines = printed[0].splitlines()
    assert len(lines) == len(counted.rows) + 4
    assert len(set(map(len, lines))) == 1
    columns = " ".join(lines[0].split())
    assert columns == "layer type output shape trainable fixed MACs"
    total = lines[-1].replace(",", "").split()
    assert total == ["total", *map(str, counted[1:4])]
    assert counted.parameters == model.count_params()
    attention = next(r for r in counted.rows if r.name == "block_0_attention")
    assert attention.type == "MultiHeadSelfAttention"
    assert attention.output_shape == (None, 5, 32)
