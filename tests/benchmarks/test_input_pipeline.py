"""The comparison of readers, without reading: what it writes, and where."""

import argparse
import itertools

from benchmarks import input_pipeline


def test_photographs_of_ones_own_stay_as_they_are(tmp_path, monkeypatch, capsys):
    own, work = tmp_path / "photographs", tmp_path / "work"
    files = {f"{split}/cat/1.jpg": b"a photograph" for split in ("train", "val")}
    input_pipeline.WRITERS["folders"](own, files)
    opened = []

    def batches(name, folder, *arguments):
        opened.append(folder)
        return itertools.repeat(([0] * 32,))

    monkeypatch.setattr(input_pipeline, "reader_batches", batches)
    monkeypatch.setattr(input_pipeline, "processor_rate", lambda stream, images: 1.0)
    monkeypatch.setattr(input_pipeline.importlib.util, "find_spec", lambda name: None)
    asked = {"data_dir": own, "readers": ["grain"], "images": 2, "repeats": 1}
    asked = argparse.Namespace(**asked)
    assert input_pipeline.measure(work, asked)
    assert input_pipeline.read_folder(own) == files
    assert opened and all(folder.is_relative_to(work) for folder in opened)
    assert f"| {own} | full recipe | 1 (1 to 1) |  |" in capsys.readouterr().out
