"""A run goes to the Hugging Face hub and comes back, over a hub on this machine."""

import json
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

import keras_t2t
from benchmarks.fuzz_surfaces import hub_in_memory, write_run
from keras_t2t.training import TrainingConfig, train
from tests import processes
from tests.hub_server import Hub

pytestmark = pytest.mark.once

EXAMPLES = Path(keras_t2t.__file__).parents[1] / "examples"
LOAD = """
import sys
import keras_t2t

model = keras_t2t.T2TViT7(weights=sys.argv[1], classes=10, input_shape=(32, 32, 3))
if len(sys.argv) > 2:
    keras_t2t.load_adapters(model, sys.argv[2])
print(float(abs(model.get_layer("head").kernel.numpy()).sum()))
"""
FIND = """
import sys
from keras_t2t.classifier import find_classifier

found = find_classifier(sys.argv[1])
print(found.run is not None, found.class_names[0], found.class_names[-1])
"""
PUSH = """
import sys
import keras_t2t

print(keras_t2t.push_to_hub(*sys.argv[1:3], license="apache-2.0", token=sys.argv[3]))
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secret-home") / "digits-run"
    settings = {"epochs": 2, "steps_per_epoch": 2, "drop_path": 0.2}
    settings |= {"model": "T2TViT7", "dataset": "digits", "image_size": 32}
    train(TrainingConfig(output_dir=str(folder), **settings), verbose=0)
    return folder


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture
def python(hub, tmp_path):
    """Function: arguments of `python` -> its finished process, with this hub."""
    here = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "cache")}
    here["KERAS_BACKEND"] = keras.backend.backend()
    return lambda *arguments, **others: processes.python(*arguments, **here | others)


def last_line(process):
    return process.stderr.strip().splitlines()[-1]


@pytest.mark.nightly
def test_there_and_back(run_folder, hub, python, tmp_path):
    pushed = python("-c", PUSH, run_folder, "ada/digits", "any")
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.splitlines()[-1] == f"{hub.address}/ada/digits"
    files = hub.repositories["ada/digits"]
    assert {"final.keras", "config.json", "classes.json", "README.md"} <= set(files)
    assert "secret-home" not in repr(files)  # of this machine nothing is told
    assert files["final.keras"] == (run_folder / "final.keras").read_bytes()

    card = files["README.md"].decode()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "apache-2.0"
    (measured,) = header["model-index"][0]["results"]
    result = json.loads((run_folder / "result.json").read_text())["result"]
    top1 = next(m for m in measured["metrics"] if m["name"] == "top-1")
    assert top1["value"] == pytest.approx(result["val_top1"])

    loaded = python("-c", LOAD, "hf://ada/digits")
    assert loaded.returncode == 0, loaded.stderr
    model = keras.models.load_model(run_folder / "final.keras")
    expected = float(abs(model.get_layer("head").kernel.numpy()).sum())
    assert float(loaded.stdout) == pytest.approx(expected, rel=1e-6)
    # A second time from the cache, without a network.
    again = python("-c", LOAD, "hf://ada/digits", HF_HUB_OFFLINE="1")
    assert again.stdout == loaded.stdout
    # One file alone brings its record.
    other = {"HF_HOME": str(tmp_path / "other")}
    found = python("-c", FIND, "hf://ada/digits/final.keras", **other)
    assert found.stdout.split() == ["True", "0", "9"], found.stderr

    Image.new("RGB", (40, 40), "teal").save(tmp_path / "teal.png")
    weights = ("--weights", "hf://ada/digits@main")
    predicted = python(EXAMPLES / "predict.py", *weights, tmp_path / "teal.png")
    assert predicted.returncode == 0, predicted.stderr
    assert predicted.stdout.count("%") == 5


@pytest.mark.nightly
def test_the_card_s_code_and_command_do_what_they_say(run_folder, push, tmp_path):
    card = push(run_folder)["README.md"].decode()
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace("hf://ada/photos", str(run_folder / "final.keras"))
    held = {"pixels": np.zeros((1, 32, 32, 3), "float32")}
    exec(code, held)
    assert held["probabilities"].shape == (1, 10)

    command = card.split("```bash\n")[1].split("```")[0]
    for flag in ("dataset digits", "epochs 2", "drop-path 0.2", "image-size 32"):
        assert f"--{flag}" in command
    assert "--cutmix" not in command  # the recipe's own
    words = command.replace("\\\n", " ").split()
    folder = tmp_path / "again"
    words = ("-m", "keras_t2t_command", *words[1:], "--output", folder)
    assert processes.python(*words).returncode == 0
    record, again = (
        json.loads((run / "config.json").read_text()) for run in (run_folder, folder)
    )
    changed = {key for key in record if record[key] != again[key]}
    assert changed <= {"output_dir", "run"}
    assert "Not stated" in card


@pytest.mark.nightly
def test_files_of_another_repository(hub, python, tmp_path):
    """Weights, and adapters for them."""
    model = keras_t2t.T2TViT7(classes=10, input_shape=(32, 32, 3))
    keras_t2t.save_official(model, tmp_path / "model.safetensors")
    keras_t2t.add_adapters(model, 2)
    head = model.get_layer("head").kernel
    head.assign(np.ones(head.shape))
    keras_t2t.save_adapters(model, tmp_path / "x.lora.h5")
    files = ("model.safetensors", "x.lora.h5")
    hub.repositories["bob/own"] = {
        name: (tmp_path / name).read_bytes() for name in files
    }
    loaded = python("-c", LOAD, *(f"hf://bob/own/{name}" for name in files))
    assert loaded.returncode == 0, loaded.stderr
    assert float(loaded.stdout) == np.prod(head.shape)
    words = ("-m", "keras_t2t_command", "convert", "hf://bob/own/model.safetensors")
    converted = python(*words, "--output", tmp_path / "new" / "x.weights.h5")
    assert converted.returncode == 0, converted.stderr
    missing = python("-c", LOAD, "hf://bob/own")
    assert "has no final.keras" in last_line(missing)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf://nobody/nothing", "does not exist on the hub, or is private"),
        ("hf://bob/hidden", "does not exist on the hub, or is private"),
        ("hf://bob/own@v9", "there is no such revision"),
        ("hf://bob/own/else.pth", "there is no such file"),
        ("hf://bob", "'hf://bob' is no address on the hub: it must be hf://OWNER/NAME"),
        ("hf://bob/own/../../x.pth", "is no address on the hub"),
    ],
)
@pytest.mark.nightly
def test_addresses_that_do_not_exist(hub, python, address, message):
    hub.repositories["bob/own"] = {"README.md": b"#"}
    hub.private.add("bob/hidden")
    process = python(EXAMPLES / "predict.py", "--weights", address, "x.png")
    assert process.returncode == 2
    assert message in last_line(process)
    assert "Traceback" not in process.stderr


@pytest.mark.nightly
def test_without_a_network(python):
    words = (EXAMPLES / "predict.py", "--weights", "hf://ada/digits", "x.png")
    process = python(*words, HF_ENDPOINT="http://127.0.0.1:9")
    assert process.returncode == 2
    assert "could not be downloaded, is there a network?" in last_line(process)


@pytest.mark.nightly
def test_a_hub_that_refuses(run_folder, hub, python):
    hub.token = "right"
    process = python("-c", PUSH, run_folder, "ada/digits", "wrong")
    assert "PermissionError: this token may not write to 'ada/d" in last_line(process)
    assert hub.repositories == {}


def test_what_cannot_be_published(tmp_path):
    with pytest.raises(ValueError, match=r"lacks config\.json, classes\.json, "):
        keras_t2t.push_to_hub(tmp_path, "ada/digits")
    for name in ("digits", "a/b/c", "a b/c"):
        with pytest.raises(ValueError, match="`name` must be OWNER/NAME, got"):
            keras_t2t.push_to_hub(tmp_path, name)


@pytest.fixture
def written_run(tmp_path):
    """Function: changes of its record -> the folder of a finished run."""

    def write(**changes):
        folder = tmp_path / "written run"
        folder.mkdir(exist_ok=True)
        write_run(folder)
        change(folder / "config.json", changes)
        return folder

    return write


def change(path, changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def push(monkeypatch):
    """Function: run folder -> the files that are published of it."""
    library = pytest.importorskip("huggingface_hub")
    published = {}
    monkeypatch.setattr(library, "HfApi", hub_in_memory(published))

    def push(run, **arguments):
        keras_t2t.push_to_hub(run, "ada/photos", **arguments)
        return published

    return push


ODD_NAMES = [
    *("<script>alert(1)</script>", "[free](http://x.example)", "a\n\n# Title\n```\nb"),
    *("www.x.example", "**b**", "`c`", "d|e", "    f", "\x1b[2J"),
]


def test_the_command_keeps_what_its_other_flags_would_change(written_run, push):
    changes = {"recipe": "small_scratch", "epochs": 20, "batch_size": 32}
    changes |= {"learning_rate": 5e-4, "warmup_epochs": 5.0}
    changes |= {"augmentation": "none", "mixup": 0.8}
    card = push(written_run(**changes))["README.md"].decode()
    for name, value in changes.items():
        assert f"--{name.replace('_', '-')} {value}" in card
    weights = {"weights": "imagenet", "normalization": "imagenet"}
    card = push(written_run(**weights))["README.md"].decode()
    assert "--normalization imagenet" in card


def test_names_are_text_in_the_card_and_words_in_the_command(written_run, push):
    odd = "/home/ada/photos; rm -rf $HOME/x `y`"
    data = {"name": "photos *of* <b>mine</b>", "classes": ODD_NAMES}
    data |= {"training images": 64, "validation images": 8}
    run = written_run(data_dir=odd, data=data)
    (run / "classes.json").write_text(json.dumps(ODD_NAMES))
    card = push(run)["README.md"].decode().split("---", 2)[2]
    shown = re.sub(r"\\[!-/:-@\[-`{-~]", "", card)  # without what is escaped
    live = ("<script", "<b>", "](http://", "**b", "www.", "# Title", "`c`", "\x1b")
    assert not [text for text in live if text in shown]
    command = card.split("```bash\n")[1].split("```")[0]
    words = shlex.split(command.replace("\\\n", " "))
    place = words.index("--data-dir") + 1
    assert words[place] == "path/to/x `y`"  # the last of its path
    assert not set(";$") & set(words[0] + words[1])


def test_no_path_and_no_unknown_key_is_published(written_run, push):
    versions = {"keras_t2t": "0.1.0", "keras": "3.12.0", "host": "9"}
    paths = ("data_dir", "weights", "teacher", "output_dir", "preview")
    paths = {name: f"/home/secret/{name}" for name in paths}
    paths["preview"] += ".png"
    run = written_run(password="secret", versions=versions, **paths)
    result = {"epochs": 2, "unknown": "secret", "output_dir": "/home/secret"}
    change(run / "result.json", {"unknown": "secret", "result": result})
    files = push(run)
    record = json.loads(files["config.json"])
    assert (record["teacher"], record["output_dir"]) == ("teacher", None)
    assert set(record["versions"]) == {"keras_t2t", "keras"}
    assert "secret" not in repr(files)


@pytest.mark.parametrize(
    "weights",
    ["hf://bob/roses", "/hub/models--bob--roses/snapshots/0/a.keras", "of a run"],
)
def test_the_card_names_the_owner_of_the_weights(weights, written_run, push, tmp_path):
    if weights == "of a run":
        before = written_run(weights="hf://bob/roses@v1")
        before.rename(tmp_path / "before")
        weights = str(tmp_path / "before")
    files = push(written_run(weights=weights), license="mit")
    card = files["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["base_model"] == "bob/roses"
    assert "(https://huggingface.co/bob/roses), whose licence" in card
    assert str(tmp_path) not in card


def test_the_card_names_the_adapters_of_a_run_with_lora(written_run, push):
    run = written_run()
    assert "lora" not in push(run)["README.md"].decode()
    (run / "adapters.lora.h5").write_bytes(b"adapters")
    published = push(run)
    assert published["adapters.lora.h5"] == b"adapters"
    code = 'keras_t2t.load_adapters(model, "hf://ada/photos/adapters.lora.h5")'
    assert code in published["README.md"].decode()


def test_the_command_has_what_no_recipe_sets(written_run, push):
    asked = {"teacher": "ResNet50", "teacher_weight": 2.0, "fresh_head": True}
    asked |= {"validation_share": 0.4, "exif_orientation": False}
    card = push(written_run(weights="hf://a/b", **asked))["README.md"].decode()
    command = card.split("```bash\n")[1].split("```")[0]
    flags = ("--teacher ResNet50", "--teacher-weight 2.0", "--validation-share 0.4")
    for flag in (*flags, "--no-exif-orientation", "--fresh-head"):
        assert flag in command
    card = push(written_run(own={"loss": {"function": "f"}}))["README.md"].decode()
    assert "had its own loss" in card and "```bash" not in card


def test_files_of_an_earlier_push_go(written_run, push):
    run = written_run()
    (run / "final_ema.keras").write_bytes(b"average")
    push(run)
    (run / "final_ema.keras").unlink()
    published = push(run)
    assert "final_ema.keras" not in published and "final.keras" in published


@pytest.mark.parametrize("part", ["history.csv", "final.keras", "classes.json"])
def test_links_to_elsewhere_are_not_followed(part, written_run, push, tmp_path):
    run = written_run()
    (run / part).rename(tmp_path / "elsewhere")
    (run / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"{part} is a link"):
        push(run)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": None}, r"config\.json lacks `data`"),
        ({"data": {"name": "x"}}, r"config\.json `data` lacks training images"),
        ({"versions": {"keras_t2t": "0.1"}}, r"config\.json `versions` lacks keras"),
    ],
)
def test_odd_records_are_refused_in_one_line(changes, told, written_run, push):
    with pytest.raises(ValueError, match=told):
        push(written_run(**changes))


def test_odd_files_beside_it(written_run, push):
    run = written_run()
    for content in ("epoch,loss\n0,<b>\n", "a b,c\n1,2\n", "\x00"):
        (run / "history.csv").write_text(content)
        with pytest.raises(ValueError, match=r"history\.csv is damaged"):
            push(run)
    (run / "history.csv").unlink()
    for content in ("[]", '{"result": {"epochs": 1, "val_top1": "x"}}'):
        (run / "result.json").write_text(content)
        with pytest.raises(ValueError, match=r"result\.json"):
            push(run)
    with pytest.raises(ValueError, match="`license` must be an identifier"):
        push(written_run(), license="mit\n---\n# x")
