"""The contact sheet shows the first training batch and names its classes."""

import numpy as np
import pytest
from PIL import Image

from keras_t2t import data
from keras_t2t.data import preview


def test_sheet_of_digits_holds_the_first_batch(tmp_path):
    digits = data.open_dataset("digits")
    digits.class_names = 10 * ("a name that is wider than its image",)
    path = tmp_path / "new folder/sheet.png"
    preview.write_contact_sheet(digits, path, 32, 6, 1)
    images, _ = next(iter(digits.train_batches(32, 6, 1)))
    sheet = np.asarray(Image.open(path))
    # 3 columns and 2 rows of tiles; images five times their size, above two lines.
    assert sheet.shape == (2 * (160 + 30), 3 * 164, 3)
    for number, image in enumerate(images):
        top, left = number // 3 * 190, number % 3 * 164
        tile = sheet[top : top + 160, left : left + 160]
        np.testing.assert_array_equal(tile[2::5, 2::5], image)
        label = sheet[top + 160 : top + 173, left : left + 164]
        assert label.min() < 100  # there is text
        assert label[:, 160:].min() == 255  # and it is cut
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]


def test_label_lines():
    names = ("cat", "dog", "owl")
    assert preview.label_lines(np.array([0, 1, 0]), names) == ["dog"]
    assert preview.label_lines(np.array([0.7]), names[:1]) == ["70% cat"]
    assert preview.label_lines(np.array([0.3, 0, 0.7]), names) == ["70% owl", "30% cat"]


def test_bad_path(tmp_path):
    digits = data.open_dataset("digits")
    with pytest.raises(ValueError, match=r"path must end in \.png, got .*sheet.jpg"):
        preview.write_contact_sheet(digits, tmp_path / "sheet.jpg", 32, 6, 1)
    with pytest.raises(ValueError, match="batch_size"):
        preview.write_contact_sheet(digits, tmp_path / "new/sheet.png", 32, 0, 1)
    assert not list(tmp_path.iterdir())
