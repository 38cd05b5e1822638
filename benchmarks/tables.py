"""Tables in Markdown, and the part of a page that a script writes."""


def line(cells):
    return f"| {' | '.join(map(str, cells))} |\n"


def table(head, rows, rule="---"):
    """Markdown of a heading and rows; where a row is shorter, its last cells are empty.

    `rule` stands below the heading of every column but the first.
    """
    width = len(head)
    rows = [[*row, *[""] * (width - len(row))] for row in rows]
    return "".join(map(line, [head, ["---", *[rule] * (width - 1)], *rows]))


def with_part(page, begin, end, part):
    """The page with `part` between two of its lines."""
    before, opened, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"the page must hold the lines {begin!r} and {end!r}")
    return f"{before}{begin}\n{part}\n{end}{after}"
