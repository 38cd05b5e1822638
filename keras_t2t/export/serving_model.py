"""The serving model: from an image to logits and probabilities."""

import warnings

import keras

from keras_t2t.layers.composite import inner_policy
from keras_t2t.models.pixel_input import STANDARDISES, seen_input
from keras_t2t.models.pixel_input import takes_pixels as takes_pixels_itself
from keras_t2t.preprocessing import preprocessing_layer

OUTPUTS = ("logits", "probabilities", "features", "head", "aux_head")


def serving_model(model, include_preprocessing=True, takes_pixels=None):
    """The model to export for `model`, in float32; for arguments see `export_model`.

    It has the input `image` `(batch, height, width, channels)` and a dict of outputs:
    `logits` and `probabilities`, each `(batch, classes)`, if the last layer is a Dense
    or an Activation; else `features`, the model's own output. `probabilities` are those
    of the model's own activation; without one, softmax, or sigmoid of one logit.
    """
    check_model(model)
    if include_preprocessing or takes_pixels is not None:
        inside = takes_pixels_itself(model, takes_pixels)
    else:
        inside, _ = seen_input(model)
    if inside and not include_preprocessing:
        raise ValueError(
            f"`include_preprocessing` must be True, since {model.name} takes pixels "
            "0..255 and standardises them itself; if not, give takes_pixels=False"
        )
    model = plain_model(model)
    image = keras.Input(model.inputs[0].shape[1:], name="image", dtype="float32")
    x = image
    if include_preprocessing and not inside:
        if image.shape[-1] != 3:
            raise ValueError(
                "`include_preprocessing` needs 3 channels (RGB), got a model of "
                f"{image.shape[-1]}; set include_preprocessing=False"
            )
        x = preprocessing_layer(name="preprocessing")(x)
    return keras.Model(image, outputs_of(model, x), name=model.name)


def check_model(model):
    """Raises a ValueError unless `model` is one that can be exported."""
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built keras.Model, got {model!r}")
    inputs = getattr(model, "inputs", None) or ()
    outputs = getattr(model, "outputs", None) or ()
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "`model` must be a functional model with one input and one output, got "
            f"{model.name} with inputs {shapes} and {len(outputs)} outputs"
        )
    if len(shapes[0]) != 4 or None in shapes[0][1:]:
        raise ValueError(
            "`model` must take (batch, height, width, channels) with known sizes, got "
            f"{shapes[0]}"
        )
    if any(layer.quantization_mode for layer in model._flatten_layers()):
        raise ValueError(
            f"`model` {model.name} is quantized: export the float model with "
            "precision='int8'"
        )


def plain_model(model):
    """The model itself, or a float32 copy if a layer computes in half precision, with
    one tensor as input and one as output."""
    # A saved model may have lists of one tensor.
    model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    half = ("float16", "bfloat16")
    if any(layer.compute_dtype in half for layer in model._flatten_layers()):
        return with_dtype(model, "float32")
    return model


def in_precision(model, precision):
    """A copy of `model` in `precision`, or the model itself in float32.

    In float16, the weights and most of the arithmetic are float16. Standardisation,
    the outputs, and whatever layers compute in float32 under any policy stay float32.
    In int8 and int4, Keras quantizes the Dense layers.
    """
    if precision == "float32":
        return model
    if precision == "float16":
        keep = [
            layer.name
            for layer in model._flatten_layers()
            if isinstance(layer, STANDARDISES) or layer.name in OUTPUTS
        ]
        return with_dtype(model, "float16", keep)
    copied = with_dtype(model, "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about each layer without weights
        copied.quantize(precision)
    for layer in copied._flatten_layers():
        if not isinstance(layer, keras.Model):
            # Also for composite layers that do not store the policies themselves.
            layer.dtype_policy = inner_policy(layer)
    return copied


def with_dtype(model, dtype, keep=()):
    """A copy of `model` whose layers, but those named in `keep`, have the dtype policy
    `dtype`."""

    def copy(layer):
        config = layer.get_config()
        if layer.name not in keep:
            config["dtype"] = dtype
        return type(layer).from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy, recursive=True)
    copied.set_weights(model.get_weights())
    return copied


def outputs_of(model, image):
    """The dict of named outputs for the Keras tensor `image`."""
    own = own_output(model)
    if own == "features":
        return {"features": as_float32("features")(model(image))}
    head, node, _ = model.outputs[0]._keras_history
    if own == "logits":
        logits = as_float32("logits")(model(image))
        # One logit tells two classes apart.
        one = model.outputs[0].shape[-1] == 1
        activation = keras.activations.sigmoid if one else keras.activations.softmax
    else:
        (features,) = head._inbound_nodes[node].input_tensors
        features = keras.Model(model.input, features, name=model.name)
        logits = before_activation(head)(features(image))
        activation = head.activation
    probabilities = keras.layers.Activation(
        activation, dtype=head.dtype_policy, name="probabilities"
    )(logits)
    return {"logits": logits, "probabilities": probabilities}


def as_float32(name):
    """An Identity that the global dtype policy does not change."""
    return keras.layers.Identity(dtype="float32", name=name)


def own_output(model):
    """The name of the serving model's output that is the model's own."""
    head = model.outputs[0]._keras_history.operation
    if not isinstance(head, (keras.layers.Dense, keras.layers.Activation)):
        return "features"
    linear = head.activation is keras.activations.linear
    return "logits" if linear else "probabilities"


def output_names(served):
    """The names of a serving model's outputs, in order."""
    return [tensor._keras_history.operation.name for tensor in served.outputs]


def before_activation(head):
    """A copy of the Dense `head` without its activation, or an Identity."""
    if isinstance(head, keras.layers.Activation):
        return keras.layers.Identity(dtype=head.dtype_policy, name="logits")
    config = {**head.get_config(), "activation": None, "name": "logits"}
    layer = keras.layers.Dense.from_config(config)
    layer.build((None, head.kernel.shape[0]))
    layer.set_weights(head.get_weights())
    return layer
