"""What of two records differs, and how it is shown; what is taken from a record."""

import os

import pytest

from keras_t2t.training import TrainingConfig
from keras_t2t.training.record import check_asked, differences, is_place, resumed_config

pytestmark = pytest.mark.once


def record(data=None, **settings):
    known = {"name": "photos", "training images": 8, "classes": ["cat", "dog"]}
    data = known | (data or {})
    return {"dataset": None, "data_dir": "photos", **settings, "data": data}


def test_a_folder_may_be_renamed_and_moved():
    moved = record({"name": "pets"}, data_dir="/mnt/pets")
    assert differences(moved, record()) == []
    other = record({"name": "cifar100"}, dataset="cifar100")
    [text] = differences(other, record({"name": "cifar10"}, dataset="cifar10"))
    assert text == "data: name: the run has 'cifar10', now 'cifar100'"


ACCENT = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
COMBINED = "cafe\N{COMBINING ACUTE ACCENT}"
CYRILLIC = "c\N{CYRILLIC SMALL LETTER A}t"
NAMES = [f"class {i}" for i in range(200)]


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (["cat", "fox"], ["cat", "dog"], "(number 1): the run has 'dog', now 'fox'"),
        (["cat"], ["cat", "dog"], "data: classes: the run has 2, now 1"),
        ([*NAMES, "x"], [*NAMES, "y"], "(number 200): the run has 'y', now 'x'"),
        ([COMBINED], [ACCENT], r"the run has 'caf\xe9', now 'cafe\u0301'"),
        ([CYRILLIC], ["cat"], r"the run has 'cat', now 'c\u0430t'"),
        (["cat "], ["cat"], "the run has 'cat', now 'cat '"),
        (["1"], [1], "the run has 1, now '1'"),
    ],
)
def test_two_sides_never_look_equal(now, before, text):
    [found] = differences(record({"classes": now}), record({"classes": before}))
    assert found.endswith(text) and found.startswith("data: classes")
    old, new = found.partition("the run has ")[2].split(", now ")
    assert old != new and len(found) < 200


def test_what_another_version_of_keras_records_of_a_part_does_not_count():
    def with_optimizer(**config):
        return record(own={"optimizer": {"class": "Lion", "config": config}})

    assert differences(with_optimizer(rate=1, new=None), with_optimizer(rate=1)) == []
    assert differences(with_optimizer(rate=1), with_optimizer(rate=1, old=2)) == []
    [text] = differences(with_optimizer(rate=2, new=3), with_optimizer(rate=1))
    assert text == "own: optimizer: config: rate: the run has 1, now 2"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        *(("/home/runs/a", None), ("runs/a", None), ("../runs/a/", None)),
        *(("runs/b", "now 'runs/b'"), ("/mnt/runs/a", "now '/mnt/runs/a'")),
    ],
)
def test_a_path_may_be_written_in_another_way(given, told, monkeypatch):
    """And all runs may be elsewhere, on another machine."""
    monkeypatch.setattr(os, "getcwd", lambda: "/home/x")
    recorded = record(weights="/home/runs/a", teacher="ResNet50")
    asked = TrainingConfig(weights=given, teacher="ResNet50")
    if told is None:
        check_asked(asked, recorded, "run")
    else:
        with pytest.raises(ValueError, match=f"weights: .*a', {told}"):
            check_asked(asked, recorded, "run")


def test_a_name_or_another_folder_is_no_recorded_path(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name / "t").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "b")
    assert not is_place("t", str(tmp_path / "a" / "t"))
    assert is_place("t", str(tmp_path / "b" / "t"))
    assert not is_place("imagenet", "/home/runs/imagenet")


def test_a_run_goes_on_reading_as_it_did_unless_told():
    record = {"data_dir": "/photos", "skip_corrupt": True, "reader": "grain"}
    assert resumed_config(TrainingConfig(), record).skip_corrupt
    other = TrainingConfig(data_dir="/other")
    config = resumed_config(other, record)
    assert (config.skip_corrupt, config.reader) == (False, "grain")
    told = TrainingConfig(reader="tensorflow")
    assert resumed_config(told, record).reader == "tensorflow"
    assert resumed_config(other, {"model": "T2TViT7"}).reader is None
