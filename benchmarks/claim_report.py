"""Table and figures of the study, from the run folders alone."""

import csv
import json
import math
import statistics
from pathlib import Path

from benchmarks.claim_designs import DESIGNS, costs
from benchmarks.claim_runs import best_rate, finals, searches

# Student's t for a two-sided 95% interval, by degrees of freedom.
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571}


def write_report(output):
    """Writes `claim.csv`, `claim.md` and `claim.png`.

    Args:
        output: folder of the run folders; the files go beside them.

    Returns:
        Paths of what was written.

    Raises:
        ValueError: no final run is finished.
    """
    output = Path(output)
    results = final_results(output)
    if not results:
        raise ValueError(f"{output} holds no finished run")
    rows = table(results)
    written = [output / name for name in ("claim.csv", "claim.md", "claim.png")]
    with open(written[0], "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    tables = [search_table(output), *top1_tables(rows), feature_table(results)]
    if accelerated := accelerator_results(output):
        tables += [accelerator_table(accelerated), feature_table(accelerated)]
    written[1].write_text("\n".join(tables), encoding="utf-8")
    figure(results, rows).savefig(written[2], dpi=150)
    return written


def final_results(output):
    """{(design, images): [result of each seed]}, of the rates that the search chose."""
    found = {}
    for run in finals(output):
        if result := run.result(output):
            found.setdefault((run.design, run.images), []).append(result)
    return found


def mean_and_interval(values):
    """The mean, and half the width of its 95% interval; nan for one value."""
    if len(values) < 2:
        return statistics.mean(values), float("nan")
    error = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), T_95[len(values) - 1] * error


def table(results):
    """A dict per design and number of images; top-1 in percent."""
    counted, first = costs(), next(iter(DESIGNS))
    rows = []
    for (name, images), runs in sorted(
        results.items(), key=lambda item: (item[0][1], list(DESIGNS).index(item[0][0]))
    ):
        mean, interval = mean_and_interval([100 * run["top1"] for run in runs])
        # By seed: what the seed does to both is no difference between them.
        others = {run["seed"]: run for run in results.get((first, images), ())}
        pairs = [
            100 * (others[run["seed"]]["top1"] - run["top1"])
            for run in runs
            if run["seed"] in others
        ]
        ahead, ahead_interval = mean_and_interval(pairs) if pairs else (math.nan,) * 2
        rows.append(
            {
                "design": name,
                "images": images,
                "seeds": len(runs),
                "top1": round(mean, 2),
                "top1_95": round(interval, 2),
                "t2t_minus_it": round(ahead, 2),
                "t2t_minus_it_95": round(ahead_interval, 2),
                "parameters": counted[name].parameters,
                "macs": counted[name].macs,
                "cpu_seconds": round(statistics.mean(r["cpu_seconds"] for r in runs)),
                "learning_rate": runs[0]["rate"],
            }
        )
    return rows


def search_table(output):
    """Top-1 on held-out images by learning rate, the chosen in bold.

    Also the median of the seconds of one core that its runs took.
    """
    runs = searches()
    rates = sorted({run.rate for run in runs})
    rows = []
    for name, design in DESIGNS.items():
        found = {run.rate: run.result(output) for run in runs if run.design == name}
        chosen = best_rate(output, name)
        cells = []
        for rate in rates:
            cell = f"{100 * found[rate]['top1']:.1f}" if found[rate] else ""
            cells.append(f"**{cell}**" if rate == chosen else cell)
        seconds = [result["cpu_seconds"] for result in found.values() if result]
        median = f"{statistics.median(seconds):.0f}" if seconds else ""
        rows.append([design.title, *cells, median])
    head = ["top-1 on held-out images, %, at a rate of", *(f"{r:g}" for r in rates)]
    return lines([*head, "seconds of one core"], rows)


def top1_tables(rows):
    """Top-1 by design and number of images, and the first design's lead over the
    others, both in percent."""
    images = sorted({row["images"] for row in rows})
    columns = [f"{n:,} images" for n in images]
    top1, leads = [], []
    for name, design in DESIGNS.items():
        mine = {row["images"]: row for row in rows if row["design"] == name}
        if not mine:
            continue
        row = next(iter(mine.values()))
        cost = [f"{row['parameters'] / 1e6:.2f} M", f"{row['macs'] / 1e6:.1f} M"]
        cells = [
            (mine[n]["top1"], mine[n]["top1_95"]) if n in mine else None for n in images
        ]
        top1.append([design.title, *cost, *(plus_minus(cell) for cell in cells)])
        if name != next(iter(DESIGNS)):
            cells = [
                (mine[n]["t2t_minus_it"], mine[n]["t2t_minus_it_95"])
                if n in mine
                else None
                for n in images
            ]
            leads.append([design.title, *(plus_minus(cell, "+") for cell in cells)])
    return (
        lines(["top-1, %", "parameters", "MACs", *columns], top1),
        lines(["T2T tokens minus", *columns], leads),
    )


def plus_minus(mean_and_half, sign=""):
    """One cell; empty for None."""
    if mean_and_half is None:
        return ""
    mean, half = mean_and_half
    return f"{mean:{sign}.1f}" + ("" if math.isnan(half) else f" ± {half:.1f}")


def lines(head, rows):
    """A Markdown table."""
    all_rows = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in all_rows)


def feature_table(results):
    """The first, a middle and the last stage of each design at its most images."""
    rows = []
    for name, design in DESIGNS.items():
        images = max((n for d, n in results if d == name), default=None)
        if images is None:
            continue
        runs = [run for run in results[name, images] if run["features"]]
        stages = [row["stage"] for row in runs[0]["features"]] if runs else []
        for i in sorted({0, len(stages) // 2, len(stages) - 1} if stages else ()):
            column = {
                key: [run["features"][i][key] for run in runs]
                for key in runs[0]["features"][i]
            }
            distances = [x for x in column["attention_distance"] if x is not None]
            rows.append(
                [
                    design.title,
                    stages[i],
                    f"{statistics.mean(column['dead_share']):.1%}",
                    f"{statistics.mean(column['redundancy']):.2f} "
                    f"({column['redundancy_of_noise'][0]:.2f})",
                    f"{statistics.mean(distances):.1f}" if distances else "",
                ]
            )
    head = ["design", "stage", "dead channels", "redundancy (of noise)"]
    return lines([*head, "attention distance, px"], rows)


def accelerator_results(output):
    """{(design, images): [result]} of `claim_accelerator.py`."""
    found = {}
    for name in DESIGNS:
        path = output / "accelerator" / name / "result.json"
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            found[name, result["images"]] = [result]
    return found


def accelerator_table(results):
    """What each run says, and its images per second from its median epoch."""
    rows = []
    for (name, images), (run,) in results.items():
        speed = images / statistics.median(run["seconds"])
        rows.append(
            [
                DESIGNS[name].title,
                run["device"],
                f"{images:,} x {len(run['loss'])}",
                f"{run['size']} px",
                f"{100 * run['top1']:.1f}",
                f"{run['loss'][-1]:.3f}",
                f"{100 * run['training_top1'][-1]:.1f}",
                f"{speed:,.0f}",
            ]
        )
    head = ["design", "on", "images x epochs", "size", "top-1, %"]
    return lines([*head, "training loss", "training top-1, %", "images per s"], rows)


def figure(results, rows):
    """Training loss over the epochs, and top-1 over the number of images."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = drawn.subplots(1, 2)
    trained = [images for _, images in results]
    most = max(trained, key=lambda images: (trained.count(images), images))
    for i, (name, design) in enumerate(DESIGNS.items()):
        mine = [row for row in rows if row["design"] == name]
        if not mine:
            continue
        line = right.errorbar(
            [row["images"] * 1.015 ** (i - 2) for row in mine],  # beside each other
            [row["top1"] for row in mine],
            [0 if math.isnan(row["top1_95"]) else row["top1_95"] for row in mine],
            marker=".",
            capsize=3,
            label=design.title,
        )
        if runs := results.get((name, most)):
            losses = zip(*(run["loss"] for run in runs), strict=True)
            mean = [statistics.mean(epoch) for epoch in losses]
            colour = line.lines[0].get_color()
            left.plot(range(1, len(mean) + 1), mean, color=colour)
    left.set(xlabel="epoch", ylabel="training loss", title=f"{most:,} training images")
    right.set(
        xscale="log",
        xlabel="training images",
        ylabel="top-1 on 10,000 test images, %",
        title="mean over seeds, 95% interval",
    )
    images = sorted({images for _, images in results})
    right.set_xticks(images, [f"{n:,}" for n in images])
    right.minorticks_off()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    drawn.legend(loc="outside lower center", ncols=3, frameon=False)
    return drawn
