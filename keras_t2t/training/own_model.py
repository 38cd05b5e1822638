"""Whether a custom model fits the data, and a custom loss fits the model."""

import functools
import inspect

import keras

from keras_t2t._ground.arguments import reason, shown
from keras_t2t.models.pixel_input import graph_of, seen_input

# Reductions of a loss that do not fit, and why.
UNFIT = {
    None: "gives no single number",
    "none": "gives no single number",
    "mean_with_sample_weight": "counts a last batch that is not full as a whole one",
}


def check_model(model, image_size, classes, say, not_pixels=None):
    """Raises a ValueError if a model does not fit these images and classes, or cannot
    be saved; `say` gets a line if its input looks wrong. `not_pixels` is what `OwnData`
    says of the images."""
    name = shown(model.name)
    check_shapes(model, image_size, classes)
    dtype = keras.config.dtype_policy().compute_dtype
    if dtype != "float32" and dtype not in compute_dtypes(model):
        raise ValueError(
            f"mixed_precision: no layer of {name} computes in {dtype}: build its "
            "layers inside the function that is your model"
        )
    try:  # not sooner than after hours would Keras say so
        keras.Model(model.inputs, model.outputs).get_config()
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(f"model: {name} cannot be saved: {reason(error)}") from error
    takes_pixels, _ = seen_input(model)
    if takes_pixels and not_pixels:
        raise ValueError(f"{not_pixels}; {name} standardises them")
    if takes_pixels is False and not not_pixels:
        say(
            f"Nothing in {name} standardises its input, which is pixels 0..255 (of "
            "this package: include_preprocessing=True)"
        )


def check_shapes(model, image_size, classes):
    """Raises a ValueError unless a model maps one image to one value per class."""
    name = shown(model.name)
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"model: {name} must be a functional model of one image; wrap any other in "
            "one: image = keras.Input((height, width, 3)); "
            "keras.Model(image, layer(image))"
        )
    expected = [(None, image_size, image_size, 3), (None, classes)]
    found = [tuple(inputs[0].shape), tuple(outputs[0].shape)]
    for what, has, needs in zip(("takes", "gives"), found, expected, strict=True):
        if len(has) != len(needs) or has[1:] != needs[1:]:
            raise ValueError(f"model: {name} {what} {has}, and the data needs {needs}")


def compute_dtypes(model):
    """The dtypes in which a model's layers with weights compute."""
    return {
        layer.compute_dtype
        for layer in model._flatten_layers()
        if layer.weights and not isinstance(layer, keras.Model)
    }


def check_loss(loss, model):
    """Raises a ValueError unless a loss takes what the model gives, and gives one value
    per image."""
    name = name_of(loss)
    if takes_logits(loss) is True and gives_probabilities(model):
        raise ValueError(
            f"loss: {name} takes logits, and the model gives probabilities: leave its "
            "last activation out"
        )
    if takes_logits(loss) is False and not gives_probabilities(model):
        raise ValueError(
            f"loss: {name} takes probabilities, and the model gives logits: give it "
            "from_logits=True"
        )
    if not isinstance(loss, keras.losses.Loss):
        zeros = keras.ops.zeros((2, model.output_shape[-1]))
        shape = tuple(keras.ops.shape(loss(zeros, zeros)))
        if shape[:1] != (2,):
            raise ValueError(
                f"loss: {name} must give one value for each image, of shape (batch,); "
                f"for two images it gives {shape}"
            )
    elif problem := UNFIT.get(loss.reduction):
        raise ValueError(
            f"loss: reduction={loss.reduction!r} {problem}: use 'sum_over_batch_size'"
        )


def gives_probabilities(model, output=0):
    """Whether a model's output, that of the model it ends with, is a softmax's or a
    sigmoid's."""
    last = model.outputs[output]._keras_history
    if (graph := graph_of(last.operation)) is not None:
        return gives_probabilities(graph, last.tensor_index)
    activation = getattr(last.operation, "activation", None)
    squashes = keras.activations, keras.ops
    if any(activation in (module.softmax, module.sigmoid) for module in squashes):
        return True
    kinds = {type(part).__name__ for part in (last.operation, activation)}
    return not kinds.isdisjoint(("Softmax", "Sigmoid"))  # layers and operations


def takes_logits(loss):
    """Whether a loss says that it takes logits; None if it says nothing."""
    if isinstance(loss, keras.losses.Loss):
        try:
            return loss.get_config().get("from_logits")
        except NotImplementedError:
            return None
    from_logits = parameter(loss, "from_logits")
    return from_logits and from_logits.default


def parameter(function, name):
    """A function's parameter, None where it has none of this name."""
    try:
        return inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):
        return None


def name_of(part):
    """The name of a class, a function, or an object's class."""
    if isinstance(part, functools.partial):
        part = part.func
    named = part if hasattr(part, "__qualname__") else type(part)
    return named.__qualname__.rpartition("<locals>.")[2]
