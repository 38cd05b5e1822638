"""Runs compared in one figure: the numbers of their history, on the right axes."""

import json

import numpy as np
import pytest

from keras_t2t.visualization.figures import save_figure
from keras_t2t.visualization.runs import read_history, runs_figure


@pytest.fixture
def runs(tmp_path):
    """Two run folders; the second has no averaged weights and an epoch less."""
    for i, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir()
        config = {"model": "T2TViT7", "backend": "torch"}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        history = "epoch,loss,val_loss,val_top1,images_per_second"
        history += ",val_top1_ema" * (i == 0)
        others = history.count(",")
        for epoch in range(3 - i):
            history += f"\n{epoch + 1}" + f",{epoch + 10 * i}" * others
        (tmp_path / name / "history.csv").write_text(history)
    return [tmp_path / "first", tmp_path / "second"]


def test_every_run_is_drawn(runs):
    label, history = read_history(runs[0])
    assert label == "first (T2TViT7, torch)"
    assert [row["epoch"] for row in history] == [1, 2, 3]
    figure = runs_figure(runs)
    loss, top1, speed = figure.axes
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["loss", "top-1", "images per second"]
    drawn = [line.get_xydata().tolist() for line in top1.lines]
    first = [[1, 0], [2, 1], [3, 2]]
    assert drawn == [first, first, [[1, 10], [2, 11]]]  # the average, too, of the first
    assert [line.get_linestyle() for line in top1.lines] == ["-", "--", "-"]
    assert len(loss.lines) == 4
    colours = [line.get_color() for line in speed.lines]
    assert colours[0] == top1.lines[0].get_color() != colours[1]
    np.testing.assert_allclose(speed.lines[1].get_ydata(), [10, 11])
    record = {"model": None, "backend": "torch", "own": {"model": {"function": "mine"}}}
    (runs[0] / "config.json").write_text(json.dumps(record))
    assert read_history(runs[0])[0] == "first (mine, torch)"  # of a custom model


def test_runs_of_one_name_are_told_apart(runs, tmp_path):
    for run, name in zip(runs, "ab", strict=True):
        (tmp_path / name).mkdir()
        run.rename(tmp_path / name / "run")
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    for given, names in ((folders, ["a/run", "b/run"]), (folders[:1] * 2, ["run"] * 2)):
        [legend] = runs_figure(given).legends
        texts = [text.get_text().strip() for text in legend.get_texts()]
        assert texts == [f"{name} (T2TViT7, torch)" for name in names]


def test_names_are_no_formulas(runs, tmp_path):
    """Nor left out, as matplotlib does with what begins with an underscore."""
    odd = runs[0].rename(tmp_path / "_$a^$")
    figure = runs_figure([odd, runs[1]], "cost in $ and $^")
    save_figure(figure, tmp_path / "runs.png")
    [legend] = figure.legends
    texts = [text.get_text().strip() for text in legend.get_texts()]
    assert texts == ["_$a^$ (T2TViT7, torch)", "second (T2TViT7, torch)"]


def test_bad_folders(runs):
    with pytest.raises(ValueError, match="must be 1 to 6 run folders, got 0"):
        runs_figure([])
    for rows, told in (
        ("1,high\n", "is damaged: .*'high'"),
        (f"1,{'2' * 200_000}\n", "is damaged: field larger"),
        ("", "has no epoch"),
    ):
        (runs[0] / "history.csv").write_text(f"epoch,loss\n{rows}")
        with pytest.raises(ValueError, match=rf"history\.csv {told}"):
            runs_figure(runs)
