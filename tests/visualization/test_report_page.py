"""The report in a browser: nothing fails, nothing is fetched, nothing is too wide."""

import pytest

from keras_t2t.classifier import Classifier
from keras_t2t.visualization import study
from tests.export import browser

pytestmark = [pytest.mark.nightly, browser.needs_chromium]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    from PIL import Image
    from sklearn.datasets import load_sample_image

    folder = tmp_path_factory.mktemp("report")
    Image.fromarray(load_sample_image("flower.jpg")).save(folder / "flower.jpg")
    names = [f"class {i}" for i in range(1000)]
    network = Classifier("random", "T2TViT7", (64, 64), 1000, names)
    study([network], folder / "flower.jpg", folder / "out", channels=4)
    return folder / "out"


@pytest.mark.parametrize("window", [{"width": 1200}, {"width": 375, "dark": True}])
def test_report(report, window):
    with browser.opened(report, page="report.html", height=800, **window) as page:
        assert page.title
        broken = page.execute_script(
            "return [...document.images].filter(image => !image.naturalWidth).length"
        )
        assert broken == 0
        assert not browser.overflows(page)
        assert browser.complaints(page) == []
