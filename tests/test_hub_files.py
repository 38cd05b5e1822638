"""A run goes to the Hugging Face hub and comes back, over a hub on this machine."""

import json
import re
import shlex

import numpy as np
import pytest
import yaml
from PIL import Image

import keras_t2t
from benchmarks.fuzz_surfaces import hub_in_memory, write_run
from keras_t2t._ground.hub_files import fetched_file
from keras_t2t.classifier import find_classifier
from keras_t2t.training import TrainingConfig, train
from tests.checkpoints.helpers import arrays, refusal
from tests.hub_server import Hub
from tests.processes import python

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secret-home") / "digits-run"
    settings = {"epochs": 2, "steps_per_epoch": 2, "drop_path": 0.2}
    settings |= {"model": "T2TViT7", "dataset": "digits", "image_size": 32}
    train(TrainingConfig(output_dir=str(folder), **settings), verbose=0)
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine, also for new processes; nothing of it is in the cache."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with Hub() as hub:
        files = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        # Nor is a token of this machine's user sent to it.
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        yield hub


def small(weights=None):
    return keras_t2t.T2TViT7(weights=weights, classes=10, input_shape=(32, 32, 3))


def finished(*words):
    """A command of `keras-t2t` that ran in its own process."""
    return python("-m", "keras_t2t_command", *words)


def command_in(card):
    """The words of the command that repeats the run."""
    command = card.split("```bash\n")[1].split("```")[0]
    return shlex.split(command.replace("\\\n", " "))


@pytest.mark.nightly
def test_there_and_back(run_folder, hub, tmp_path, monkeypatch):
    pushed = keras_t2t.push_to_hub(run_folder, "ada/digits", license="apache-2.0")
    assert pushed == f"{hub.address}/ada/digits"
    files = hub.repositories["ada/digits"]
    assert {"final.keras", "config.json", "classes.json", "README.md"} <= set(files)
    assert "secret-home" not in repr(files)  # of this machine nothing is told
    assert files["final.keras"] == (run_folder / "final.keras").read_bytes()

    header = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert header["license"] == "apache-2.0"
    (measured,) = header["model-index"][0]["results"]
    result = json.loads((run_folder / "result.json").read_text())["result"]
    top1 = next(m for m in measured["metrics"] if m["name"] == "top-1")
    assert top1["value"] == pytest.approx(result["val_top1"])

    found = find_classifier("hf://ada/digits/final.keras")  # which brings its record
    assert found.run is not None and found.class_names == list("0123456789")
    expected = arrays(small(run_folder / "final.keras"))
    np.testing.assert_equal(arrays(small("hf://ada/digits")), expected)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    np.testing.assert_equal(arrays(small("hf://ada/digits")), expected)

    Image.new("RGB", (40, 40), "teal").save(tmp_path / "teal.png")
    words = ("predict", "--weights", "hf://ada/digits@main", tmp_path / "teal.png")
    predicted = finished(*words)
    assert predicted.stdout.count("%") == 5, predicted.stderr


@pytest.mark.nightly
def test_the_card_s_code_and_command_do_what_they_say(run_folder, push, tmp_path):
    card = push(run_folder)["README.md"].decode()
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace("hf://ada/photos", str(run_folder / "final.keras"))
    held = {"pixels": np.zeros((1, 32, 32, 3), "float32")}
    exec(code, held)
    assert held["probabilities"].shape == (1, 10)

    words, folder = command_in(card)[1:], tmp_path / "again"
    for flag in ("dataset digits", "epochs 2", "drop-path 0.2", "image-size 32"):
        assert f"--{flag} " in " ".join(words) + " "
    assert "--cutmix" not in words  # the recipe's own
    assert finished(*words, "--output", folder).returncode == 0
    record, again = (
        json.loads((run / "config.json").read_text()) for run in (run_folder, folder)
    )
    changed = {key for key in record if record[key] != again[key]}
    assert changed <= {"output_dir", "run"}
    assert "Not stated" in card


@pytest.mark.nightly
def test_files_of_another_repository(hub, tmp_path):
    """Weights, and adapters for them."""
    model = small()
    keras_t2t.save_official(model, tmp_path / "model.safetensors")
    keras_t2t.add_adapters(model, 2)
    head = model.get_layer("head").kernel
    head.assign(np.ones(head.shape))
    keras_t2t.save_adapters(model, tmp_path / "x.lora.h5")
    hub.repositories["bob/own"] = {
        name: (tmp_path / name).read_bytes()
        for name in ("model.safetensors", "x.lora.h5")
    }
    loaded = small("hf://bob/own/model.safetensors")
    keras_t2t.load_adapters(loaded, "hf://bob/own/x.lora.h5")
    np.testing.assert_equal(arrays(loaded), arrays(model))
    words = ("convert", "hf://bob/own/model.safetensors", "--output")
    assert finished(*words, tmp_path / "new" / "x.weights.h5").returncode == 0


def test_addresses_that_do_not_exist(hub, monkeypatch):
    hub.repositories["bob/own"] = {"README.md": b"#"}
    hub.private.add("bob/hidden")
    of_no_address = "is no address on the hub: it must be hf://OWNER/NAME"
    for address, message in (
        ("hf://nobody/nothing", "does not exist on the hub, or is private"),
        ("hf://bob/hidden", "does not exist on the hub, or is private"),
        ("hf://bob/own@v9", "there is no such revision"),
        ("hf://bob/own/else.pth", "there is no such file"),
        ("hf://bob/own", "has no final.keras"),
        ("hf://bob", f"'hf://bob' {of_no_address}"),
        ("hf://bob/own/../../x.pth", of_no_address),
    ):
        refusal(fetched_file, address, match=message)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    message = "could not be downloaded, is there a network?"
    refusal(fetched_file, "hf://ada/digits", match=message, error=ConnectionError)


@pytest.mark.nightly
def test_a_command_whose_weights_are_not_on_the_hub(hub):
    done = finished("predict", "--weights", "hf://a/b", "x.png")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "'hf://a/b' does not exist on the hub" in done.stderr.splitlines()[-1]


def test_a_hub_that_refuses(written_run, hub):
    hub.token = "right"
    message = "this token may not write to 'ada/d"
    with pytest.raises(PermissionError, match=message):
        keras_t2t.push_to_hub(written_run(), "ada/digits", token="wrong")
    assert hub.repositories == {}


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


@pytest.fixture
def card_of(written_run, push):
    """Function: changes of a run's record -> its card."""
    return lambda **changes: push(written_run(**changes))["README.md"].decode()


ODD_NAMES = [
    *("<script>alert(1)</script>", "[free](http://x.example)", "a\n\n# Title\n```\nb"),
    *("www.x.example", "**b**", "`c`", "d|e", "    f", "\x1b[2J"),
]


def test_the_command_keeps_what_its_other_flags_would_change(card_of):
    changes = {"recipe": "small_scratch", "epochs": 20, "batch_size": 32}
    changes |= {"learning_rate": 5e-4, "warmup_epochs": 5.0}
    changes |= {"augmentation": "none", "mixup": 0.8}
    card = card_of(**changes)
    for name, value in changes.items():
        assert f"--{name.replace('_', '-')} {value}" in card
    card = card_of(weights="imagenet", normalization="imagenet")
    assert "--normalization imagenet" in card


def test_the_command_has_what_no_recipe_sets(card_of):
    asked = {"teacher": "ResNet50", "teacher_weight": 2.0, "fresh_head": True}
    asked |= {"validation_share": 0.4, "exif_orientation": False}
    card = card_of(weights="hf://a/b", **asked)
    flags = ("--teacher ResNet50", "--teacher-weight 2.0", "--validation-share 0.4")
    for flag in (*flags, "--no-exif-orientation", "--fresh-head"):
        assert flag in card
    card = card_of(own={"loss": {"function": "f"}})
    assert "had its own loss" in card and "```bash" not in card


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
    words = command_in(card)
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


def test_adapters_and_averages_are_published_while_they_are_there(written_run, push):
    run, parts = written_run(), ("adapters.lora.h5", "final_ema.keras")
    assert "lora" not in push(run)["README.md"].decode()
    for part in parts:
        (run / part).write_bytes(b"content")
    (run / "history.csv").unlink()
    published = push(run)
    assert "history.csv" not in published
    assert [published[part] for part in parts] == [b"content"] * 2
    code = 'keras_t2t.load_adapters(model, "hf://ada/photos/adapters.lora.h5")'
    assert code in published["README.md"].decode()
    for part in parts:
        (run / part).unlink()
    published = push(run)
    assert not set(parts) & set(published) and "final.keras" in published


@pytest.mark.parametrize("part", ["history.csv", "final.keras", "classes.json"])
def test_links_to_elsewhere_are_not_followed(part, written_run, push, tmp_path):
    run = written_run()
    (run / part).rename(tmp_path / "elsewhere")
    (run / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"{part} is a link"):
        push(run)


def test_what_cannot_be_published(written_run, push, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"lacks config\.json, classes\.json, "):
        push(tmp_path / "empty")
    for name in ("digits", "a/b/c", "a b/c"):
        with pytest.raises(ValueError, match="`name` must be OWNER/NAME, got"):
            keras_t2t.push_to_hub(tmp_path, name)
    with pytest.raises(ValueError, match="`license` must be an identifier"):
        push(written_run(), license="mit\n---\n# x")
    for changes, told in (
        ({"data": None}, "lacks `data`"),
        ({"data": {"name": "x"}}, "`data` lacks training images"),
        ({"versions": {"keras_t2t": "0.1"}}, "`versions` lacks keras"),
    ):
        with pytest.raises(ValueError, match=rf"config\.json {told}"):
            push(written_run(**changes))
    run = written_run()
    damaged = r"history\.csv is damaged"
    for name, content, told in (
        ("history.csv", "epoch,loss\n0,<b>\n", damaged),
        ("history.csv", "a b,c\n1,2\n", damaged),
        ("history.csv", "\x00", damaged),
        ("result.json", "[]", r"result\.json"),
        ("result.json", '{"result": {"epochs": 1, "val_top1": "x"}}', r"result\.json"),
    ):
        sound = (run / name).read_text()
        (run / name).write_text(content)
        with pytest.raises(ValueError, match=told):
            push(run)
        (run / name).write_text(sound)
