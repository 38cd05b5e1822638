"""The numbers over the depth: their formulas, and their means over images."""

import csv

import numpy as np
import pytest

from benchmarks.data_layouts import write_parquet
from keras_t2t import visualization
from keras_t2t.layers import MultiHeadSelfAttention
from keras_t2t.visualization import statistics
from tests.photographs import encode
from tests.visualization import small_models
from tests.visualization.small_models import PHOTOGRAPH


def test_redundancy():
    random = np.random.default_rng(0)
    noise = random.normal(size=(30, 40, 16))
    redundancy = visualization.channel_redundancy(noise)
    expected = statistics.redundancy_of_noise(30, 40)
    np.testing.assert_allclose(redundancy, expected, rtol=0.2)
    one = noise[..., :1]
    copies = np.concatenate([one, -3 * one, one + 7], axis=-1)
    np.testing.assert_allclose(visualization.channel_redundancy(copies), 1, rtol=1e-6)
    three = noise[..., :3]
    corners = np.abs(np.corrcoef(three.reshape(-1, 3).T))[np.triu_indices(3, 1)]
    # Constants have no correlation, even if they are large and rounded.
    constants = np.concatenate([three, np.full((30, 40, 2), 1e4 / 3)], axis=-1)
    for features in (three, constants):
        redundancy = visualization.channel_redundancy(features)
        np.testing.assert_allclose(redundancy, corners.mean(), rtol=1e-4)
    assert np.isnan(visualization.channel_redundancy(constants[..., 2:]))


def test_distance_of_uniform_attention(monkeypatch):
    """Equal weights: the mean distance of all pairs of patches, class token aside."""
    monkeypatch.setattr(statistics, "MAX_PROBABILITIES", 10)  # one query at a time
    layer = MultiHeadSelfAttention(2)
    x = np.random.default_rng(0).normal(size=(1, 1 + 12, 8)).astype("float32")
    layer(x)
    layer.qkv.kernel.assign(np.zeros((8, 24)))
    places = [(16 * row, 8 * column) for row in range(3) for column in range(4)]
    pairs = [np.hypot(a - c, b - d) for a, b in places for c, d in places]
    distance = visualization.mean_attention_distance(layer, x, (3, 4), (16, 8), True)
    np.testing.assert_allclose(distance, [np.mean(pairs)] * 2, rtol=1e-5)


@pytest.mark.nightly_elsewhere
def test_distance_follows_the_attention():
    """Against a double loop over the probabilities, per head."""
    model = small_models.model("performer")
    stages = ["tokens_2", "block_1"]
    token_layer, block = visualization.depth_statistics(model, PHOTOGRAPH, stages)
    maps = visualization.attention_maps(
        model, PHOTOGRAPH, ["tokens_2", "block_1_attention"]
    )
    for row, a, columns, pixels in (
        (token_layer, maps["tokens_2"], 8, 8),
        (block, maps["block_1_attention"][:, 1:, 1:], 4, 16),
    ):
        for head, distance in enumerate(row.attention_distance):
            total = 0.0
            for i, weights in enumerate(a[head]):
                (y, x), others = divmod(i, columns), np.arange(len(weights))
                apart = np.hypot(y - others // columns, x - others % columns)
                total += pixels * (weights * apart).sum() / weights.sum()
            np.testing.assert_allclose(distance, total / len(a[head]), rtol=1e-5)
    assert len(token_layer.attention_distance) == 1
    assert len(block.attention_distance) == 2
    assert np.ptp(block.attention_distance) > 0


def test_means_over_a_folder(tmp_path):
    model = small_models.model("performer")
    halves = [PHOTOGRAPH[:, :320], PHOTOGRAPH[:, 320:]]
    (tmp_path / "class").mkdir()
    files = {"train/x/0": b"not read"}
    for i, half in enumerate(halves):
        files[f"val/x/{i}"] = encode(half, "PNG")
        (tmp_path / "class" / f"{i}.png").write_bytes(files[f"val/x/{i}"])
    (tmp_path / "class" / "Thumbs.db").write_text("no image")
    stages = ["tokens_1", "block_0"]
    mean = visualization.depth_statistics(model, tmp_path, stages)
    parquet = tmp_path.with_name("parquet")
    write_parquet(parquet, files)
    assert visualization.depth_statistics(model, parquet, stages) == mean
    single = [visualization.depth_statistics(model, half, stages) for half in halves]
    for stage, of_both in enumerate(mean):
        first, second = (rows[stage] for rows in single)
        halfway = (first.redundancy + second.redundancy) / 2
        assert of_both.redundancy == pytest.approx(halfway)
        assert of_both.redundancy != pytest.approx(first.redundancy)
        distances = [first.attention_distance, second.attention_distance]
        assert of_both.attention_distance == pytest.approx(np.mean(distances, axis=0))
    (tmp_path / "class" / "z.txt").write_text("no image")
    with pytest.raises(OSError, match=r"z\.txt is no image that can be read"):
        visualization.depth_statistics(model, tmp_path, stages)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no file in"):
        visualization.depth_statistics(model, tmp_path / "empty")


def test_the_table(tmp_path):
    model, resnet = small_models.model("vit"), small_models.resnet50()
    rows = visualization.depth_statistics(model, PHOTOGRAPH)
    visualization.write_statistics(rows, tmp_path / "vit.csv")
    with open(tmp_path / "vit.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [line["stage"] for line in table] == visualization.stage_names(model)
    block = table[1]
    assert [block[name] for name in ("height", "width", "channels")] == ["3", "4", "32"]
    heads = [float(block[f"attention_distance_px_head_{head}"]) for head in range(16)]
    assert heads == pytest.approx(rows[1].attention_distance, rel=1e-5)
    mean = float(block["attention_distance_px"])
    assert mean == pytest.approx(np.mean(heads), rel=1e-5)
    assert table[0]["attention_distance_px"] == ""

    rows = visualization.depth_statistics(resnet, PHOTOGRAPH, ["conv1_relu"])
    visualization.write_statistics(rows, tmp_path / "resnet.csv")
    assert rows[0].attention_distance == ()
    assert rows[0].mean_attention_distance is None
    with pytest.raises(ValueError, match=r"`path` must end in \.csv"):
        visualization.write_statistics(rows, tmp_path / "table.txt")
