"""The backbone for KerasHub: pyramid, presets, and a detector on it."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t

pytestmark = pytest.mark.nightly_elsewhere
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


def libraries():
    """Imported where a test runs: they bring TensorFlow."""
    import keras_hub

    from keras_t2t.hub import T2TViTBackbone

    return keras_hub, T2TViTBackbone


def backbone(**kwargs):
    return libraries()[1](**{**TINY, "image_shape": (64, 96, 3), **kwargs})


def images(count=1):
    return np.random.default_rng(0).normal(size=(count, 64, 96, 3)).astype("float32")


def test_pyramid():
    model = backbone()
    shapes = {name: grid.shape[1:] for name, grid in model.pyramid_outputs.items()}
    assert (shapes["P2"], shapes["P3"]) == ((16, 24, 64), (8, 12, 64))
    assert (shapes["P4"], shapes["P5"]) == ((4, 6, 32), (2, 3, 32))
    grids = keras.Model(model.inputs, model.pyramid_outputs)(images())
    tokens = ops.convert_to_numpy(model(images()))
    assert tokens.shape == (1, 25, 32)
    p4 = ops.convert_to_numpy(grids["P4"])
    np.testing.assert_allclose(p4.reshape(1, 24, 32), tokens[:, 1:], atol=1e-5)
    p5 = ops.convert_to_numpy(grids["P5"])
    expected = p4.reshape(1, 2, 2, 3, 2, 32).max((2, 4))
    np.testing.assert_allclose(p5, expected, atol=1e-6)


@pytest.mark.parametrize("token_type", ["performer", "transformer"])
def test_presets_round_trip(token_type, tmp_path):
    keras_hub, T2TViTBackbone = libraries()
    model = backbone(token_type=token_type, drop_path=0.1)
    model.save_to_preset(tmp_path / "preset")
    expected = model.predict(images(), verbose=0)
    # By its own class, and by KerasHub's, which finds it.
    for loader in (T2TViTBackbone, keras_hub.models.Backbone):
        loaded = loader.from_preset(str(tmp_path / "preset"))
        assert type(loaded) is T2TViTBackbone
        assert loaded.get_config() == model.get_config()
        np.testing.assert_array_equal(loaded.predict(images(), verbose=0), expected)
    fresh = T2TViTBackbone.from_preset(str(tmp_path / "preset"), load_weights=False)
    assert not np.array_equal(fresh.predict(images(), verbose=0), expected)


def test_a_named_variant_with_weights(tmp_path):
    classifier = keras_t2t.T2TViT7(input_shape=(32, 32, 3), classes=5)
    classifier.save_weights(tmp_path / "model.weights.h5")
    model = libraries()[1].from_variant(
        "T2TViT7", tmp_path / "model.weights.h5", image_shape=(32, 32, 3)
    )
    x = images()[:, :32, :32]
    tokens = keras.Model(classifier.inputs, classifier.get_layer("norm").output)
    found, expected = (each.predict(x, verbose=0) for each in (model, tokens))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.nightly
def test_a_detector_trains_a_step():
    """RetinaNet of KerasHub; its loss falls on one image."""
    keras_hub, _ = libraries()
    boxes = np.array([[[8.0, 8.0, 40.0, 40.0]]], "float32")
    targets = {"boxes": boxes, "labels": np.array([[1]])}
    settings = {"min_level": 3, "max_level": 5, "image_shape": (64, 64, 3)}
    inner = backbone(image_shape=(64, 64, 3))
    encoder = keras_hub.models.RetinaNetBackbone(inner, use_p5=True, **settings)
    detector = keras_hub.models.RetinaNetObjectDetector(
        backbone=encoder, num_classes=2, bounding_box_format="xyxy", preprocessor=None
    )
    detector.compile(optimizer=keras.optimizers.Adam(1e-3))
    x = images()[:, :, :64]
    before = [np.array(w) for w in encoder.image_encoder.get_weights()]
    history = detector.fit(x, targets, batch_size=1, epochs=8, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    after = encoder.image_encoder.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_bad_arguments():
    for arguments, message in (
        ({"token_type": "convolution"}, "`token_type` must be 'performer' or"),
        ({"include_preprocessing": True}, "a backbone takes what keras_t2t.prepro"),
        ({"image_shape": (16, 64, 3)}, "at least 32 px each way"),
    ):
        with pytest.raises(ValueError, match=message):
            backbone(**arguments)
    with pytest.raises(ValueError, match="`name` must be one of T2TViT7, "):
        libraries()[1].from_variant("T2TViT13")


def test_frozen_layers_stay_so(tmp_path):
    T2TViTBackbone = libraries()[1]
    model = backbone()
    model.get_layer("block_0_mlp").expand.trainable = False
    model.get_layer("tokens_1").trainable = False
    again = T2TViTBackbone.from_config(model.get_config())
    assert [w.trainable for w in again.weights] == [w.trainable for w in model.weights]
    model.trainable = False
    image = keras.Input((64, 96, 3))
    whole = keras.Model(image, keras.layers.Dense(3)(model(image)))
    whole.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == 2
