"""The throughput benchmark from its flags to its tables, on one small model."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_t2t
from benchmarks import throughput
from benchmarks.throughput_worker import fuse_forward_pass
from tests.processes import python

SCRIPT = Path(throughput.__file__)
BACKEND = keras.backend.backend()
ROW = re.compile(
    r"^\| (\S+) \| [\d.]+ \(([\d.]+) to ([\d.]+)\) \| ([\d.]*) \| (\d+)%"
    r" \| [\d.]+ \| (\d+) \| (\d*) \|$",
    re.MULTILINE,
)


@pytest.mark.nightly
def test_one_comparison():
    result = python(
        *(SCRIPT, "--models", "T2TViT7", "--modes", "training"),
        *("--implementations", "reference", BACKEND, "torch:remat", "jax:scripts"),
        *("--batch-sizes", "8", "--image-sizes", "32", "--rounds", "2"),
        *("--seconds", "0.01"),
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("**T2TViT7, training, float32, batch 8, 32 px**\n")
    rows = {name: figures for name, *figures in ROW.findall(result.stdout)}
    assert list(rows) == ["reference", BACKEND, "torch:remat", "jax:scripts"]
    assert rows["reference"][2] == "1.00"
    for slowest, fastest, _, share, memory, _ in rows.values():
        assert 0 < float(slowest) <= float(fastest)
        assert int(share) < 100 and int(memory) > 0
    assert all(int(rows[name][-1]) > 0 for name in ("reference", "torch:remat"))


@pytest.mark.skipif(BACKEND != "torch", reason="torch's compiler")
@pytest.mark.nightly
def test_a_fused_forward_pass_has_the_losses_of_a_plain_one():
    model = keras_t2t.T2TViT(16, 1, 2, 2, input_shape=(32, 32, 3), classes=10)
    images = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    weights, losses = model.get_weights(), []
    for fuse in (False, True):
        model.set_weights(weights)
        keras.utils.set_random_seed(0)
        model.compile("sgd", "sparse_categorical_crossentropy")
        if fuse:
            fuse_forward_pass(model, backend="eager", batch_size=8)
        labels = np.arange(8)
        losses.append([model.train_on_batch(images, labels) for _ in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.skipif(BACKEND != "torch", reason="torch's compiler")
def test_a_trace_for_training_holds_attention_that_has_a_gradient(monkeypatch):
    """On a GPU; on a CPU any kernel has one, so which may be chosen is looked at."""
    import torch

    model = keras_t2t.T2TViT(16, 1, 2, 2, input_shape=(32, 32, 3), classes=10)
    functional, allowed = torch.nn.functional, []
    attention = functional.scaled_dot_product_attention

    def watched(*given, **options):
        cuda = torch.backends.cuda
        allowed.append((cuda.cudnn_sdp_enabled(), cuda.mem_efficient_sdp_enabled()))
        return attention(*given, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    fuse_forward_pass(model, backend="eager", batch_size=2)
    assert set(allowed) == {(False, False)}


def test_every_implementation_fails(monkeypatch, capsys):
    def fails(**subject):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(throughput, "Worker", fails)
    monkeypatch.setattr("sys.argv", ["throughput.py", "--implementations", BACKEND])
    with pytest.raises(SystemExit, match="no implementation ran"):
        throughput.main()
    assert f"left out: {BACKEND}: out of memory" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["keras", "jax:fast", "timm", "reference:remat"])
def test_unknown_implementations(name):
    with pytest.raises(ValueError, match=f"implementation .* got '{name}'"):
        throughput.subject(name, "T2TViT7")
