"""The two-layer perceptron that follows every attention."""

import math
from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import check_flags, check_rates, integer
from keras_t2t.layers.composite import CompositeLayer
from keras_t2t.layers.platform import gelu, rows


@keras.saving.register_keras_serializable(package="keras_t2t")
class MLP(CompositeLayer):
    """Dense, exact (erf) GELU, Dense back to the input width.

    Args:
        hidden_dim: int, width between the two Dense layers.
        hidden_dropout: float in [0, 1), dropout after the GELU.
        dropout: float in [0, 1), dropout after the second Dense.
        remat: bool, whether all but the input is recomputed for the gradient. Has no
            effect with `hidden_dropout`.

    Input and output shape: `(batch, ..., dim)`.
    """

    # === Config ===
    def __init__(
        self,
        hidden_dim: int,
        hidden_dropout: float = 0.0,
        dropout: float = 0.0,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_rates(hidden_dropout=hidden_dropout, dropout=dropout)
        check_flags(remat=remat)
        self.hidden_dim = integer("hidden_dim", hidden_dim)
        self.hidden_dropout_rate = hidden_dropout
        self.dropout_rate = dropout
        self.remat = remat
        self.hidden_dropout = self._dropout("hidden_dropout", hidden_dropout)
        self.dropout = self._dropout("dropout", dropout)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "hidden_dropout": self.hidden_dropout_rate,
            "dropout": self.dropout_rate,
            "remat": self.remat,
        }

    # === Weights ===
    def build(self, input_shape):
        *positions, dim = input_shape
        hidden_shape = (*positions, self.hidden_dim)
        self.expand = self._dense(
            "expand", self.hidden_dim, input_shape, activation=gelu
        )
        self.contract = self._dense("contract", dim, hidden_shape)

    # === Computation ===
    def call(self, x, training=False):
        _, *positions, dim = x.shape
        x = rows(x)
        if training and self.hidden_dropout.rate > 0:
            x = self.contract(self.hidden_dropout(self.hidden(x), training=True))
        elif training and self.remat:
            x = keras.remat(self.perceptron)(x)
        else:
            x = self.perceptron(x)
        return ops.reshape(self.dropout(x, training=training), (-1, *positions, dim))

    def perceptron(self, x):
        return self.contract(self.hidden(x))

    def hidden(self, x):
        return self.expand(x)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: the two Dense."""
        _, *positions, dim = input_shape
        return math.prod(positions) * 2 * dim * self.hidden_dim
