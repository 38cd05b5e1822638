"""What editors and type checkers see of the package."""

import inspect

import pytest

import keras_t2t
from keras_t2t import layers, training, visualization
from tests.processes import python

pytestmark = pytest.mark.once

USER = """
import keras
import keras_t2t

model: keras.Model = keras_t2t.T2TViT14(pooling="avg", include_top=False)
keras_t2t.T2TViT7(weights="imagenet", features=("block_0",))
keras_t2t.T2TViT14(include_tops=False)
keras_t2t.T2TViT14(pooling="max")
keras_t2t.ViTB16(token_dropout=0.1)
keras_t2t.T2TViT(384, 14, 6, 3, token_type="perform")
keras_t2t.export_model(model, "x.onnx", format="onxx")
macs: str = keras_t2t.count_macs(model)
"""
ERRORS = {
    7: 'Unexpected keyword argument "include_tops"',
    8: 'Argument "pooling" to "__call__" of "NamedT2TViT" has incompatible type',
    9: 'Unexpected keyword argument "token_dropout"',
    10: 'Argument "token_type" to "T2TViT" has incompatible type',
    11: 'Argument "format" to "export_model" has incompatible type',
    12: "Incompatible types in assignment",
}


@pytest.mark.nightly
def test_a_checker_knows_what_users_write(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    # Another folder's settings, and what is installed, do not count.
    checked = python(
        *("-m", "mypy", "--config-file=", "--cache-dir=cache", "user.py"),
        *("--ignore-missing-imports", "--follow-imports=silent"),
        **{"cwd": tmp_path, "MYPYPATH": keras_t2t.__path__[0] + "/.."},
    )
    found = {}
    for line in checked.stdout.splitlines():
        if line.startswith("user.py:") and " error: " in line:
            place, _, message = line.partition(" error: ")
            found[int(place.split(":")[1])] = message
    assert sorted(found) == sorted(ERRORS), checked.stdout + checked.stderr
    for number, message in ERRORS.items():
        assert message in found[number]


@pytest.mark.parametrize("room", [keras_t2t, layers, training, visualization])
def test_every_public_function_is_annotated(room):
    for name in room.__all__:
        function = getattr(room, name)
        if inspect.isclass(function):
            own = vars(function).get("__init__")
            if own is None or issubclass(function, tuple):
                continue  # a row, whose columns are annotated, or the parent's
            function = own
        signature = inspect.signature(function)
        told = {name: p.annotation for name, p in signature.parameters.items()}
        told |= {"self": None, "return": signature.return_annotation}
        missing = [part for part, kind in told.items() if kind is signature.empty]
        assert not missing, f"{name}: {missing}"
