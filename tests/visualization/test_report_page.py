"""The report in a browser: nothing fails, nothing is fetched, nothing is too wide."""

import pytest
from PIL import Image

from keras_t2t.classifier import Classifier
from keras_t2t.visualization import study
from tests.export import browser
from tests.visualization.small_models import PHOTOGRAPH

pytestmark = [pytest.mark.nightly, browser.needs_chromium]
BROKEN = "return [...document.images].filter(image => !image.naturalWidth).length"


def test_report(tmp_path):
    Image.fromarray(PHOTOGRAPH).save(tmp_path / "x.jpg")
    names = [f"class {i}" for i in range(1000)]
    network = Classifier("random", "T2TViT7", (64, 64), 1000, names)
    study([network], tmp_path / "x.jpg", tmp_path / "out", channels=4)
    for window in ({"width": 1200}, {"width": 375, "dark": True}):
        settings = {"page": "report.html", "height": 800, **window}
        with browser.opened(tmp_path / "out", **settings) as page:
            assert page.title
            assert page.execute_script(BROKEN) == 0
            assert not browser.overflows(page)
            assert browser.complaints(page) == []
