"""The converter as its users call it."""

import keras
import numpy as np
import pytest
import torch

from keras_t2t.checkpoints import CheckpointFile
from tests.checkpoints import helpers
from tests.examples.script import failure, run, success


@pytest.fixture(scope="module")
def oracle():
    return helpers.random_oracle("T2TViT7")


@pytest.fixture(scope="module")
def original(oracle, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "7.pth.tar"
    averaged = {name: value + 1 for name, value in oracle.state_dict().items()}
    torch.save(
        {"state_dict": averaged, "state_dict_ema": oracle.state_dict()},
        path,
    )
    return path


@pytest.mark.parametrize("suffix", ["weights.h5", "safetensors"])
def test_the_result_holds_the_same_weights(
    suffix, original, oracle, tmp_path, monkeypatch, capsys
):
    output = tmp_path / f"converted.{suffix}"
    arguments = [original, "--output", output]
    out = success("convert_checkpoint.py", arguments, monkeypatch, capsys)
    assert "T2TViT7, 64x64 px, 10 classes" in out
    helpers.assert_holds(helpers.build("T2TViT7", weights=output), oracle)


@pytest.mark.nightly
def test_another_size_and_the_raw_weights(original, oracle, tmp_path):
    output = tmp_path / "wide.keras"
    done = run(
        "convert_checkpoint.py",
        *(original, "--output", output, "--image-size", "64x96", "--raw"),
        *("--backend", keras.backend.backend()),
        KERAS_BACKEND="no such backend",  # the flag is stronger
    )
    assert done.returncode == 0, done.stderr
    assert CheckpointFile(output).description() == ("T2TViT7", 10, (4, 6))
    model = helpers.build("T2TViT7", (64, 96), weights=output)
    class_token = model.get_layer("class_token").class_token.numpy()
    np.testing.assert_array_equal(class_token, oracle.cls_token.detach() + 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.pth", None, "`path` must be an existing file"),
        ("x.onnx", b"", "`path` must end in one of"),
        ("x.pth", b"not a checkpoint", "is damaged or no torch file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    name, content, message, tmp_path, monkeypatch, capsys
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    arguments = [tmp_path / name, "--output", tmp_path / "out.keras"]
    code, stderr = failure("convert_checkpoint.py", arguments, monkeypatch, capsys)
    assert code == 2
    (line,) = stderr.splitlines()
    assert line.startswith("convert_checkpoint.py: ") and message in line
    assert not (tmp_path / "out.keras").exists()
