"""What stands directly behind a model's input tells whether it takes pixels."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_t2t
from keras_t2t.pixel_input import takes_pixels

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


def nested(*inner):
    """A functional model in a Sequential one, with weights of its own at its end."""
    image = keras.Input(SIZE)
    x = image
    for layer in inner:
        x = layer(x)
    x = layers.Conv2D(3, 1)(x)
    return keras.Sequential([keras.Input(SIZE), keras.Model(image, x)])


def preprocessing_model():
    """Nothing but preprocessing, as data pipelines share it."""
    return keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)])


def by_channel(image):
    means = zip(range(3), MEAN, strict=True)
    return ops.concatenate([(image[..., i : i + 1] - m) / 58 for i, m in means], -1)


class Stem(layers.Layer):
    """A layer of somebody's own that standardises and learns nothing."""

    def __init__(self):
        super().__init__()
        self.inner = normalization()

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


class WholeModel(layers.Layer):
    """A layer of somebody's own with all in it."""

    def __init__(self):
        super().__init__()
        self.dense, self.scale = layers.Dense(3), layers.Rescaling(1 / 255)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(self.scale(x))


TAKES_PIXELS = {
    "rescaling": layers.Rescaling(1 / 127.5, -1),
    "rescaling under any name": layers.Rescaling(1 / 255, name="temperature"),
    "normalization": normalization(),
    "adapted": adapted(),
    "after identity and resizing": lambda x: layers.Rescaling(1 / 255)(
        layers.Resizing(24, 24)(layers.Identity()(x))
    ),
    "channels first": lambda x: layers.Permute((2, 3, 1))(
        layers.Rescaling(1 / 255)(layers.Permute((3, 1, 2))(x))
    ),
    "after augmentation": lambda x: layers.Rescaling(1 / 255)(
        layers.GaussianNoise(0.3)(layers.RandomFlip()(x))
    ),
    "nested": nested(layers.Identity(), layers.Rescaling(1 / 255)),
    "nested preprocessing": preprocessing_model(),
    "a division": lambda x: x / 127.5 - 1,
    "Lambda": layers.Lambda(lambda x: x / 255),
    "Caffe's": keras.applications.resnet50.preprocess_input,
    "by channel": by_channel,
    "own layer": lambda x: Stem()(x),
    "one of several branches": lambda x: layers.Concatenate()(
        [layers.Conv2D(2, 3, padding="same")(x), layers.Rescaling(1 / 255)(x)]
    ),
    "both of several branches": lambda x: layers.Add()(
        [layers.Rescaling(1 / 255)(x), normalization()(layers.Identity()(x))]
    ),
    "flat": lambda x: layers.Reshape(SIZE)(
        layers.Rescaling(1 / 255)(layers.Flatten()(x))
    ),
}
STANDARDISED_BEFORE = {
    "nothing": lambda x: x,
    "Rescaling by one": layers.Rescaling(1.0),
    "in the middle": lambda x: layers.Rescaling(1 / 16)(
        layers.Conv2D(3, 3, use_bias=False)(x)
    ),
    "in the middle, nested": lambda x: preprocessing_model()(layers.Conv2D(3, 3)(x)),
    "in the middle of a nested one": nested(
        layers.Conv2D(3, 3), layers.Rescaling(1 / 16)
    ),
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
        (keras.applications.EfficientNetV2B0, True),
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
        lambda x: WholeModel()(x),
        # Undone: what goes in is 0..1.
        lambda x: layers.Rescaling(1 / 255)(layers.Rescaling(255.0)(x)),
    ],
)
def test_what_cannot_be_told_is_asked(begin):
    with pytest.raises(
        ValueError, match=r"must be True or False for .*, got None"
    ) as error:
        takes_pixels(model_of(begin))
    assert "\n" not in str(error.value)
