"""The page in a browser: its probabilities are Python's, and it needs nobody else."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import keras_t2t
from keras_t2t.preprocessing import evaluation_transform
from keras_t2t.visualization import attention_rollout
from tests.export import browser, tiny
from tests.photographs import oriented

pytestmark = [
    pytest.mark.nightly,
    browser.needs_chromium,
    # Elsewhere the same file is written in a child process, as for ONNX.
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch writes it"),
]
NAMES = ["red fox", "wolf", *(f"class {i}" for i in range(8))]


@pytest.fixture(scope="module")
def model():
    return tiny.build(classifier_activation=None, input_shape=(64, 96, 3))


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "page"
    keras_t2t.export_model(
        model, folder, "web", labels=NAMES, crop=0.8, interpolation="bilinear"
    )
    return folder


@pytest.fixture(scope="module", params=["PNG", "JPEG"])
def photograph(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("photographs") / f"flower.{request.param.lower()}"
    Image.fromarray(load_sample_image("flower.jpg")).save(path)
    return path


def probabilities(model, path, **settings):
    pixels = evaluation_transform(path, (64, 96), 0.8, "bilinear", **settings)
    return tiny.softmax(tiny.logits_of(model, pixels[None].astype("float32")))[0]


def test_probabilities_are_pythons(model, page, photograph):
    with browser.served(page) as address, browser.chromium() as driver:
        driver.get(address)
        assert browser.wait_for_state(driver, "ready", "error") == "ready"
        driver.find_element("id", "file").send_keys(str(photograph))
        assert browser.wait_for_state(driver, "done", "error") == "done"
        found = driver.execute_script("return [...window.probabilities]")
        best = driver.find_element("id", "best").text
        rows = driver.find_elements("css selector", "#classes li")
        assert browser.complaints(driver) == []
    expected = probabilities(model, photograph)
    # A JPEG's decoders differ by a grey level.
    tolerance = 1e-4 if photograph.suffix == ".png" else 1e-2
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert best.startswith(NAMES[int(np.argmax(expected))] + ", ")
    assert len(rows) == 5


@pytest.mark.parametrize("turns", [True, False])
def test_a_photograph_lies_as_in_training(model, page, tmp_path, turns):
    """Another manifest is all that differs between the two pages."""
    folder = tmp_path / "page"
    shutil.copytree(page, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["exif_orientation"]
    manifest["exif_orientation"] = turns
    (folder / "manifest.json").write_text(json.dumps(manifest))
    path = tmp_path / "photograph.jpg"
    path.write_bytes(oriented(6, size=(192, 128)))
    with browser.served(folder) as address, browser.chromium() as driver:
        driver.get(address)
        browser.wait_for_state(driver, "ready", "error")
        driver.find_element("id", "file").send_keys(str(path))
        assert browser.wait_for_state(driver, "done", "error") == "done"
        found = driver.execute_script("return [...window.probabilities]")
    expected, other = (
        probabilities(model, path, exif_orientation=as_said)
        for as_said in (turns, not turns)
    )
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert np.abs(expected - other).max() > 0.03


def test_phone_keyboard_and_camera(page):
    with browser.served(page) as address, browser.chromium(375, 700, True) as driver:
        driver.get(address)
        browser.wait_for_state(driver, "ready", "error")
        assert not browser.overflows(driver)
        body = driver.find_element("tag name", "body")
        assert body.value_of_css_property("background-color") == "rgba(22, 24, 27, 1)"
        body.send_keys("\t")
        assert driver.switch_to.active_element.get_attribute("id") == "open"
        driver.find_element("id", "camera").click()
        browser.wait_until(driver, "return !document.getElementById('live').hidden")
        driver.switch_to.active_element.click()  # takes the photograph
        assert browser.wait_for_state(driver, "done", "error") == "done"
        assert not browser.overflows(driver)
        assert driver.find_element("id", "overlay").is_displayed()
        assert browser.complaints(driver) == []


def test_what_is_no_image_is_said(page, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no image")
    with browser.served(page) as address, browser.chromium() as driver:
        driver.get(address)
        browser.wait_for_state(driver, "ready", "error")
        driver.find_element("id", "file").send_keys(str(tmp_path / "no.png"))
        assert browser.wait_for_state(driver, "done", "error") == "error"
        status = driver.find_element("id", "status").text
    assert status == "This is no image that the browser can read."


def test_the_graph_gives_the_rollout(model, page):
    import onnxruntime

    session = onnxruntime.InferenceSession(page / "model.onnx")
    image = Image.fromarray(load_sample_image("china.jpg")).resize((96, 64))
    pixels = np.asarray(image)
    [found] = session.run(["rollout"], {"image": pixels[None].astype("float32")})
    np.testing.assert_allclose(found[0], attention_rollout(model, pixels), atol=1e-5)
    assert json.loads((page / "manifest.json").read_text())["rollout"] == [4, 6]


def test_a_model_that_names_nothing(tmp_path):
    model = tiny.build(include_top=False, pooling="avg")
    with pytest.raises(ValueError, match="'web' shows probabilities of pixels"):
        keras_t2t.export_model(model, tmp_path / "page", "web")
    assert not list(tmp_path.iterdir())


def test_another_folder_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="holds no format='web' and is not replaced"):
        keras_t2t.export_model(tiny.build(), tmp_path / "mine", "web", overwrite=True)
