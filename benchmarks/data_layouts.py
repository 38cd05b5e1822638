"""Writes the images of folders train/<class>/* and val/<class>/* in the other layouts
that `open_dataset` reads.

Every writer takes the folder to fill and `files`, {path: bytes}, as of `read_folder`.
"""

import io
import json
import tarfile

import numpy as np


def read_folder(folder):
    """{path relative to it: bytes} of all files, sorted."""
    paths = sorted(path for path in folder.rglob("*/*/*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def class_names(files):
    return sorted({path.split("/")[1] for path in files})


def samples(files, split):
    """[(path without the split, label, bytes)], in their order."""
    names = class_names(files)
    return [
        (path.split("/", 1)[1], names.index(path.split("/")[1]), content)
        for path, content in files.items()
        if path.startswith(f"{split}/")
    ]


def shards_of(files, number):
    """Yields (split as it is called, number, samples) of each shard."""
    for split, called in (("train", "train"), ("val", "validation")):
        rows = samples(files, split)
        for i, part in enumerate(np.array_split(np.arange(len(rows)), number)):
            yield called, i, [rows[place] for place in part]


def write_folders(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_parquet(folder, files, shards=2, column="image", rows_each=100, named=True):
    """As a hub keeps a data set, in row groups of `rows_each` images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    features = {"label": {"names": class_names(files), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for called, number, rows in shards_of(files, shards):
        images = [{"bytes": content, "path": name} for name, _, content in rows]
        table = pa.table({column: images, "label": [label for _, label, _ in rows]})
        if named:
            table = table.replace_schema_metadata(metadata)
        path = folder / f"{called}-{number:05}-of-{shards:05}.parquet"
        pq.write_table(table, path, row_group_size=rows_each)


def write_tars(folder, files, shards=2, labels="cls"):
    """WebDataset's shards; `labels` is the suffix of the files that hold them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classnames.txt").write_text("\n".join(class_names(files)))
    for called, number, rows in shards_of(files, shards):
        members = {}
        for name, label, content in rows:
            key = name.replace("/", "_").partition(".")[0]
            members[f"{key}.jpg"] = content
            text = str(label) if labels == "cls" else json.dumps({"label": label})
            members[f"{key}.{labels}"] = text.encode()
        write_tar(folder / f"pets-{called}-{number:04}.tar", members)


def write_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def synset(label):
    """A number like WordNet's, whose order is not that of the labels."""
    return f"n{9_000_000 - label:08}"


def write_imagenet_tars(folder, files):
    """The two tars of image-net.org, and its development kit."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    names = class_names(files)
    inner = [{} for _ in names]
    for name, label, content in samples(files, "train"):
        inner[label][f"{synset(label)}_{name.split('/')[1]}"] = content
    outer = {}
    for label, members in enumerate(inner):
        path = write_tar(folder / "inner.tar", members)
        outer[f"{synset(label)}.tar"] = path.read_bytes()
        path.unlink()
    write_tar(folder / "ILSVRC2012_img_train.tar", outer)
    rows = samples(files, "val")
    images = {
        f"ILSVRC2012_val_{i + 1:08}.JPEG": content
        for i, (_, _, content) in enumerate(rows)
    }
    # In another order than their numbers', and than that order's inverse.
    turned = [*images.items()][1:] + [*images.items()][:1]
    write_tar(folder / "ILSVRC2012_img_val.tar", dict(turned))
    kinds = [("ILSVRC2012_ID", "i4"), ("WNID", "O"), ("words", "O")]
    table = np.zeros(len(names) + 1, kinds)
    table[:-1] = [(i + 1, synset(i), f"{name}, it") for i, name in enumerate(names)]
    table[-1] = (1001, "n00000000", "a group, not a class")
    mat = io.BytesIO()
    savemat(mat, {"synsets": table})
    truth = "".join(f"{label + 1}\n" for _, label, _ in rows).encode()
    kit = {"meta.mat": mat.getvalue(), "ILSVRC2012_validation_ground_truth.txt": truth}
    kit = {f"ILSVRC2012_devkit_t12/data/{k}": content for k, content in kit.items()}
    write_tar(folder / "ILSVRC2012_devkit_t12.tar.gz", kit, "w:gz")


def write_kaggle(folder, files):
    root = folder / "ILSVRC/Data/CLS-LOC"
    names = class_names(files)
    rows = ["ImageId,PredictionString"]
    images = {f"train/{name}": image for name, _, image in samples(files, "train")}
    for i, (_, label, content) in enumerate(samples(files, "val")):
        name = f"ILSVRC2012_val_{i + 1:08}"
        images[f"val/{name}.JPEG"] = content
        rows.append(f"{name},{names[label]} 1 2 3 4 {names[label]} 5 6 7 8 ")
    write_folders(root, images)
    (folder / "LOC_val_solution.csv").write_text("\n".join(rows))


WRITERS = {
    "folders": write_folders,
    "parquet": write_parquet,
    "tars": write_tars,
    "kaggle": write_kaggle,
}
