"""float16 and int8 files are smaller, and close to the model on photographs."""

import keras
import pytest

import keras_t2t
from keras_t2t.export.formats import FORMATS
from keras_t2t.export.photographs import photographs
from tests.export import tiny

CASES = [(name, each) for name, row in FORMATS.items() for each in row.precisions]
CASES = [case for case in CASES if "float32" not in case]
# Logits are about 1; 8 bits over two blocks and the token layers.
LARGEST = {"float16": 0.02, "int8": 0.3, "int4": 1.0}


@pytest.mark.nightly
@pytest.mark.parametrize(("format", "precision"), CASES)
def test_a_smaller_file_that_says_nearly_the_same(format, precision, tmp_path):
    keras.utils.set_random_seed(0)
    model = tiny.build(classifier_activation=None)
    suffix = FORMATS[format].suffix
    settings = {"precision": precision, "calibration": photographs(tiny.SIZE)}
    path = tmp_path / f"small{suffix}"
    report = keras_t2t.export_model(model, path, format, **settings)
    found = report.verification
    assert 1e-6 < found.max_difference < LARGEST[precision]
    assert found.images == 4 and found.top1_agreement >= 0.75
