"""The page in a browser: its probabilities are Python's, and it needs nobody else."""

import itertools
import json
import os
import shutil
import struct
import threading
import zlib

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from sklearn.datasets import load_sample_image

import keras_t2t
from keras_t2t.preprocessing import evaluation_transform, resize_and_crop
from tests.export import browser, tiny
from tests.photographs import ORIENTATIONS, oriented

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


def probabilities(model, path, **settings):
    pixels = evaluation_transform(path, (64, 96), 0.8, "bilinear", **settings)
    return softmax(tiny.logits_of(model, pixels[None])[0])


def test_a_phone_waits_for_the_model_and_shows_pythons_answer(model, page, files):
    """Which is seen without scrolling."""
    waited = threading.Event()

    class Slow(browser.Quiet):
        def do_GET(self):
            if ".onnx" in self.path:
                waited.wait(browser.SECONDS)
            super().do_GET()

    with browser.opened(page, Slow, width=390, height=660) as driver:
        driver.find_element("id", "file").send_keys(str(files / "flower.png"))
        browser.wait_for_state(driver, "working")
        said = driver.find_element("id", "status").text
        waited.set()
        found = result(driver)
        best = driver.find_element("id", "best").text
        rows = driver.find_elements("css selector", "#classes li")
        classes = driver.find_element("id", "classes").rect
        assert browser.complaints(driver) == []
    assert said == "Waiting for the model …"
    expected = probabilities(model, files / "flower.png")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert best.startswith(NAMES[int(np.argmax(expected))] + ", ")
    assert len(rows) == 5
    assert classes["y"] + classes["height"] <= 660


@pytest.mark.parametrize("turns", [True, False])
def test_a_photograph_lies_as_in_training(model, page, tmp_path, turns):
    """Another manifest is all that differs between the two pages."""
    folder = shutil.copytree(page, tmp_path / "page")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["exif_orientation"]
    told = json.dumps(manifest | {"exif_orientation": turns})
    (folder / "manifest.json").write_text(told)
    found = {}
    with browser.opened(folder) as driver:
        # Browsers turn a JPEG and a PNG by themselves, and a WebP never.
        for number, format in itertools.product(ORIENTATIONS, ("JPEG", "PNG", "WEBP")):
            path = tmp_path / f"{number}.{format.lower()}"
            path.write_bytes(oriented(number, format, size=(640, 427), quality=90))
            found[path] = answer(driver, path)
    for path, value in found.items():
        expected = probabilities(model, path, exif_orientation=turns)
        tolerance = 1e-5 if path.suffix == ".png" else 1e-2
        np.testing.assert_allclose(value, expected, atol=tolerance, err_msg=path.name)
    sideways = probabilities(model, tmp_path / "6.png", exif_orientation=not turns)
    assert np.abs(found[tmp_path / "6.png"] - sideways).max() > 0.03


def test_of_photographs_at_once_the_last_is_answered(model, page, files):
    """Even on WebGPU, where ONNX Runtime does one at a time."""
    names = ("grey ramp.png", "one pixel.png", "flower.png")
    with browser.opened(page, gpu=True) as driver:
        browser.wait_for_state(driver, "ready", "error")
        assert driver.find_element("id", "status").text.endswith(" on WebGPU.")
        driver.refresh()
        browser.wait_until(driver, "return !document.getElementById('open').disabled")
        for name in names:  # while the model is loaded
            driver.find_element("id", "file").send_keys(str(files / name))
        found = result(driver)
    expected = probabilities(model, files / names[-1])
    np.testing.assert_allclose(found, expected, atol=1e-5)


STREAMS = """
const devices = navigator.mediaDevices;
const open = devices.getUserMedia.bind(devices);
window.streams = [];
devices.getUserMedia = async (wanted) => {
  window.streams.push(await open(wanted));
  return window.streams.at(-1);
};
"""
LIVE = "window.streams.filter((stream) => stream.active).length"
PLAYS = "document.getElementById('video').readyState >= 2"


def test_phone_keyboard_and_camera(page):
    """Whose earlier streams end, after any number of taps."""
    with browser.opened(page, width=375, height=700, dark=True) as driver:
        browser.wait_for_state(driver, "ready", "error")
        driver.execute_script(STREAMS)
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
        tap = "document.getElementById('camera').click();"
        for taps, streams in ((tap, 2), (2 * tap, 4)):
            driver.execute_script(taps)
            playing = f"window.streams.length === {streams} && {LIVE} === 1 && {PLAYS}"
            browser.wait_until(driver, f"return {playing}")
        browser.wait_until(driver, "return !document.getElementById('live').hidden")
        driver.find_element("id", "stop").click()
        assert driver.execute_script(f"return {LIVE}") == 0
        assert not driver.find_element("id", "live").is_displayed()
        assert browser.complaints(driver) == []


# === Any photograph: Python's answer, or a sentence ===
def png_of_16_bits(pixels, path):
    """Pillow writes none of more than one channel."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of many kinds, with colours beneath what is transparent."""
    folder = tmp_path_factory.mktemp("files")
    flower = Image.fromarray(load_sample_image("flower.jpg"))
    rows, columns = np.mgrid[: flower.height, : flower.width]
    ramp = Image.fromarray((columns * 255 // flower.width).astype("uint8"))
    holes = np.where((rows // 40 + columns // 40) % 2, 0, 255).astype("uint8")
    clear, grey = flower.copy(), flower.convert("L")
    clear.putalpha(Image.fromarray(holes))
    grey.putalpha(ramp)
    mirrored = flower.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    palette, dots = flower.quantize(64), np.random.default_rng(0)
    animated = {"save_all": True, "append_images": [mirrored], "duration": 50}
    strip = Image.fromarray(dots.integers(0, 256, (20_000, 1, 3), "uint8"))
    wide = Image.fromarray(dots.integers(0, 256, (40, 100_000, 3), "uint8"))
    fine = 257 * np.asarray(clear).astype("uint16")
    png_of_16_bits(fine, folder / "16 bits, holes.png")
    png_of_16_bits(fine[..., :3], folder / "16 bits.png")
    for name, image, options in [
        ("flower.png", flower, {}),
        ("holes.png", clear, {}),
        ("grey ramp.png", grey, {}),
        ("palette.png", palette, {"transparency": bytes([0, 128, 60] * 21)}),
        ("one colour.png", flower, {"transparency": flower.getpixel((320, 200))}),
        ("lossless.webp", clear, {"lossless": True, "exact": True}),
        ("animated.gif", palette, animated),
        ("animated.webp", flower, {**animated, "lossless": True}),
        ("animated.png", flower, animated),
        ("one pixel.png", Image.new("RGB", (1, 1), (200, 30, 90)), {}),
        ("high.png", strip, {}),
        ("flat.png", strip.transpose(Image.Transpose.ROTATE_90), {}),
        ("wider than any canvas.png", wide, {}),
        ("black and white.png", flower.convert("1"), {}),
        ("cmyk.jpg", flower.convert("CMYK"), {"quality": 95}),
        ("transparent.gif", palette, {"transparency": 5}),
        ("apart.png", flower, {**animated, "default_image": True}),
        ("covers a part.gif", palette.resize((96, 64)), {}),
        ("cut.gif", palette, {}),
        ("cut.png", flower, {}),
        ("cut.jpg", flower, {}),
    ]:
        image.save(folder / name, **options)
    for path in folder.glob("cut.*"):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    content = bytearray((folder / "covers a part.gif").read_bytes())
    content[6:10] = struct.pack("<HH", 128, 96)
    (folder / "covers a part.gif").write_bytes(content)
    (folder / "no.png").write_bytes(b"no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "drawing.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
    )
    return folder


NO_IMAGE = "This is no image that the browser can read."
CUT = "This file is cut off: its end is missing."
SENTENCES = {
    **dict.fromkeys(("no.png", "empty.png", "drawing.svg"), NO_IMAGE),
    **dict.fromkeys(("cut.png", "cut.jpg", "cut.gif"), CUT),
    "covers a part.gif": "The first frame of this GIF covers only part of it. Save it "
    "as a PNG.",
}


def answer(driver, path):
    """What the page shows for a file."""
    driver.execute_script("document.documentElement.dataset.state = ''")
    driver.find_element("id", "file").send_keys(str(path))
    return result(driver)


def result(driver):
    """What the page shows in the end: a list of probabilities, or a sentence."""
    if browser.wait_for_state(driver, "done", "error") == "done":
        return driver.execute_script("return [...window.probabilities]")
    assert not driver.find_element("id", "result").is_displayed()
    return driver.find_element("id", "status").text


def test_any_file_has_pythons_answer_or_a_sentence(model, page, files):
    with browser.opened(page) as driver:
        # In this order a sentence comes after an answer, which it takes the place of.
        found = {path.name: answer(driver, path) for path in sorted(files.iterdir())}
        assert browser.complaints(driver) == []
    assert {k: v for k, v in found.items() if isinstance(v, str)} == SENTENCES
    for name in sorted(found.keys() - SENTENCES):
        expected = probabilities(model, files / name)
        # The same pixels; of a JPEG, and in Python of long images, to a grey level.
        exact = name not in ("cmyk.jpg", "flat.png", "high.png")
        tolerance = 1e-5 if exact else 1e-2
        np.testing.assert_allclose(
            found[name], expected, atol=tolerance, rtol=0, err_msg=name
        )


def test_a_photograph_larger_than_any_canvas(model, page, tmp_path):
    rows, columns = np.ogrid[:16_500, :16_500]
    large = Image.fromarray(((rows // 64 + columns // 90) % 256).astype("uint8"))
    seen = np.asarray(resize_and_crop(large, (64, 96), 0.8, Image.Resampling.BILINEAR))
    path = tmp_path / "large.png"
    large.save(path, compress_level=1)
    with browser.opened(page) as driver:
        found = answer(driver, path)
    pixels = np.repeat(seen[None, ..., None], 3, -1)
    expected = softmax(tiny.logits_of(model, pixels)[0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Browsers that hold no whole photograph: they raise, or give nothing.
WITHOUT_WHOLE = """
const complete = self.createImageBitmap;
self.createImageBitmap = async (source, ...options) => {
  const bitmap = await complete(source, ...options);
  if (%s) return bitmap;
  %s
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d");
  return canvas.transferToImageBitmap();
};
"""
SHRUNK = "options[0]?.resizeWidth || !(source instanceof Blob)"


@pytest.mark.parametrize("raises", ["", "throw new Error('out of memory');"])
def test_a_photograph_is_shrunk_where_need_be(model, page, files, tmp_path, raises):
    path = tmp_path / "large.png"
    Image.open(files / "flower.png").resize((5000, 3336)).save(path)
    folder = changed(page, tmp_path, "decode.js", WITHOUT_WHOLE % (SHRUNK, raises))
    with browser.opened(folder) as driver:
        found, no_image = answer(driver, path), answer(driver, files / "no.png")
    # Resized twice: a grey level here and there.
    np.testing.assert_allclose(found, probabilities(model, path), atol=1e-2)
    assert no_image == NO_IMAGE


WITHOUT_PIXELS = WITHOUT_WHOLE % ("!(source instanceof Blob)", "")
WITHOUT_WEBGL = """
const complete = OffscreenCanvas.prototype.getContext;
OffscreenCanvas.prototype.getContext = function (kind, ...options) {
  return kind === "webgl" ? null : complete.call(this, kind, ...options);
};
"""
NO_NUMBERS = "Float32Array.from = () => new Float32Array(64 * 96 * 3).fill(NaN);\n"


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("decode.js", WITHOUT_PIXELS, {"cmyk.jpg": "This browser cannot read this"}),
        ("decode.js", WITHOUT_WEBGL, {"palette.png": "[", "holes.png": "This image i"}),
        ("resize.js", NO_NUMBERS, {"flower.png": "That did not work: the model give"}),
    ],
)
def test_a_browser_that_cannot_answer_says_so(page, files, tmp_path, name, code, told):
    with browser.opened(changed(page, tmp_path, name, code)) as driver:
        for picture, begin in told.items():  # [: probabilities
            assert str(answer(driver, files / picture)).startswith(begin)


def changed(page, tmp_path, name, code):
    """A copy of the page in which a file begins with other code."""
    folder = shutil.copytree(page, tmp_path / "changed", copy_function=os.link)
    content = (folder / name).read_text()
    (folder / name).unlink()
    (folder / name).write_text(code + content)
    return folder


# === Nothing leaves the device ===
class Isolated(browser.Quiet):
    """A host that lets ONNX Runtime have threads."""

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


def collecting(seen):
    """A host that notes what it is asked for, and would let all have it."""

    class Other(browser.Quiet):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Other


# What a changed ONNX Runtime may try, in its worker and in a worker of that.
ATTEMPTS = """
const other = "%s";
const failed = (source) => new Promise((done) => { source.onerror = done; });
await Promise.allSettled([
  fetch(other + "worker-fetch"),
  import(other + "worker-import"),
  failed(new WebSocket(other.replace("http", "ws") + "worker-socket")),
  failed(new EventSource(other + "worker-events")),
]);
const nested = new Worker(new URL("other.mjs", import.meta.url), { type: "module" });
await new Promise((done) => { nested.onmessage = done; });
"""
NESTED = """
const other = "%s";
await Promise.allSettled([fetch(other + "nested-fetch"), import(other + "nested")]);
postMessage("tried");
"""
# And in the page.
FETCH = """
const [address, done] = arguments;
fetch(address).then(() => done("fetched"), () => done("refused"));
"""
UNCONTAINED = """
const [done] = arguments;
const worker = new Worker("ort/other.mjs", { type: "module" });
worker.onmessage = () => done("ran");
worker.onerror = () => done("refused");
"""


@pytest.mark.parametrize("handler", [browser.Quiet, Isolated])
def test_other_hosts_are_refused(model, page, files, tmp_path, handler):
    seen = []
    with browser.served(tmp_path, collecting(seen)) as other:
        runtime = "ort/ort.wasm.bundle.min.mjs"
        folder = changed(page, tmp_path, runtime, ATTEMPTS % other)
        (folder / "ort" / "other.mjs").write_text(NESTED % other)
        with browser.opened(folder, handler) as driver:
            found = answer(driver, files / "flower.png")
            fetched = driver.execute_async_script(FETCH, other + "page")
            worker = driver.execute_async_script(UNCONTAINED)
            refused = " ".join(browser.complaints(driver))
    expected = probabilities(model, files / "flower.png")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (fetched, worker) == ("refused", "refused")
    for attempt in ("fetch", "import", "socket", "events"):
        assert f"worker-{attempt}' violates the following Content Security" in refused
    assert seen == []


# === Without an answer ===
def test_opened_from_disk_it_says_what_to_do(page):
    with browser.chromium() as driver:
        driver.get(f"file://{page}/index.html")
        said = driver.find_element("id", "status").text
    assert "opened from disk" in said
    assert "python -m http.server" in said


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("manifest.json", "This page cannot read its manifest.json: "),
        ("app.js", "This page cannot run here: its script app.js does not come"),
        ("contained.js", "This page cannot run here: "),
        ("worker.js", "That did not work: "),
    ],
)
def test_a_page_of_which_a_part_is_missing_says_so(
    page, files, tmp_path, missing, told
):
    """Also when a photograph is chosen then."""
    folder = shutil.copytree(page, tmp_path / "page", copy_function=os.link)
    (folder / missing).unlink()
    with browser.opened(folder) as driver:
        browser.wait_for_state(driver, "error")
        driver.find_element("id", "file").send_keys(str(files / "flower.png"))
        assert driver.find_element("id", "status").text.startswith(told)
