"""The study of the paper's claim: its page holds to its results."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import claim

ROOT = Path(__file__).parents[2]
RESULTS = claim.read_results(claim.RESULTS)


def random_data():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (90, 64, 64, 3), dtype="uint8")
    labels = random.integers(0, 10, 90)
    return claim.Data(images[:80], labels[:80], images[80:], labels[80:])


def test_the_page_holds_to_the_results():
    assert not claim.missing(RESULTS)
    page = (ROOT / "docs/claim.md").read_text(encoding="utf-8")
    for table in (*claim.tables(RESULTS), *claim.tables_of_devices(RESULTS)):
        assert table in page
    assert "benchmarks/claim.png" in page


def test_the_search_sees_no_test_image():
    data, run = random_data(), claim.Run("t2t", 72, 0, 1e-3, search=True)
    (training, _), (held_out, _) = claim.split(data, run)
    assert (len(training), len(held_out)) == (72, 8)
    np.testing.assert_array_equal(np.concatenate([training, held_out]), data.images)
    (training, _), (test, _) = claim.split(data, run._replace(search=False))
    assert len(training) == 72
    np.testing.assert_array_equal(test, data.test_images)


@pytest.mark.nightly
def test_a_run_and_its_row(tmp_path, monkeypatch):
    small = claim.DESIGNS["t2t"]._replace(embed_dim=16, depth=1, num_heads=2)
    monkeypatch.setitem(claim.DESIGNS, "t2t", small)
    monkeypatch.setattr(claim, "LOOKED_AT", 1)
    monkeypatch.setattr(claim, "EPOCHS", 2)
    run, path = claim.Run("t2t", 64, 0, 1e-3), tmp_path / "claim.csv"
    row = claim.train(run, random_data(), claim.trained_by_fit)
    claim.append_result(path, row)
    claim.append_result(path, claim.train(run, random_data(), claim.trained_by_fit))
    first, second = claim.read_results(path)
    assert claim.Run(*map(first.get, claim.Run._fields)) == run
    assert first["loss"] == row["loss"] == second["loss"]
    assert first["top1"] == row["top1"] and len(first["training_top1"]) == 2
    assert first["stages"][0] == "tokens_1" and first["redundancy"][0] > 0
