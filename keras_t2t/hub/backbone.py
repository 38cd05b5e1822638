"""T2T-ViT as a backbone of KerasHub; needs `pip install "keras-t2t[keras-hub]"`."""

from typing import Any

import keras

from keras_t2t._ground.optional_imports import import_library
from keras_t2t._ground.types import Weights
from keras_t2t.layers.composite import attributes_of, inner_state, restore_inner_state
from keras_t2t.models.feature_grids import feature_extractor
from keras_t2t.models.t2t_vit import T2TViT
from keras_t2t.variants import VARIANTS

keras_hub: Any = import_library("keras_hub")

PYRAMID = {"P2": "tokens_1", "P3": "tokens_2", "P4": "norm"}


@keras.saving.register_keras_serializable("keras_t2t")
class T2TViTBackbone(keras_hub.models.FeaturePyramidBackbone):
    """A T2T-ViT without its head, with the feature grids that detectors need.

    As for any KerasHub backbone, `from_preset` takes a folder that `save_to_preset`
    made, or its address on Kaggle or Hugging Face.

    The arguments are those of `keras_t2t.T2TViT`, except for the following. Heads in
    `weights` are not loaded.

    Args:
        token_type: `"performer"` or `"transformer"`, whose layers make the pyramid.
        image_shape: `(height, width, channels)`, at least 32 px each way.
        dtype: None for Keras's policy, or a name or `keras.DTypePolicy`.
        parts: None, or the frozen inner layers, as `get_config` stores them.

    Input `(batch, height, width, channels)`, the result of
    `keras_t2t.preprocess_input`.
    Output `(batch, 1 + tokens, dim)`, the class token first, after the last norm.
    `pyramid_outputs` is a dict of grids `(batch, rows, columns, channels)` at a
    quarter, an eighth, a sixteenth and a thirty-second of the image's sides: `"P2"`
    and `"P3"` are the tokens after the first two soft splits, `"P4"` the backbone's
    final tokens, `"P5"` their maximum over 2 x 2, as detectors use plain ViTs (Li et
    al., ECCV 2022).

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (224, 224, 3),
        weights: Weights = None,
        dtype: Any = None,
        parts: dict[str, Any] | None = None,
        name: str | None = None,
        trainable: bool = True,
        **settings: Any,
    ) -> None:
        image_shape = check_shape(image_shape)
        if settings.get("token_type") == "convolution":
            raise ValueError(
                "`token_type` must be 'performer' or 'transformer', since their token "
                "layers make the pyramid, got 'convolution'"
            )
        if settings.get("include_preprocessing"):
            raise ValueError(
                "`include_preprocessing` must be False, got True: a backbone takes "
                "what keras_t2t.preprocess_input gives"
            )
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype or policy)
        try:
            model = T2TViT(
                **settings, include_top=False, input_shape=image_shape, weights=weights
            )
            grids = feature_extractor(model, list(PYRAMID.values())).output
            pyramid = {level: grids[name] for level, name in PYRAMID.items()}
            pyramid["P5"] = keras.layers.MaxPooling2D(
                2, data_format="channels_last", name="coarsest"
            )(pyramid["P4"])
        finally:
            keras.config.set_dtype_policy(policy)
        super().__init__(
            inputs=model.inputs[0],
            outputs=model.output,
            dtype=dtype,
            name=name,
            trainable=trainable,
        )
        self._as_built = attributes_of(self)
        restore_inner_state(self, parts or {})
        self.settings = {**settings, "image_shape": image_shape}
        self.pyramid_outputs = pyramid

    @classmethod
    def from_variant(
        cls, name: str, weights: Weights = None, **arguments: Any
    ) -> "T2TViTBackbone":
        """The backbone of a named model, such as `"T2TViT14"`.

        Args:
            name: row of the table of models.
            weights: as for `keras_t2t.T2TViT14`.
            **arguments: the constructor's.

        Raises:
            ValueError: if there is no such model, or `weights` do not fit it.
        """
        if name not in VARIANTS:
            raise ValueError(
                f"`name` must be one of {', '.join(VARIANTS)}, got {name!r}"
            )
        return cls(**VARIANTS[name].architecture, weights=weights, **arguments)

    def get_config(self) -> dict[str, Any]:
        parts = inner_state(self, self._as_built)
        return {
            **super().get_config(),
            **self.settings,
            **({"parts": parts} if parts else {}),
        }


def check_shape(image_shape):
    """`image_shape` as a tuple: from a file it is a list."""
    if len(image_shape) != 3 or min(image_shape[:2]) < 32:
        raise ValueError(
            "`image_shape` must be (height, width, channels), at least 32 px each way "
            f"(one cell of P5), got {tuple(image_shape)}"
        )
    return tuple(image_shape)
