"""The study of the paper's claim: its page holds to its results."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from benchmarks import claim, claim_accelerator

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
    for table in (*claim.tables(RESULTS), *claim_accelerator.tables(RESULTS)):
        assert table in page
    assert "benchmarks/claim.png" in page


def test_the_figure_is_drawn_from_the_results():
    left, right = claim.figure(RESULTS).axes
    assert len(left.lines) == 3 and len(right.containers) == len(claim.DESIGNS)
    shown = right.containers[0].lines[0].get_ydata().astype(float)
    np.testing.assert_allclose(shown, [43.91, 53.06, 60.56], atol=0.01)
    assert (ROOT / "benchmarks/claim.png").stat().st_size > 50_000


def test_a_final_run_has_the_rate_that_its_search_chose():
    others = [row for row in RESULTS if row["design"] != "t2t" or not row["search"]]
    searches = [row for row in RESULTS if row not in others]
    assert len(claim.missing(others)) == 3  # and no final one yet
    worst = [{**row, "top1": 1 - row["top1"]} for row in searches]
    again = {(run.images, run.rate) for run in claim.missing([*others, *worst])}
    assert again == {(images, 1e-3) for images in claim.IMAGES}


def test_designs_cost_the_same_to_5_percent():
    rows = claim.tables(RESULTS)[0].splitlines()[2:]
    macs = [float(row.split("|")[3].removesuffix(" M ")) for row in rows]
    assert max(macs) <= 1.05 * macs[0] and min(macs) >= 0.95 * macs[0]


def test_the_search_sees_no_test_image():
    data, run = random_data(), claim.Run("t2t", 72, 0, 1e-3, search=True)
    (training, _), (held_out, _) = claim.split(data, run)
    assert (len(training), len(held_out)) == (72, 8)
    np.testing.assert_array_equal(np.concatenate([training, held_out]), data.images)
    (training, _), (test, _) = claim.split(data, run._replace(search=False))
    assert len(training) == 72
    np.testing.assert_array_equal(test, data.test_images)


def test_augmentation_flips_and_moves():
    image = np.arange(64 * 64, dtype="uint8").reshape(64, 64, 1).repeat(3, axis=-1)
    batches = claim.Augmented(image[None].repeat(64, 0), np.zeros(64, int), 0)
    (first, _), (same, _) = batches[0], batches[0]
    np.testing.assert_array_equal(first, same)
    black = claim.standardised(np.zeros((1, 1, 3), "uint8"))[0, 0, 0]
    borders = {
        (bool((x[0] == black).all()), bool((x[-1] == black).all()))
        for x in first[..., 0]
    }
    assert {(True, False), (False, True)} <= borders
    batches.on_epoch_end()
    assert (batches[0][0] != first).any()


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
    data = claim.read_cifar10(tmp_path, train=2, test=3)
    assert data.images.shape == (2, 64, 64, 3)
    assert (data.test_images[2] == (202, 0, 0)).all()
    assert data.labels.tolist() == [3, 1]


@pytest.mark.nightly
def test_a_run_and_its_row(tmp_path, monkeypatch):
    small = claim.DESIGNS["t2t"]._replace(embed_dim=16, depth=1, num_heads=2)
    monkeypatch.setitem(claim.DESIGNS, "t2t", small)
    monkeypatch.setattr(claim, "LOOKED_AT", 1)
    run, path = claim.Run("t2t", 64, 0, 1e-3), tmp_path / "claim.csv"
    row = claim.train(run, random_data(), epochs=2)
    claim.append_result(path, row)
    claim.append_result(path, claim.train(run, random_data(), epochs=2))
    first, second = claim.read_results(path)
    assert claim.Run(*map(first.get, claim.Run._fields)) == run
    assert first["loss"] == row["loss"] == second["loss"]
    assert first["top1"] == row["top1"] and len(first["training_top1"]) == 2
    assert first["stages"][0] == "tokens_1" and first["redundancy"][0] > 0
    keras.backend.clear_session()
