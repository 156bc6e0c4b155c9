"""The benchmark's report: a Markdown page with tables, and its figures beside it."""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import scoredm
from scoredm import peers
from scoredm.bench.analysis import Ranking, Results, known_mean, ranking, results, worst_cells
from scoredm.bench.suite import EXACT, METRICS, Suite
from scoredm.benchmark_targets import TARGETS
from scoredm.charts import benchmark as charts
from scoredm.metrics import METRICS as METRIC_TABLE
from scoredm.samplers import SAMPLERS
from scoredm.studies import Record

PAGE = "report.md"
DPI = 110
COLOURS = 64
MARKED = 6  # samplers in colour
RANKED = ("exact-sliced-wasserstein", "pathwise", "log-density", "weights")


def write(folder: Path, rows: Sequence[Record], suite: Suite) -> Path:
    """Write the report of a suite's rows.

    Args:
        folder: for the page and its figures.
        rows: of `running.run`, of one suite.
        suite: the suite.

    Returns:
        The path of the page.

    Raises:
        ValueError: no sampler has been run, or there is no complete cell to compare samplers in (see `analysis.ranking`).
    """
    ranked = {metric: results(rows, suite, metric) for metric in RANKED if _is_measured(rows, metric)}
    if RANKED[0] not in ranked:
        raise ValueError("no sampler has been run yet, so there is nothing to rank")
    ranks = {metric: ranking(found) for metric, found in ranked.items()}
    main = RANKED[0]
    _save(folder, "ranking.png", charts.mean_ranks([_ranks_part(ranked[m], ranks[m], m) for m in RANKED[:2] if m in ranked]))
    for place, setting in enumerate(suite.settings):
        name = f"error-{setting.name.replace(' ', '-').lower()}.png"
        _save(folder, name, _error_figure(ranked[main], ranks[main], place))
    if "pathwise" in ranked:
        _save(folder, "flow.png", _flow_figure(ranked["pathwise"], ranks["pathwise"]))
    _save(folder, "worst.png", _worst_figure(ranked[main], ranks[main]))
    parts = [
        _introduction(rows, suite),
        _what_is_run(suite),
        *(_ranking_part(ranked[metric], ranks[metric], metric) for metric in ranked),
        _error_part(suite, "pathwise" in ranked),
        _worst_part(ranked[main], ranks[main]),
        _failures(rows),
        _citing(suite),
    ]
    path = folder / PAGE
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _is_measured(rows: Iterable[Record], metric: str) -> bool:
    return any(metric in row["metrics"].split() and row["sampler"] != EXACT for row in rows)


def _save(folder: Path, name: str, figure: Figure) -> None:
    """Write a figure in few colours, which lines and labels do not miss, and which take a third of the bytes."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(folder / name, optimize=True)


# Figures.


def _ranks_part(found: Results, ranks: Ranking, metric: str) -> tuple[str, list[str], np.ndarray, np.ndarray, np.ndarray]:
    order = ranks.order
    return METRIC_TABLE[metric].title, [found.samplers[i] for i in order], ranks.mean[order], ranks.low[order], ranks.high[order]


def _error_figure(found: Results, ranks: Ranking, place: int) -> Figure:
    order = ranks.order
    marked = [found.samplers[i] for i in order[:MARKED]]
    errors = found.errors[order, :, place]
    title = f"{found.sdes[place]}: error above the sampling noise, with the best {len(marked)} samplers of all SDEs in colour"
    return charts.error_curves(marked, found.targets, found.budgets, errors, found.band, title, "sliced Wasserstein")


def _flow_figure(found: Results, ranks: Ranking) -> Figure:
    """Geometric means over targets, a panel for each SDE."""
    order = ranks.order
    with np.errstate(divide="ignore"):
        errors = np.exp(np.log(found.errors[order]).mean(1))
    marked = [found.samplers[i] for i in order[:MARKED]]
    title = "Distance to the exact flow: geometric mean over the targets"
    return charts.error_curves(marked, found.sdes, found.budgets, errors, np.zeros(len(found.sdes)), title, "distance")


def _worst_figure(found: Results, ranks: Ranking) -> Figure:
    order = ranks.order
    logs = np.log(found.ratios()[order])
    parts = [known_mean(logs, axes) for axes in ((2, 3), (1, 3), (1, 2))]
    columns = [*found.targets, *found.sdes, *(f"{count} NFE" for count in found.budgets)]
    title = "Value in units of the best sampler's: geometric means"
    return charts.ratio_map([found.samplers[i] for i in order], columns, np.exp(np.concatenate(parts, 1)), title)


# Sections of the page.


def _table(head: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    rule = "|" + "|".join(":--" if i < left else "--:" for i in range(len(head))) + "|"
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(line) + " |" for line in lines), ""])


def _introduction(rows: Sequence[Record], suite: Suite) -> str:
    found = sorted({row["sampler"] for row in rows} - {EXACT})
    versions = peers.versions()
    have = {name for name in peers.LIBRARIES if any(title.startswith(f"{name}/") for title in found)}
    sources = [f"{name} {versions[name]}" if name in versions else name for name in peers.LIBRARIES if name in have]
    missing = [name for name in peers.LIBRARIES if name not in have]
    text = f"""# Benchmark of samplers

Suite {suite.name}, run with scoredm {scoredm.__version__}: {len(found)} samplers, {len(rows)} runs. Every target is a Gaussian
mixture, so its score is exact, and what is measured is the error of the sampler alone.
"""
    if sources:
        text += f"\nSamplers of other libraries: {', '.join(sources)}.\n"
    if missing:
        text += f"\nNot in this run: {', '.join(missing)}.\n"
    return text


def _what_is_run(suite: Suite) -> str:
    adaptive = [key for key, sampler in SAMPLERS.items() if sampler.evaluations is None]
    targets = _table(["target", "what is hard about it"], ([f"`{target.name}`", target.caption] for target in TARGETS), 2)
    settings = _table(
        ["SDE", "time grid", "last time"],
        ([f"{each.name}, `{each.sde}`", f"`{each.grid}`", f"{each.t_min:g}"] for each in suite.settings),
        2,
    )
    return f"""## What is run

{targets}
All targets have mean 0 and a variance of 1 as a mean over the coordinates.

{settings}
Each sampler runs on this one grid of the SDE. A run has {_listed(suite.budgets)} evaluations of the score (NFE) to spend,
and takes as many steps as they pay for. There are {len(suite.seeds)} seeds, and {suite.n} points in each run.

All samplers start from the exact distribution at t = 1, from the same points for the same seed, and stop where the noise is 0.002
times the signal. None takes a last step of denoising, which would be one more evaluation. A sampler that chooses its own steps
({", ".join(adaptive)}) cannot be held to a budget, and is left out. With the rectified flow nothing of the data is left at t = 1,
and drift and diffusion are infinite there: samplers that need them begin with a step that uses only the mean of the data.
"""


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:-1])) + f" or {values[-1]}"


def _ranking_part(found: Results, ranks: Ranking, metric: str) -> str:
    order = ranks.order
    head = ["", "sampler", "mean rank", "90 %", "ratio", *(f"{count} NFE" for count in found.budgets), *found.sdes]
    lines = [
        [
            str(place),
            f"`{found.samplers[i]}`",
            f"{ranks.mean[i]:.1f}",
            f"{ranks.low[i]:.1f} to {ranks.high[i]:.1f}",
            _times(ranks.ratio[i]),
            *(f"{rank:.1f}" for rank in (*ranks.by_budget[i], *ranks.by_sde[i])),
        ]
        for place, i in enumerate(order, start=1)
    ]
    cells, all_cells = int(found.complete.sum()), found.complete.size
    text = f"## Ranking: {METRIC_TABLE[metric].title}\n\n{_explained(metric)}\n\n"
    text += f"Each rank is a mean over {cells} of the {all_cells} combinations of target, SDE and NFE. Rank 1 is the best of "
    text += f"{len(order)}.\n\n"
    if metric == RANKED[0]:
        text += HOW_RANKED + "\n![Mean ranks with their intervals](ranking.png)\n\n"
    table = _table(head, lines, 2)
    return text + (table if metric in RANKED[:2] else f"<details><summary>The table</summary>\n\n{table}\n</details>\n")


HOW_RANKED = """In each combination samplers are ranked by the geometric mean of the value over seeds. A value below the 95 %
point of exact samples of the same size counts as that point: all samplers that cannot be told apart from exact sampling share a
rank, the mean of the places that they fill. Samplers whose values differ by less than 0.1 % share a rank too. The intervals come
from a bootstrap over targets and over seeds, with the same seeds for all samplers. If two intervals overlap much, this suite
cannot say which sampler is better. *Ratio* is the median, over the combinations, of the value divided by that of the best one.
The last columns are mean ranks at one NFE, or with one SDE.
"""


def _explained(metric: str) -> str:
    caption = METRIC_TABLE[metric].caption
    if metric in METRICS:
        return caption
    return f"{caption} So it separates good samplers that the other metrics cannot tell apart."


def _times(ratio: float) -> str:
    return "failed" if np.isinf(ratio) else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _error_part(suite: Suite, with_flow: bool) -> str:
    text = """## Error against NFE

The error is the sliced Wasserstein distance v, with the sampling noise subtracted in squares:

    sqrt(max(mean_seeds v^2 - mean_exact v^2, 0))

The first mean is over the seeds of the sampler, the second over exact samples. In the shaded band an error cannot be told apart
from that of exact samples. The samplers with the best mean ranks are in colour, all others in grey.

"""
    for setting in suite.settings:
        text += f"![{setting.name}: error against NFE](error-{setting.name.replace(' ', '-').lower()}.png)\n\n"
    return text + "![Distance to the exact flow against NFE](flow.png)\n" * with_flow


def _worst_part(found: Results, ranks: Ranking) -> str:
    lines = []
    for i in ranks.order:
        worst = worst_cells(found, i)
        cells = [f"{_times(each.ratio)} × `{each.best}`: {each.target}, {each.sde}, {each.budget} NFE" for each in worst]
        lines.append([f"`{found.samplers[i]}`", "<br>".join(cells) or "nowhere"])
    return (
        "## Where each sampler is worst\n\nThe sliced Wasserstein distance divided by that of the best sampler: first its means "
        "(picture), then the three worst combinations of each sampler. “4.4 × `ddim`” means 4.4 times the distance of `ddim`, "
        "the best sampler there.\n\n![Where each sampler is worst](worst.png)\n\n"
        + _table(["sampler", "its three worst combinations"], lines, 2)
    )


def _failures(rows: Iterable[Record]) -> str:
    reasons: dict[str, Counter[str]] = {}
    for row in rows:
        if row["error"]:
            reasons.setdefault(row["sampler"], Counter())[row["error"].splitlines()[0][:90].replace("|", "/")] += 1
    if not reasons:
        return "## Failures\n\nNo run failed.\n"
    lines = [[f"`{name}`", str(count.total()), count.most_common(1)[0][0]] for name, count in sorted(reasons.items())]
    return "## Failures\n\nA failed run counts as worse than any other.\n\n" + _table(["sampler", "runs", "most often"], lines)


def _citing(suite: Suite) -> str:
    return f"""## Cite it, and run it

Cite scoredm, as its `CITATION.cff` says, with the version of the suite and the beginning of its SHA-256:

    scoredm {scoredm.__version__}, benchmark suite {suite.name} ({suite.digest[:16]})

Results of the same suite can be compared, whoever ran them. A change of a target, SDE, grid, budget, seed or metric makes a new
version, and a suite whose hash does not match its version is refused.

    python -m scoredm.bench --out FOLDER

runs the suite; if it was stopped, it continues. `FOLDER/rows.parquet` has a row for each run, with all its settings.
"""
