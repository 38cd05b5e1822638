"""The same images in every layout that `open_dataset` reads."""

import io
import json
import tarfile

import numpy as np

NAMES = ("cat", "dog")


def samples(files, split):
    """(name, label, bytes) of a split of files like `small_files`, in their order."""
    return [
        (path.split("/", 1)[1], NAMES.index(path.split("/")[1]), content)
        for path, content in files.items()
        if path.startswith(f"{split}/")
    ]


def write_parquet(folder, files, shards=2, names=NAMES, column="image"):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split, called in (("train", "train"), ("val", "validation")):
        rows = samples(files, split)
        for number, part in enumerate(np.array_split(np.arange(len(rows)), shards)):
            images = [{"bytes": rows[i][2], "path": rows[i][0]} for i in part]
            table = pa.table({column: images, "label": [rows[i][1] for i in part]})
            if names:
                table = table.replace_schema_metadata(metadata)
            path = folder / f"{called}-{number:05}-of-{shards:05}.parquet"
            pq.write_table(table, path, row_group_size=2)


def write_tars(folder, files, shards=2, labels="cls"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classnames.txt").write_text("\n".join(NAMES))
    for split, called in (("train", "train"), ("val", "validation")):
        rows = samples(files, split)
        for number, part in enumerate(np.array_split(np.arange(len(rows)), shards)):
            members = {}
            for i in part:
                name, label, content = rows[i]
                key = name.replace("/", "_").partition(".")[0]
                members[f"{key}.jpg"] = content
                text = str(label) if labels == "cls" else json.dumps({"label": label})
                members[f"{key}.{labels}"] = text.encode()
            write_tar(folder / f"pets-{called}-{number:04}.tar", members)


def write_tar(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


# WordNet's numbers, whose order is not that of the kit's own numbers.
SYNSETS = {"cat": "n02000002", "dog": "n01000001"}


def write_imagenet_tars(folder, files):
    """The two tars of image-net.org, and its development kit."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    inner = {name: {} for name in NAMES}
    for name, label, content in samples(files, "train"):
        inner[NAMES[label]][f"{SYNSETS[NAMES[label]]}_{name[4:]}"] = content
    outer = {}
    for name, members in inner.items():
        path = write_tar(folder / "inner.tar", members)
        outer[f"{SYNSETS[name]}.tar"] = path.read_bytes()
        path.unlink()
    write_tar(folder / "ILSVRC2012_img_train.tar", outer)
    rows = samples(files, "val")
    images = {
        f"ILSVRC2012_val_{i + 1:08}.JPEG": content
        for i, (_, _, content) in enumerate(rows)
    }
    # Not in the order of their numbers.
    write_tar(folder / "ILSVRC2012_img_val.tar", dict(reversed(list(images.items()))))
    table = np.zeros(3, [("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("words", "O")])
    table[:] = [
        (1, SYNSETS["cat"], "cat, true cat"),
        (2, SYNSETS["dog"], "dog"),
        (1001, "n00000000", "animal"),  # a group, not a class
    ]
    mat = io.BytesIO()
    savemat(mat, {"synsets": table})
    truth = "".join(f"{label + 1}\n" for _, label, _ in rows).encode()
    kit = folder / "ILSVRC2012_devkit_t12.tar.gz"
    with tarfile.open(kit, "w:gz") as archive:
        for name, content in (
            ("meta.mat", mat.getvalue()),
            ("ILSVRC2012_validation_ground_truth.txt", truth),
        ):
            member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/data/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_kaggle(folder, files):
    root = folder / "ILSVRC/Data/CLS-LOC"
    rows = ["ImageId,PredictionString"]
    for i, (_, label, content) in enumerate(samples(files, "val")):
        name = f"ILSVRC2012_val_{i + 1:08}"
        (root / "val").mkdir(parents=True, exist_ok=True)
        (root / "val" / f"{name}.JPEG").write_bytes(content)
        rows.append(f"{name},{NAMES[label]} 1 2 3 4 {NAMES[label]} 5 6 7 8 ")
    for name, _, content in samples(files, "train"):
        path = root / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "LOC_val_solution.csv").write_text("\n".join(rows))
