"""The comparison of ways to fine-tune, without training."""

from pathlib import Path

import pytest

from benchmarks import fine_tuning
from benchmarks.runs import Ended

PRINTED = """\
training the head: 1,234 weights
{"images_per_second": 7.0, "val_top1": 0.5}
"""


@pytest.mark.parametrize("size", [(), ("--image-size", "64")])
def test_images_have_the_size_of_the_weights_unless_given(size, monkeypatch, capsys):
    asked = []

    def run(script, *flags):
        asked.append(flags)
        out = Path(flags[-1])
        out.mkdir()
        for _, file in fine_tuning.WAYS.values():
            (out / file).write_bytes(bytes(10_000))
        return Ended(0, False, 1.0, 2_000_000_000, PRINTED)

    monkeypatch.setattr(fine_tuning, "run", run)
    flags = ["photographs", "--weights", "runs/before", "--ways", "linear probe"]
    monkeypatch.setattr("sys.argv", ["fine_tuning.py", *flags, *size])
    fine_tuning.main()
    ((photographs, *others, probe, _, _),) = asked
    assert (photographs, probe) == ("photographs", "--linear-probe")
    assert ("--image-size" in others) == bool(size)
    assert all(flag in others for flag in size)
    row = "| linear probe | 1,234 | 2.00 | 7 | `final.keras`, 0.01 | 50.0% |\n"
    assert capsys.readouterr().out.endswith(row)
