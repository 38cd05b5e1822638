"""Table and figures of the study, from the run folders alone."""

import csv
import math
import statistics
from pathlib import Path

from benchmarks.claim_designs import DESIGNS, costs
from benchmarks.claim_runs import finals

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
    written[1].write_text(markdown(rows) + "\n" + feature_table(results) + "\n")
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


def markdown(rows):
    lines = [
        "| design | images | top-1, % | T2T minus it | parameters | MACs | core s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        ahead = f"{row['t2t_minus_it']:+.1f} ± {row['t2t_minus_it_95']:.1f}"
        lines.append(
            f"| {DESIGNS[row['design']].title} | {row['images']:,} | {row['top1']:.1f} "
            f"± {row['top1_95']:.1f} | {'' if row['design'] == 't2t' else ahead} | "
            f"{row['parameters'] / 1e6:.2f} M | {row['macs'] / 1e6:.1f} M | "
            f"{row['cpu_seconds']} |"
        )
    return "\n".join(lines) + "\n"


def feature_table(results):
    """The first, a middle and the last stage of each design at its most images."""
    lines = [
        "| design | stage | dead channels | redundancy (of noise) | distance, px |",
        "| --- | --- | --- | --- | --- |",
    ]
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
            distance = f"{statistics.mean(distances):.1f}" if distances else ""
            lines.append(
                f"| {design.title} | {stages[i]} | "
                f"{statistics.mean(column['dead_share']):.1%} | "
                f"{statistics.mean(column['redundancy']):.2f} "
                f"({column['redundancy_of_noise'][0]:.2f}) | {distance} |"
            )
    return "\n".join(lines)


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
