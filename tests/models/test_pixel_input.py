"""What stands directly behind a model's input tells whether it takes pixels."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_t2t
from keras_t2t.models.pixel_input import takes_pixels

pytestmark = pytest.mark.once

SIZE = (32, 32, 3)
MEAN, VARIANCE = [123.7, 116.3, 103.5], [3411.0, 3262.0, 3289.0]


def normalization(**settings):
    settings = {"axis": -1, "mean": MEAN, "variance": VARIANCE, **settings}
    return layers.Normalization(**settings)


def model_of(begin, dtype="float32"):
    image = keras.Input(SIZE, dtype=dtype)
    x = layers.Conv2D(4, 3)(begin(image))
    return keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def adapted():
    layer = layers.Normalization(axis=-1)
    layer.adapt(np.random.default_rng(0).uniform(0, 255, (8, *SIZE)))
    return layer


def rescaling():
    return layers.Rescaling(1 / 255)


def chain(*steps):
    return lambda x: functools.reduce(lambda y, step: step(y), steps, x)


def nested(*inner):
    """A functional model in a Sequential one, with weights of its own at its end."""
    image = keras.Input(SIZE)
    model = keras.Model(image, chain(*inner, layers.Conv2D(3, 1))(image))
    return keras.Sequential([keras.Input(SIZE), model])


def preprocessing_model():
    """Nothing but preprocessing, as data pipelines share it."""
    return keras.Sequential([layers.RandomFlip(), rescaling()])


def by_channel(image):
    means = zip(range(3), MEAN, strict=True)
    return ops.concatenate([(image[..., i : i + 1] - m) / 58 for i, m in means], -1)


class Own(layers.Layer):
    """A layer of somebody's own, around others."""

    def __init__(self, *inner):
        super().__init__()
        self.inner = list(inner)

    def build(self, shape):
        for layer in self.inner:
            layer.build(shape)

    def call(self, x):
        return chain(*self.inner)(x)


TRANSPOSED, BACK = layers.Permute((3, 1, 2)), layers.Permute((2, 3, 1))
TAKES_PIXELS = {
    "rescaling": layers.Rescaling(1 / 127.5, -1),
    "normalization": normalization(),
    "adapted": adapted(),
    "resized": chain(layers.Identity(), layers.Resizing(24, 24), rescaling()),
    "channels first": chain(TRANSPOSED, rescaling(), BACK),
    "augmented": chain(layers.RandomFlip(), layers.GaussianNoise(0.3), rescaling()),
    "nested": nested(layers.Identity(), rescaling()),
    "nested preprocessing": preprocessing_model(),
    "a division": lambda x: x / 127.5 - 1,
    "Lambda": layers.Lambda(lambda x: x / 255),
    "Caffe's": keras.applications.resnet50.preprocess_input,
    "by channel": by_channel,
    "own layer": Own(normalization()),
    "one of several branches": lambda x: layers.Concatenate()(
        [layers.Conv2D(2, 3, padding="same")(x), rescaling()(x)]
    ),
    "flat": chain(layers.Flatten(), rescaling(), layers.Reshape(SIZE)),
}
MIDDLE = layers.Conv2D(3, 3, use_bias=False)
STANDARDISED_BEFORE = {
    "nothing": lambda x: x,
    "Rescaling by one": layers.Rescaling(1.0),
    "in the middle": chain(MIDDLE, layers.Rescaling(1 / 16)),
    "in the middle, nested": chain(layers.Conv2D(3, 3), preprocessing_model()),
    "nested, in its middle": nested(layers.Conv2D(3, 3), layers.Rescaling(1 / 16)),
    "noise, padding, flip": lambda x: layers.GaussianNoise(0.1)(
        layers.ZeroPadding2D(2)(ops.flip(x, -1))
    ),
    "tanh": layers.Activation("tanh"),
}


@pytest.mark.parametrize("begin", TAKES_PIXELS.values(), ids=TAKES_PIXELS)
def test_models_that_standardise_pixels(begin):
    assert takes_pixels(model_of(begin))


@pytest.mark.parametrize("begin", STANDARDISED_BEFORE.values(), ids=STANDARDISED_BEFORE)
def test_models_that_do_not(begin):
    model = model_of(begin)
    assert not takes_pixels(model)
    image = keras.Input(SIZE)  # one that ends in a temperature
    cooled = keras.Model(image, layers.Rescaling(1 / 20)(model(image)))
    assert not takes_pixels(cooled)
    assert not takes_pixels(keras.Sequential([*cooled.layers[1:]]))


def test_whole_models_of_keras_and_of_this_package():
    settings = {"input_shape": SIZE, "classes": 5, "weights": None}
    for builder, takes in (
        (keras.applications.EfficientNetB0, True),
        (keras.applications.ConvNeXtTiny, True),
        (keras.applications.MobileNetV2, False),
        (keras_t2t.ResNet50, False),
        (keras_t2t.T2TViT7, False),
    ):
        model = builder(**settings)
        assert takes_pixels(model) is takes, model.name
        image = keras.Input(SIZE)
        own = keras.Model(image, model(layers.Rescaling(1 / 255)(image)))
        # 0..255, divided twice, is still for pixels.
        assert takes_pixels(own)
    model = keras_t2t.T2TViT7(include_preprocessing=True, **settings)
    assert takes_pixels(model)
    assert takes_pixels(keras.models.clone_model(model))


def test_whole_numbers_are_pixels():
    assert takes_pixels(model_of(lambda x: ops.cast(x, "float32"), dtype="uint8"))


@pytest.mark.parametrize(
    "begin",
    [
        layers.Rescaling(2.0, -1.0),
        normalization(mean=[0.5] * 3, variance=[0.06] * 3),
        Own(rescaling(), layers.Dense(3)),
        chain(layers.Rescaling(255.0), rescaling()),  # undone: what goes in is 0..1
    ],
)
def test_what_cannot_be_told_is_asked(begin):
    with pytest.raises(ValueError, match=r"must be True or False for .*, got None"):
        takes_pixels(model_of(begin))
