"""Flags mean the same in every command, each is explained, and none takes Keras."""

import argparse
import dataclasses
import importlib

import pytest

from keras_t2t.cli import finetune
from keras_t2t.cli.dispatch import COMMANDS, parser_of
from keras_t2t.settings.config import TrainingConfig
from tests.examples.small_run import write_run


def parser(name, monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["keras-t2t", name, *map(str, words)])
    command = importlib.import_module(f"keras_t2t.cli.{name}")
    return parser_of(command, f"keras-t2t {name}", {})


def flags(name, monkeypatch):
    """{flag: its action}, of those that help lists."""
    return {
        flag: action
        for action in parser(name, monkeypatch)._actions
        for flag in action.option_strings
        if action.help != argparse.SUPPRESS
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_explained(name, monkeypatch):
    for action in parser(name, monkeypatch)._actions:
        assert action.help and len(action.help) > 8, action


def test_flags_agree_over_all_commands(monkeypatch):
    found = {name: flags(name, monkeypatch) for name in COMMANDS}
    shared = {flag for given in found.values() for flag in given}
    for flag in shared:
        kinds = {
            (type(given[flag]), given[flag].metavar)
            for given in found.values()
            if flag in given
        }
        # A file for some, a folder for others.
        assert len(kinds) == 1 or flag in ("--output", "--weights"), (flag, kinds)
    writing = set(COMMANDS) - {"predict", "evaluate"}
    assert all("--output" in found[name] for name in writing)


@pytest.mark.parametrize("name", ["finetune", "predict", "export", "visualize"])
def test_random_weights_have_two_names(name, monkeypatch):
    read = flags(name, monkeypatch)["--weights"].type
    assert read("none") == read("random") != "none"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("train", "64", 64),
        ("finetune", "64x64", 64),
        ("evaluate", "64x64", 64),
        ("predict", "64x32", (64, 32)),
        ("convert", "64x32", (64, 32)),
    ],
)
def test_a_size_is_written_alike(name, text, value, monkeypatch):
    assert flags(name, monkeypatch)["--image-size"].type(text) == value


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("train", ["--recipe", "modern"], "(default: 2048)"),
        ("train", ["--recipe", "small_set"], "(default: balanced)"),
        ("train", ["--dataset", "digits"], "(default: 64)"),
        ("finetune", [], "(default: small_set)"),
        ("finetune", [], "(default: 0.75)"),  # layer_decay, from weights
        ("train", [], "(default: authors)"),
    ],
)
def test_help_has_the_defaults_of_the_recipe(name, words, said, monkeypatch):
    text = " ".join(parser(name, monkeypatch, *words).format_help().split())
    assert said in text
    titles = ("model", "data", "schedule", "optimizer", "regularization")
    for group in (*titles, "augmentation", "run", "devices"):
        assert f" {group}: --" in text
    assert ("--linear-probe" in text) == (name == "finetune")


def test_a_run_s_configuration_is_taken_over(tmp_path, monkeypatch):
    write_run(
        tmp_path / "run",
        ["a", "b"],
        **{"epochs": 7, "batch_size": 4, "steps_per_epoch": 5, "learning_rate": 0.25},
        **{"data_dir": "/photos", "devices": 2, "output_dir": "x", "seed": 3},
        data={"name": "photos", "training images": 22, "classes": ["a", "b"]},
        versions={"keras_t2t": "0.1.0"},
    )
    words = ["--config", str(tmp_path / "run"), "--epochs", "9"]
    made = parser("train", monkeypatch, *words)
    assert "(default: 0.25)" in " ".join(made.format_help().split())
    given = made.parse_args(words)
    assert (given.epochs, given.learning_rate, given.seed) == (9, 0.25, 3)
    assert (given.model, given.image_size) == ("T2TViT7", 32)
    assert (given.output_dir, given.devices, given.steps_per_epoch) == (None,) * 3
    assert data_of(given.images) == (None, "/photos")
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    TrainingConfig(**{k: v for k, v in vars(given).items() if k in names})


def data_of(images):
    return images["dataset"], images["data_dir"]


@pytest.mark.parametrize("weights", [None, "cifar10"])
def test_a_repeated_run_starts_from_what_it_did(weights, tmp_path, monkeypatch):
    """Not from the weights that finetune starts from, nor on the data of a script."""
    settings = {"epochs": 7, "weights": weights, "data_dir": "/photos"}
    write_run(tmp_path / "run", ["a"], **settings)
    words = ["--config", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["transfer_learning.py", *words])
    defaults = {"recipe": None, "dataset": "cifar10"}
    given = parser_of(finetune, "script", defaults).parse_args(words)
    assert given.weights == weights and data_of(given.images) == (None, "/photos")
    given = parser_of(finetune, "x", {}).parse_args([*words, "--weights", "imagenet"])
    assert given.weights == "imagenet"


@pytest.mark.parametrize("flag", ["--augmentation", "--aug"])
def test_another_augmentation_than_the_run_s_is_whole(flag, tmp_path, monkeypatch):
    """What the record has of the run's own gives way, unless it is asked for too."""
    recorded = {"augmentation": "light", "mixup": 0.0, "cutmix": 0.0}
    recorded |= {"randaugment": False, "random_erasing": 0.0}
    write_run(tmp_path / "run", ["a"], epochs=7, **recorded)
    words = ["--config", str(tmp_path / "run"), flag, "full", "--cutmix", "0.5"]
    given = vars(parser("train", monkeypatch, *words).parse_args(words))
    expected = {"augmentation": "full", "mixup": None, "cutmix": 0.5}
    expected |= {"randaugment": None, "random_erasing": None}
    assert {name: given[name] for name in recorded} == expected
    given = vars(parser("train", monkeypatch, *words[:2]).parse_args(words[:2]))
    assert {name: given[name] for name in recorded} == recorded


@pytest.mark.parametrize(
    ("words", "rate", "warmup", "cooldown"),
    [
        ("", 0.5, 5, 10),
        ("--batch-size 8", 0.0625, 5, 10),
        ("--gradient-accumulation 1", 0.25, 5, 10),
        ("--batch-size 32 --gradient-accumulation 8", 1.0, 5, 10),
        ("--batch-size 8 --learning-rate 0.3", 0.3, 5, 10),
        ("--epochs 10", 0.5, 0.5, 1),
        ("--ep 30 --rate-changes epoch", 0.5, 2, 3),
        ("--epochs 10 --warmup-epochs 4", 0.5, 4, 1),
        ("--epochs 200", 0.5, 5, 10),
        ("--epochs 0 --batch-size 0 --gradient-accumulation -1", 0.5, 5, 10),  # errors
    ],
)
def test_a_run_s_rates_fit_another_length_and_batch(
    words, rate, warmup, cooldown, tmp_path, monkeypatch
):
    recorded = {"epochs": 100, "warmup_epochs": 5, "cooldown_epochs": 10}
    recorded |= {"batch_size": 64, "gradient_accumulation": 2, "learning_rate": 0.5}
    write_run(tmp_path / "run", ["a"], rate_changes="step", **recorded)
    words = ["--config", str(tmp_path / "run"), *words.split()]
    made = parser("train", monkeypatch, *words)
    given = made.parse_args(words)
    assert given.learning_rate == pytest.approx(rate)
    assert given.warmup_epochs == pytest.approx(warmup)
    assert given.cooldown_epochs == pytest.approx(cooldown)


@pytest.mark.parametrize(
    ("words", "data", "derived"),
    [
        ("", (None, "/photos"), (0.1, True)),
        ("--no-exif-orientation", (None, "/photos"), (0.1, False)),
        ("--data-dir other", (None, "other"), (None, None)),
        ("--dataset digits --validation-share 0.3", ("digits", None), (0.3, None)),
        ("other", (None, "other"), (None, None)),  # finetune's PHOTOS
    ],
)
def test_other_data_than_the_run_s_is_read_in_its_own_way(
    words, data, derived, tmp_path, monkeypatch
):
    recorded = {"validation_share": 0.1, "exif_orientation": True}
    write_run(tmp_path / "run", ["a"], epochs=7, data_dir="/photos", **recorded)
    words = ["--config", str(tmp_path / "run"), *words.split()]
    given = parser("finetune", monkeypatch, *words).parse_args(words)
    settings = vars(given)
    finetune.take_photographs(settings)
    for name in ("web", "serve", "stop_timeout", "backend"):
        del settings[name]
    configs = []
    monkeypatch.setattr(
        "keras_t2t.training.run.train", lambda config, verbose: configs.append(config)
    )
    finetune.training_flags.train_from_flags(settings)
    (config,) = configs
    assert (config.dataset, config.data_dir) == data
    assert (config.validation_share, config.exif_orientation) == derived


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", "cifar"), ("--weights imagenet", None), ("--weights cifar10", "cifar")],
)
def test_other_weights_than_the_run_s_say_how_pixels_are_standardised(
    words, expected, tmp_path, monkeypatch
):
    settings = {"weights": "cifar10", "normalization": "cifar"}
    write_run(tmp_path / "run", ["a"], epochs=7, **settings)
    words = ["--config", str(tmp_path / "run"), *words.split()]
    given = parser("finetune", monkeypatch, *words).parse_args(words)
    assert given.normalization == expected


@pytest.mark.parametrize(
    ("words", "fresh_head", "rates"),
    [
        ("", True, ("adamw", 0.25, 0.75)),
        ("--weights runs/a", None, ("adamw", 0.25, 0.75)),
        ("--weights none", None, ("adamw", 0.25, None)),
        ("--lora 8", True, (None, None, None)),
        ("--lora 8 --learning-rate 0.5", True, (None, 0.5, None)),
        ("--lora 0", True, ("adamw", 0.25, 0.75)),
    ],
)
def test_another_start_than_the_run_s_has_its_own_head_and_rates(
    words, fresh_head, rates, tmp_path, monkeypatch
):
    recorded = {"optimizer": "adamw", "learning_rate": 0.25, "layer_decay": 0.75}
    start = {"weights": "imagenet", "fresh_head": True, "lora": 0}
    write_run(tmp_path / "run", ["a"], epochs=7, **recorded, **start)
    words = ["--config", str(tmp_path / "run"), *words.split()]
    given = vars(parser("finetune", monkeypatch, *words).parse_args(words))
    assert tuple(given[name] for name in recorded) == rates
    assert given["fresh_head"] == fresh_head


@pytest.mark.parametrize(("lora", "rank", "rate"), [(8, "16", 0.25), (8, "0", None)])
def test_a_rank_keeps_the_adapters_rates(lora, rank, rate, tmp_path, monkeypatch):
    recorded = {"learning_rate": 0.25, "weights": "imagenet", "lora": lora}
    write_run(tmp_path / "run", ["a"], epochs=7, **recorded)
    words = ["--config", str(tmp_path / "run"), "--lora", rank]
    given = parser("finetune", monkeypatch, *words).parse_args(words)
    assert given.learning_rate == rate


@pytest.mark.parametrize("run", [None, "config.json", "snapshots/step-000000003.npz"])
@pytest.mark.parametrize(
    ("name", "defaults", "words", "images"),
    [
        ("finetune", {"recipe": None, "dataset": "cifar10"}, [], ("cifar10", None)),
        ("train", {}, ["--config", "earlier"], (None, "/photos")),
        ("finetune", {}, [], None),  # PHOTOS are missing
    ],
)
def test_resume_starts_on_the_same_data(
    name, defaults, words, images, run, tmp_path, monkeypatch
):
    """As without it; a run that is there goes on with its own."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "earlier", ["a"], epochs=7, data_dir="/photos")
    if run is not None:
        (tmp_path / "new" / run).parent.mkdir(parents=True)
        (tmp_path / "new" / run).touch()
    words = [*words, "--output", "new", "--resume"]
    monkeypatch.setattr("sys.argv", ["script", *words])
    command = importlib.import_module(f"keras_t2t.cli.{name}")
    given = parser_of(command, "script", defaults).parse_args(words)
    del given.stop_timeout, given.backend  # as `perform`
    configs = []
    monkeypatch.setattr(
        "keras_t2t.training.run.train", lambda config, verbose: configs.append(config)
    )
    if images is None and run is None:
        told = r"give PHOTOS, .* \(--resume found no run in 'new'\)"
        with pytest.raises(ValueError, match=told):
            command.main(given)
        return
    command.main(given)
    (config,) = configs
    expected = images if run is None else (None, None)
    assert (config.dataset, config.data_dir) == expected


def test_a_configuration_is_taken_over_by_a_flag_cut_short(tmp_path, monkeypatch):
    """Or it is an error, never nothing."""
    write_run(tmp_path / "run", ["a"], epochs=7, batch_size=4)
    words = ["--conf", str(tmp_path / "run")]
    assert parser("train", monkeypatch, *words).parse_args(words).epochs == 7
    words[0] = "--co"  # also --coordinator, --cooldown-epochs
    with pytest.raises(SystemExit):
        parser("train", monkeypatch, *words).parse_args(words)
