"""Names of classes beside files that hold numbers only."""

FILES = ("classnames.txt", "classes.txt")


def names_beside(*folders):
    """The lines of `classnames.txt` or `classes.txt` in the first folder that has one.

    Returns:
        Tuple of str, or None if there is no such file.

    Raises:
        ValueError: a line is empty, or the file is no UTF-8.
    """
    for path in (folder / name for folder in folders for name in FILES):
        if path.is_file():
            try:
                names = path.read_text("utf-8").splitlines()
            except UnicodeDecodeError:
                raise ValueError(f"data_dir: {path} is no UTF-8") from None
            if not names or not all(name.strip() for name in names):
                raise ValueError(
                    f"data_dir: {path} must hold the name of a class on every line"
                )
            return tuple(name.strip() for name in names)
    return None


def check_labels(labels, names, place):
    """Raises a ValueError unless every label is the number of a class, and has a name.

    Args:
        labels: (images,) integers.
        names: tuple of str; None for any number of classes.
        place: what holds the labels, for the error.
    """
    most = 2**31 if names is None else len(names)
    wrong = labels[(labels < 0) | (labels >= most)]
    if len(wrong):
        if names is None:
            raise ValueError(
                f"data_dir: {place} has the label {wrong[0]} ({len(wrong):,} of "
                f"{len(labels):,} images), which is no number of a class"
            )
        raise ValueError(
            f"data_dir: {place} has the label {wrong[0]} ({len(wrong):,} of "
            f"{len(labels):,} images), and there are names for 0 to {len(names) - 1}"
        )
