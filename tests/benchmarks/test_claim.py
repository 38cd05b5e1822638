"""The study of the paper's claim from its runs to its figure, at toy size."""

import functools
import io
import json
import re
import shutil
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from benchmarks import (
    claim,
    claim_designs,
    claim_report,
    claim_runs,
    claim_training,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(monkeypatch):
    """Two small designs and 80 images; everything else is the study's."""
    t2t, patch16 = (
        claim_designs.DESIGNS[name]._replace(embed_dim=16, depth=1, num_heads=2)
        for name in ("t2t", "patch16")
    )
    designs = {"t2t": t2t, "patch16": patch16._replace(most_images=64)}
    for module in (claim, claim_designs, claim_report, claim_runs, claim_training):
        monkeypatch.setattr(module, "DESIGNS", designs)
    monkeypatch.setattr(claim_runs, "IMAGES", (64, 80))
    monkeypatch.setattr(claim_runs, "SEARCH_IMAGES", 72)
    monkeypatch.setattr(claim_runs, "SEEDS", (0, 1))
    monkeypatch.setattr(claim_runs, "RATES", (1e-3,))
    monkeypatch.setattr(claim_training, "LOOKED_AT", 1)
    monkeypatch.setattr(claim_runs.Run.__new__, "__defaults__", (False, 2))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (90, 64, 64, 3), dtype="uint8")
    labels = random.integers(0, 10, 90)
    return claim_training.Data(images[:80], labels[:80], images[80:], labels[80:])


@pytest.mark.nightly
def test_from_runs_to_the_report(data, tmp_path, capsys):
    assert not claim.work(tmp_path, data, end=0)
    assert "stopped; 2 runs are left" in capsys.readouterr().out  # the searches
    with claim.held(tmp_path / "search/t2t/rate-0.001") as free:
        assert free
        with claim.held(tmp_path / "search/t2t/rate-0.001") as again:
            assert not again
    assert claim.work(tmp_path, data, end=time.monotonic() + 1000)
    results = sorted(tmp_path.rglob("result.json"))
    # two searches; two seeds of two designs at 64 images, of one at 80
    assert len(results) == 2 + 2 * 2 + 2
    shutil.copytree(
        ROOT / "benchmarks/claim/accelerator", tmp_path / "accelerator"
    )  # which `claim_accelerator.py` adds
    claim.print_plan(tmp_path)
    assert "0 of 8 runs are left" in capsys.readouterr().out
    before = [path.stat().st_mtime_ns for path in results]
    assert claim.work(tmp_path, data, end=time.monotonic() + 1000)
    assert [path.stat().st_mtime_ns for path in results] == before

    # A final run of another rate than the search's is trained again.
    path = tmp_path / "64/patch16/seed-1/result.json"
    path.write_text(path.read_text().replace('"rate": 0.001', '"rate": 0.002'))
    assert [run.name for run in claim_runs.missing(tmp_path)] == ["64/patch16/seed-1"]
    assert claim.work(tmp_path, data, end=time.monotonic() + 1000)

    written = claim_report.write_report(tmp_path)
    assert [path.name for path in written] == ["claim.csv", "claim.md", "claim.png"]
    text = written[1].read_text()
    # Three rows, three stages; a row and three stages of the accelerator's.
    assert text.count("plain patches of 16 px") == 6 + 4
    top1 = [
        json.loads((tmp_path / f"64/patch16/seed-{seed}/result.json").read_text())
        for seed in (0, 1)
    ]
    mean = 50 * sum(run["top1"] for run in top1)
    (row,) = (line for line in text.splitlines() if "px | 0." in line)
    assert f" M | {mean:.1f} ± " in row
    assert row.endswith(" |  |")  # nothing at 80 images
    found = json.loads((tmp_path / "search/t2t/rate-0.001/result.json").read_text())
    assert f"| T2T tokens, deep and narrow | **{100 * found['top1']:.1f}** |" in text


@pytest.mark.nightly
def test_a_stopped_run_goes_on_as_if_it_had_not(data, tmp_path):
    run = claim_runs.Run("t2t", 64, 0, 1e-3)
    whole = claim_training.train(run, data, tmp_path / "whole")
    assert claim_training.train(run, data, tmp_path / "two", end=0) is None
    assert not (tmp_path / "two/result.json").exists()
    two = claim_training.train(run, data, tmp_path / "two")
    assert len(two["loss"]) == 2
    for name in ("loss", "training_top1", "top1"):
        assert two[name] == pytest.approx(whole[name], rel=1e-4), name
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["result.json"]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch's compiler")
@pytest.mark.nightly
def test_a_fused_run_has_the_losses_of_a_plain_one(data, tmp_path, monkeypatch):
    run = claim_runs.Run("t2t", 64, 0, 1e-3)
    plain = claim_training.train(run, data, tmp_path / "plain")
    eager = functools.partial(claim_training.fuse_forward_pass, backend="eager")
    monkeypatch.setattr(claim_training, "fuse_forward_pass", eager)
    fused = claim_training.train(run, data, tmp_path / "fused", fuse=True)
    assert fused["fused"]
    for name in ("loss", "training_top1", "top1"):
        assert fused[name] == pytest.approx(plain[name], rel=1e-4), name


def test_the_search_sees_no_test_image(data):
    run = claim_runs.Run("t2t", 72, 0, 1e-3, search=True)
    (training, _), (held_out, _) = claim_training.split(data, run)
    assert (len(training), len(held_out)) == (72, 8)
    np.testing.assert_array_equal(np.concatenate([training, held_out]), data.images)
    (training, _), (test, _) = claim_training.split(data, run._replace(search=False))
    assert len(training) == 72
    np.testing.assert_array_equal(test, data.test_images)


def test_augmentation_flips_and_moves(data):
    image = np.arange(64 * 64, dtype="uint8").reshape(64, 64, 1).repeat(3, axis=-1)
    batches = claim_training.Augmented(image[None].repeat(64, 0), np.zeros(64, int), 0)
    (first, _), (same, _) = batches[0], batches[0]
    np.testing.assert_array_equal(first, same)
    black = claim_training.standardised(np.zeros((1, 1, 3), "uint8"))[0, 0, 0]
    borders = {
        (bool((x[0] == black).all()), bool((x[-1] == black).all()))
        for x in first[..., 0]
    }
    assert {(True, False), (False, True)} <= borders
    batches.epoch = 1
    assert (batches[0][0] != first).any()


def test_the_report_kept_is_that_of_the_runs_kept(tmp_path):
    kept = ROOT / "benchmarks/claim"
    for path in kept.rglob("result.json"):
        copied = tmp_path / path.relative_to(kept)
        copied.parent.mkdir(parents=True)
        shutil.copy(path, copied)
    assert not claim_runs.missing(tmp_path)
    table, text, _ = claim_report.write_report(tmp_path)
    assert (kept / "claim.csv").read_bytes() == table.read_bytes()
    assert (kept / "claim.md").read_text() == text.read_text()
    page = (ROOT / "docs/claim.md").read_text()
    for table in re.split(r"\n\n", text.read_text()):
        assert table.strip() in page


def test_intervals_are_student_s():
    assert claim_report.mean_and_interval([1.0, 2.0, 3.0]) == (
        2.0,
        pytest.approx(4.303 / 3**0.5),
    )


def test_cost_and_what_is_not_matched():
    costs = claim_designs.costs()
    assert costs["t2t"].misses == costs["wide"].misses == ""
    assert all(abs(cost.macs_over) <= 0.05 for cost in costs.values())


def test_cifar10_is_read_as_the_hub_lays_it_out(tmp_path):
    import pyarrow
    import pyarrow.parquet

    def png(value):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (value, 0, 0)).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    for part, first in (("train", 10), ("test", 200)):
        table = pyarrow.table(
            {"img": [png(first + i) for i in range(3)], "label": [3, 1, 2]}
        )
        pyarrow.parquet.write_table(table, tmp_path / f"{part}-00000-of-00001.parquet")
    data = claim_training.read_cifar10(tmp_path, train=2, test=3)
    assert data.images.shape == (2, 64, 64, 3)
    assert (data.test_images[2] == (202, 0, 0)).all()
    assert data.labels.tolist() == [3, 1]
