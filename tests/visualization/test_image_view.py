"""Images of any size, aspect and colour become what the model takes."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_t2t.preprocessing import evaluation_transform, preprocess_input
from keras_t2t.visualization import feature_maps, image_view, model_view
from tests.visualization import small_models
from tests.visualization.small_models import PHOTOGRAPH


def test_files_pillow_images_and_arrays_are_the_same_view(tmp_path):
    model = small_models.model("performer")
    image = Image.fromarray(PHOTOGRAPH)
    image.save(tmp_path / "photograph.png")
    expected = evaluation_transform(image, (48, 64))
    dark = (np.indices((48, 64, 3)).sum(0) % 2).astype("uint8")
    for same in (
        image,
        PHOTOGRAPH,
        PHOTOGRAPH.astype("float64"),
        np.dstack([PHOTOGRAPH, PHOTOGRAPH[..., 0]]),
        tmp_path / "photograph.png",
        str(tmp_path / "photograph.png"),
    ):
        np.testing.assert_array_equal(model_view(model, same), expected)
    for unchanged in (expected, dark, dark.astype("float32")):
        np.testing.assert_array_equal(model_view(model, unchanged), unchanged)
    grey = PHOTOGRAPH[:300, :401, 1]
    of_grey = evaluation_transform(Image.fromarray(grey), (48, 64))
    for same in (grey, grey[..., None]):
        np.testing.assert_array_equal(model_view(model, same), of_grey)
    inputs = image_view.model_input(model, expected)
    np.testing.assert_array_equal(inputs, preprocess_input(expected[None]))
    inputs = image_view.model_input(small_models.resnet50(), expected)
    np.testing.assert_array_equal(inputs, expected[None])  # it standardises by itself


def test_pixels_are_standardised_once():
    """By layers before the network, unless told otherwise."""
    view = evaluation_transform(Image.fromarray(PHOTOGRAPH), (48, 64))
    network = small_models.model("performer")
    image = keras.Input((48, 64, 3))
    scaled = keras.Model(image, network(keras.layers.Rescaling(1 / 127.5, -1)(image)))
    np.testing.assert_array_equal(image_view.model_input(scaled, view), view[None])
    told = image_view.model_input(scaled, view, takes_pixels=False)
    np.testing.assert_array_equal(told, preprocess_input(view[None]))
    unknown = keras.Model(image, network(keras.layers.Rescaling(2.0, -1.0)(image)))
    with pytest.raises(ValueError, match="`takes_pixels` must be True or False"):
        feature_maps(unknown, view)
    stage = unknown.layers[1].name
    found = feature_maps(unknown, view, [stage], takes_pixels=True)[stage]
    np.testing.assert_array_equal(found, 2.0 * view - 1.0)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "values 0..255, got NoneType of object"),
        (np.zeros(5), r"values 0\.\.255, got the shape \(5,\)"),
        (np.zeros((5, 5, 2)), r"got the shape \(5, 5, 2\)"),
        (np.zeros((0, 5, 3)), r"got the shape \(0, 5, 3\)"),
        (np.full((5, 5), np.nan), "got values nan"),
        (np.full((5, 5, 3), -1.0), r"got values -1\.0\.\.-1\.0"),
        (PHOTOGRAPH / np.float32(255), r"got floats of 0\.\.1: multiply by 255"),
        ([["a"]], "got list of <U1"),
    ],
)
def test_what_is_no_image(image, message):
    with pytest.raises(ValueError, match=message):
        model_view(small_models.model("performer"), image)


def test_models_of_other_inputs():
    vector = keras.Input((4,))
    model = keras.Model(vector, keras.layers.Dense(2)(vector))
    with pytest.raises(ValueError, match=r"`model` must take RGB .* \(None, 4\)"):
        model_view(model, PHOTOGRAPH)
    any_size = keras.Input((None, None, 3))
    model = keras.Model(any_size, keras.layers.GlobalMaxPooling2D()(any_size))
    with pytest.raises(ValueError, match="fixed height and width"):
        model_view(model, PHOTOGRAPH)
