"""`examples/predict.py` as its users call it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import keras_t2t
from keras_t2t.preprocessing import evaluation_transform
from tests.checkpoints import helpers
from tests.examples.script import failure, run, success

NAMES = [f"flower {i}" for i in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photographs, and weights with class names beside them."""
    folder = tmp_path_factory.mktemp("predict")
    for i, image in enumerate(load_sample_images().images):
        Image.fromarray(image).save(folder / f"{i}.jpg")
    torch.save(helpers.random_oracle("T2TViT7").state_dict(), folder / "x.pth")
    (folder / "classes.json").write_text(json.dumps(NAMES))
    return folder


@pytest.mark.every_backend
def test_the_most_probable_classes_are_named(folder, monkeypatch, capsys):
    images = [folder / "0.jpg", folder / "1.jpg"]
    arguments = ["--weights", folder / "x.pth", *images]
    lines = success("predict.py", arguments, monkeypatch, capsys).splitlines()
    assert len(lines) == 12
    model = helpers.build(
        "T2TViT7", weights=folder / "x.pth", classifier_activation="softmax"
    )
    for i, path in enumerate(images):
        pixels = evaluation_transform(path, (64, 64))[None]
        expected = model.predict(keras_t2t.preprocess_input(pixels), verbose=0)[0]
        header, *top = lines[6 * i : 6 * i + 6]
        assert header == str(path)
        assert [line.split(maxsplit=1)[1] for line in top] == [
            NAMES[j] for j in np.argsort(expected)[::-1][:5]
        ]
        assert top[0].split()[0] == f"{expected.max():.2%}"


@pytest.mark.nightly
def test_a_name_of_published_weights(folder, tmp_path):
    """The whole way: cut from a mirror, converted, CIFAR's statistics and names."""
    oracle = helpers.random_oracle("T2TViT14", (224, 224))
    (tmp_path / "mirror").mkdir()
    path = tmp_path / "mirror" / "cifar10_t2t-vit_14_98.3.pth"
    state_dict = {f"module.{k}": v for k, v in oracle.state_dict().items()}
    torch.save({"net": state_dict, "acc": 98.3, "epoch": 59}, path)
    done = run(
        "predict.py",
        *("--weights", "cifar10", "--top", "1", folder / "0.jpg"),
        KERAS_T2T_WEIGHTS=str(path.parent),
        KERAS_HOME=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    pixels = evaluation_transform(folder / "0.jpg", (224, 224), 1.0, "bilinear")
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    x = keras_t2t.preprocess_input(pixels[None], mean, std)
    with torch.no_grad():
        logits = oracle(torch.from_numpy(x).permute(0, 3, 1, 2))
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    probability, best = logits.softmax(-1)[0].max(-1)
    assert f"  {probability.item():6.2%}  {names[best]}" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "gone.pth"], "weights='gone.pth' is no file or run folder"),
        (["--model", "T2TViT15"], "unknown model 'T2TViT15'"),
        (["--model", "T2TViT7", "--weights", "cifar10"], "no weights='cifar10'"),
        (["--weights", "x.pth", "--classes", "few.json"], "list of 10 class names"),
        (["broken.jpg", "--weights", "x.pth"], "cannot identify image file"),
        (["gone.jpg", "--weights", "x.pth"], "there is no file 'gone.jpg'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments, message, folder, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "few.json").write_text('["one"]')
    arguments = ["0.jpg", *arguments]
    code, stderr = failure("predict.py", arguments, monkeypatch, capsys)
    assert code == 2
    (line,) = stderr.splitlines()
    assert line.startswith("predict.py: ") and message in line


@pytest.mark.parametrize("size", ["22x", "0x8", "tall", "1x2x3", "-5"])
def test_a_size_that_is_none(size, monkeypatch, capsys):
    arguments = ["x.png", f"--image-size={size}"]
    code, stderr = failure("predict.py", arguments, monkeypatch, capsys)
    assert code == 2
    told = stderr.splitlines()[-1]
    assert "--image-size: must be PIXELS or HEIGHTxWIDTH, such as 224" in told
    assert told.endswith(f"got {size!r}")
