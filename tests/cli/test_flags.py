"""Flags mean the same in every command, each is explained, and none takes Keras."""

import dataclasses
import importlib

import pytest

from keras_t2t.cli import finetune
from keras_t2t.cli.dispatch import COMMANDS, parser_of
from keras_t2t.settings.config import TrainingConfig
from tests.examples.small_run import write_run


@pytest.fixture
def parser(monkeypatch):
    """Function: command, its words, defaults of a script -> the parser."""

    def parser(name, *words, **defaults):
        monkeypatch.setattr("sys.argv", ["keras-t2t", name, *words])
        command = importlib.import_module(f"keras_t2t.cli.{name}")
        return parser_of(command, f"keras-t2t {name}", defaults)

    return parser


@pytest.fixture
def parsed(parser):
    """The same -> what the words give."""
    return lambda name, *words, **defaults: parser(name, *words, **defaults).parse_args(
        words
    )


def test_flags_are_explained_and_agree_over_all_commands(parser):
    kinds = {}
    for name in COMMANDS:
        for action in parser(name)._actions:
            assert action.help and len(action.help) > 8, action
            for flag in action.option_strings:
                kinds.setdefault(flag, {})[name] = type(action), action.metavar
    for flag, found in kinds.items():
        # A file for some, a folder for others.
        same = len(set(found.values())) == 1
        assert same or flag in ("--output", "--weights"), (flag, found)
    assert set(COMMANDS) - {"predict", "evaluate"} <= set(kinds["--output"])


@pytest.mark.parametrize(
    ("name", "flag", "text", "value"),
    [
        ("train", "--image-size", "64", 64),
        ("finetune", "--image-size", "64x64", 64),
        ("evaluate", "--image-size", "64x64", 64),
        ("predict", "--image-size", "64x32", (64, 32)),
        ("convert", "--image-size", "64x32", (64, 32)),
        *(("finetune", "--weights", text, None) for text in ("none", "random")),
        *((name, "--weights", "none", "random") for name in ("predict", "visualize")),
        ("export", "--weights", "none", "random"),
    ],
)
def test_a_value_is_written_alike(name, flag, text, value, parser):
    assert parser(name)._option_string_actions[flag].type(text) == value


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
def test_help_has_the_defaults_of_the_recipe(name, words, said, parser):
    text = " ".join(parser(name, *words).format_help().split())
    assert said in text
    titles = ("model", "data", "schedule", "optimizer", "regularization")
    for group in (*titles, "augmentation", "run", "devices"):
        assert f" {group}: --" in text
    assert ("--linear-probe" in text) == (name == "finetune")


def test_a_run_s_configuration_is_taken_over(tmp_path, parser):
    write_run(
        tmp_path / "run",
        ["a", "b"],
        **{"epochs": 7, "batch_size": 4, "steps_per_epoch": 5, "learning_rate": 0.25},
        **{"data_dir": "/photos", "devices": 2, "output_dir": "x", "seed": 3},
        data={"name": "photos", "training images": 22, "classes": ["a", "b"]},
        versions={"keras_t2t": "0.1.0"},
    )
    words = ["--config", str(tmp_path / "run"), "--epochs", "9"]
    made = parser("train", *words)
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
def test_a_repeated_run_starts_from_what_it_did(weights, tmp_path, parsed):
    """Not from the weights that finetune starts from, nor on the data of a script."""
    settings = {"epochs": 7, "weights": weights, "data_dir": "/photos"}
    write_run(tmp_path / "run", ["a"], **settings)
    words = ("--config", str(tmp_path / "run"))
    given = parsed("finetune", *words, recipe=None, dataset="cifar10")
    assert given.weights == weights and data_of(given.images) == (None, "/photos")


@pytest.fixture
def repeated(tmp_path, parsed):
    """What `--config` makes of a run's record and of the words after it."""

    def repeated(name, words, **recorded):
        write_run(tmp_path / "run", ["a"], **{"epochs": 7, **recorded})
        return parsed(name, "--config", str(tmp_path / "run"), *words.split())

    return repeated


LENGTH = {"epochs": 100, "warmup_epochs": 5, "cooldown_epochs": 10}
BATCH = {"batch_size": 64, "gradient_accumulation": 2, "learning_rate": 0.5}


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
        ("--rate-changes epoch", 0.5, 5, 10),
        ("--epochs 10 --warmup-epochs 4", 0.5, 4, 1),
        ("--epochs 200", 0.5, 5, 10),
        ("--epochs 0 --batch-size 0 --gradient-accumulation -1", 0.5, 5, 10),  # errors
    ],
)
def test_a_run_s_rates_fit_another_length_and_batch(
    words, rate, warmup, cooldown, repeated
):
    given = repeated("train", words, rate_changes="step", **LENGTH, **BATCH)
    found = given.learning_rate, given.warmup_epochs, given.cooldown_epochs
    assert found == pytest.approx((rate, warmup, cooldown))


@pytest.mark.parametrize(
    ("words", "warmup"),
    [("", 0.4), ("--rate-ch epoch", 0), ("--rate-changes epoch --epochs 20", 0)],
)
def test_a_part_of_an_epoch_is_no_warmup_by_epoch(words, warmup, repeated):
    """All of the first epoch would have the warmup's first rate."""
    short = {"epochs": 10, "warmup_epochs": 0.4, "rate_changes": "step"}
    assert repeated("train", words, **short).warmup_epochs == warmup


LIGHT = {"augmentation": "light", "mixup": 0.0, "cutmix": 0.0}
LIGHT |= {"randaugment": False, "random_erasing": 0.0}
FULL = {"augmentation": "full", "mixup": None, "cutmix": 0.5}
FULL |= {"randaugment": None, "random_erasing": None}
CIFAR = {"weights": "cifar10", "normalization": "cifar"}
RATES = {"optimizer": "adamw", "learning_rate": 0.25, "layer_decay": 0.75}
NONE = dict.fromkeys(RATES)
TUNED = {**RATES, "weights": "imagenet", "fresh_head": True, "lora": 0}
ADAPTED = {"learning_rate": 0.25, "weights": "imagenet", "lora": 8}
PROBE = {"weights": "imagenet", "linear_probe": True, "drop_path": 0.0}
OF_WEIGHTS = ("model", "image_size")
OF_A_RUN = {"weights": "imagenet", "model": "T2TViT14", "drop_path": 0.2}


@pytest.mark.parametrize(
    ("recorded", "words", "expected"),
    [
        (LIGHT, "", LIGHT),
        (LIGHT, "--augmentation full --cutmix 0.5", FULL),
        (LIGHT, "--aug full --cutmix 0.5", FULL),
        (CIFAR, "", CIFAR),
        ({**CIFAR, "fresh_head": False}, "", {**CIFAR, "fresh_head": None}),
        (CIFAR, "--weights imagenet", {"weights": "imagenet", "normalization": None}),
        (CIFAR, "--weights cifar10", CIFAR),
        (TUNED, "", {"fresh_head": True, **RATES}),
        (TUNED, "--weights runs/a", {"fresh_head": None, **RATES}),
        (TUNED, "--weights none", {"fresh_head": None, **RATES, "layer_decay": None}),
        (TUNED, "--lora 8", {"fresh_head": True, **NONE}),
        (
            *(TUNED, "--lora 8 --learning-rate 0.5"),
            {"fresh_head": True, **NONE, "learning_rate": 0.5},
        ),
        (TUNED, "--lora 0", {"fresh_head": True, **RATES}),
        (ADAPTED, "--lora 16", {"learning_rate": 0.25}),
        (ADAPTED, "--lora 0", {"learning_rate": None}),
        (PROBE, "", PROBE),
        (PROBE, "--no-linear-probe", {"linear_probe": False, "drop_path": None}),
        (PROBE, "--lora 8", {"linear_probe": None, "drop_path": None}),
        (OF_A_RUN, "--linear-probe", {"linear_probe": True, "drop_path": None}),
        (OF_A_RUN, "--lora 8", {"drop_path": 0.2, "model": "T2TViT14"}),
        ({**OF_A_RUN, "image_size": 384}, "--weights /", dict.fromkeys(OF_WEIGHTS)),
        (OF_A_RUN, "--weights hf://a/b", {"model": None, "drop_path": 0.2}),
        (OF_A_RUN, "--weights cifar10", {"model": "T2TViT14"}),
        ({**CIFAR, "weights": "/a"}, "--weights /b/../a/", {"normalization": "cifar"}),
    ],
)
def test_what_a_run_had_because_of_another_setting_goes_with_it(
    recorded, words, expected, repeated
):
    """Its augmentation's parts, its weights' pixels, head and model, its adapters'
    rates, its probe's lack of dropout."""
    given = vars(repeated("finetune", words, **recorded))
    given["fresh_head"] = given["images"]["fresh_head"]  # which is of the data too
    assert {name: given[name] for name in expected} == expected


@pytest.fixture
def trained(monkeypatch):
    """The configurations that `train` is called with, and does nothing."""
    configs = []
    monkeypatch.setattr(
        "keras_t2t.training.run.train", lambda config, verbose: configs.append(config)
    )
    return configs


@pytest.mark.parametrize(
    ("words", "data", "derived"),
    [
        ("", (None, "/photos"), (0.1, True)),
        ("--no-exif-orientation", (None, "/photos"), (0.1, False)),
        ("--data-dir other", (None, "other"), (None, None)),
        ("--data-dir /photos/../photos", (None, "/photos/../photos"), (0.1, True)),
        ("--dataset digits --validation-share 0.3", ("digits", None), (0.3, None)),
        ("other", (None, "other"), (None, None)),  # finetune's PHOTOS
    ],
)
def test_other_data_than_the_run_s_is_read_in_its_own_way(
    words, data, derived, repeated, trained
):
    recorded = {"validation_share": 0.1, "exif_orientation": True, "fresh_head": True}
    recorded |= {"data_dir": "/photos", "weights": "imagenet"}
    settings = vars(repeated("finetune", words, **recorded))
    finetune.take_photographs(settings)
    for name in ("web", "serve", "stop_timeout", "backend"):
        del settings[name]
    finetune.training_flags.train_from_flags(settings)
    (config,) = trained
    assert (config.dataset, config.data_dir) == data
    assert (config.validation_share, config.exif_orientation) == derived
    assert config.fresh_head is (None if derived[1] is None else True)


@pytest.mark.parametrize(
    ("name", "words", "flag"),
    [
        ("predict", ["--csv=~/x.csv", "a.jpg"], "csv"),
        ("convert", ["a.pth", "--output=~/x.h5"], "output"),
        ("visualize", ["--output=~/x", "a.jpg"], "output"),
        ("predict", ["--weights=~/x", "a.jpg"], "weights"),
        ("finetune", ["--weights=~/x"], "weights"),
        ("export", ["--calibration=~/x", "--output=a.onnx"], "calibration"),
        ("train", ["--preview=~/x.png"], "preview"),
        ("train", ["--teacher=~/x"], "teacher"),
        ("predict", ["~/x/**/*.jpg"], "images"),
        ("convert", ["~/x", "--output=a.pth"], "input"),
        ("visualize", ["--compare", "ResNet50=~/x", "--", "a.jpg"], "compare"),
    ],
)
def test_a_home_that_the_shell_leaves(name, words, flag, parsed, monkeypatch):
    monkeypatch.setenv("HOME", "/home")
    given = vars(parsed(name, *words))
    assert "~" not in str(given[flag]) and "/home/x" in str(given[flag])


def test_networks_beside_the_first_have_weights_or_random_ones(parsed):
    words = ["a.jpg", "--compare", "ViTL16", "ResNet50=none", "T2TViT7=imagenet"]
    given = parsed("visualize", *words)
    names = ["random", "random", "imagenet"]
    assert [weights for _, weights in given.compare] == names


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
    name, defaults, words, images, run, tmp_path, monkeypatch, parsed, trained
):
    """As without it; a run that is there goes on with its own."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "earlier", ["a"], epochs=7, data_dir="/photos")
    if run is not None:
        (tmp_path / "new" / run).parent.mkdir(parents=True)
        (tmp_path / "new" / run).touch()
    given = parsed(name, *words, "--output", "new", "--resume", **defaults)
    command = importlib.import_module(f"keras_t2t.cli.{name}")
    del given.stop_timeout, given.backend  # as `perform`
    if images is None and run is None:
        told = r"give PHOTOS, .* \(--resume found no run in 'new'\)"
        with pytest.raises(ValueError, match=told):
            command.main(given)
        return
    command.main(given)
    (config,) = trained
    expected = images if run is None else (None, None)
    assert (config.dataset, config.data_dir) == expected


def test_a_configuration_is_taken_over_by_a_flag_cut_short(tmp_path, parsed):
    """Or it is an error, never nothing."""
    write_run(tmp_path / "run", ["a"], epochs=7, batch_size=4)
    run = str(tmp_path / "run")
    assert parsed("train", "--conf", run).epochs == 7
    with pytest.raises(SystemExit):
        parsed("train", "--co", run)  # also --coordinator, --cooldown-epochs
