"""The paper's convolutional baseline, from `keras.applications`."""

from pathlib import Path

import keras

from keras_t2t._ground.arguments import check_path
from keras_t2t._ground.hub_files import fetched_file
from keras_t2t._ground.types import Activation, Pooling, Shape, Tensor, Weights
from keras_t2t.checkpoints.standardization import standardization_told
from keras_t2t.models.arguments import image_input
from keras_t2t.preprocessing import preprocessing_layer


def ResNet50(
    include_top: bool = True,
    include_preprocessing: bool = False,
    weights: Weights = None,
    input_tensor: Tensor = None,
    input_shape: Shape = None,
    pooling: Pooling = None,
    classes: int = 1000,
    classifier_activation: Activation = "softmax",
    name: str = "resnet50",
    drop_path: float = 0.0,
) -> keras.Model:
    """`keras.applications.ResNet50`, with the arguments that the scripts give a model.

    Args:
        include_preprocessing: bool. If True the model takes RGB pixels 0..255. They
            are standardised as its `weights` say, else as for the transformers, so that
            comparisons from scratch differ only in the model; Keras's own pretrained
            weights need `keras.applications.resnet50.preprocess_input` instead.
        weights: None; `"hf://OWNER/NAME"` or `"hf://OWNER/NAME/FILE"` on the Hugging
            Face hub; or the path of weights for `keras.applications.ResNet50`. No
            weights are published by name.
        drop_path: accepted but not used, since ResNet50 has no stochastic depth, so
            that one recipe trains every model.

    The other arguments are those of `keras.applications.ResNet50`. Channels are always
    last, whatever `keras.config.image_data_format()` says.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: if an argument is out of range, or `weights` does not exist or fit.
        OSError, ImportError: if weights cannot be fetched from the hub.
    """
    weights = fetched_file(weights)
    if weights is not None:
        check_path("weights", weights)
        if not Path(weights).is_file():
            raise ValueError(
                "`weights` must be None, hf://OWNER/NAME on the Hugging Face hub, or "
                f"the path of an existing file, got {str(weights)!r}; for Keras's "
                "pretrained weights, which take other inputs, use keras.applications"
            )
    _, x = image_input(input_tensor, input_shape, include_preprocessing)
    if include_preprocessing:
        told = None if weights is None else standardization_told(weights)
        x = preprocessing_layer(*(told or ()), name="preprocessing")(x)
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        return keras.applications.ResNet50(
            include_top=include_top,
            weights=weights,
            input_tensor=x,
            input_shape=tuple(x.shape[1:]),
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            name=name,
        )
    finally:
        keras.config.set_image_data_format(before)
