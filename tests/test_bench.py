"""The benchmark: a frozen suite, rows that are gone on with, ranks that are right where they are known, and a report of them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from scoredm import SAMPLERS, Sampler, bench, ddim, studies
from scoredm.bench import report, running, suite
from scoredm.bench.__main__ import main
from scoredm.bench.analysis import ranking, results, worst_cells
from scoredm.bench.suite import EXACT, FULL, METRICS, QUICK, SETTINGS, Cell, jobs
from scoredm.benchmark_targets import PREFIX, TARGETS
from scoredm.canonical import canonical_text
from tests.common import PATIENCE

ROOT = Path(__file__).parents[1]
SMALL = replace(QUICK, settings=SETTINGS[2:3], budgets=(5,), n=50, floor_seeds=3)
OURS = [name for name, sampler in SAMPLERS.items() if sampler.evaluations is not None]
ONE_SEED = len(TARGETS) * len(SMALL.settings) * len(SMALL.budgets)  # runs of a sampler


class Inline(Executor):
    """Runs each call at once."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except ValueError as error:
            future.set_exception(error)
        return future


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a suite of seconds in the place of the quick one."""
    monkeypatch.setattr(running, "QUICK", SMALL)
    monkeypatch.setattr(suite, "DIGESTS", {SMALL.name: SMALL.digest})


@pytest.fixture
def small(monkeypatch, request) -> list[studies.Job]:
    """A suite of seconds, without its report unless a test asks for it; the jobs that are performed."""
    performed, perform = [], studies.perform
    if "with_report" not in request.fixturenames:
        monkeypatch.setattr(report, "write", lambda folder, _rows, _suite: folder / report.PAGE)
    make_small(monkeypatch)
    monkeypatch.setattr(studies, "perform", lambda job: (performed.append(job), perform(job))[1])
    return performed


@pytest.fixture
def with_report(monkeypatch) -> None:
    """Asks for the report, without its figures."""
    monkeypatch.setattr(report, "_save", lambda *_: None)


def rows_of(folder: Path) -> dict[Cell, studies.Record]:
    return {Cell.of(row): row for row in studies.load_rows(folder / running.ROWS)}


# The suite.


def test_the_suites_are_those_that_were_published():
    for each in (FULL, QUICK):
        suite.check(each)


@pytest.mark.parametrize("changed", [{"budgets": (5, 21)}, {"n": 201}, {"seeds": (1,)}, {"settings": QUICK.settings[::-1]}])
def test_a_changed_suite_is_refused_with_both_hashes(changed):
    other = replace(QUICK, **changed)
    with pytest.raises(ValueError, match=f"has the SHA-256 {other.digest}; it must be {QUICK.digest}: .* another version"):
        suite.check(other)


def test_a_suite_with_a_changed_target_is_refused(monkeypatch):
    monkeypatch.setattr(suite, "TARGETS", (replace(TARGETS[0], sha256="0" * 64), *TARGETS[1:]))
    with pytest.raises(ValueError, match="the suite '1' has the SHA-256"):
        suite.check(FULL)


def test_the_suite_is_the_one_that_was_asked_for():
    assert (len(TARGETS), [each.name for each in FULL.settings]) == (10, ["VE", "VP", "rectified flow", "EDM"])
    assert (FULL.budgets, FULL.seeds) == ((5, 10, 20, 50, 100), (0, 1, 2, 3, 4, 5, 6, 7))
    least = min(float(suite.mixture(PREFIX + target.name).principal_axes[0].min().sqrt()) for target in TARGETS)
    for setting in FULL.settings:
        alpha, sigma = setting.sde.scales(setting.t_min)
        assert sigma / alpha == pytest.approx(0.002, rel=2e-3)
        assert sigma / alpha < least / 7


def test_every_sampler_has_the_same_starts_times_and_budget():
    ours = [name for name in suite.samplers() if isinstance(name, str)]
    assert set(SAMPLERS) - set(ours) == {"rk45"}
    found = jobs(FULL, ours)
    runs = {cell: job for cell, job in found.items() if cell.sampler != EXACT}
    assert len(runs) == len(ours) * 10 * 4 * 5 * 8
    for cell, job in runs.items():
        cost = job.method.expected_nfe(job.steps)
        assert cost <= cell.budget < cost + job.method.expected_nfe(1), "not one step more could be paid for"
        assert not job.denoise and job.prior == "exact" and job.n == 1000 and job.seed == cell.seed
        assert ("pathwise" in job.metrics) is not job.method.stochastic
    assert len({(job.sde, job.grid, job.t_min) for job in runs.values()}) == 4, "one grid for each SDE"


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (["dimm"], "sampler is 'dimm'; it must be one of euler-maruyama, .*, or a Sampler"),
        (["rk45"], "sampler is 'rk45', which chooses its own steps"),
        ([ddim], "it must be a name, or a Sampler that says its title and its evaluations a step"),
        (["ddim", "ddim"], "samplers are ddim, ddim; each must have a title of its own"),
        ([Sampler(EXACT, lambda: ddim)], f"none may be '{EXACT}'"),
    ],
)
def test_samplers_that_are_not_allowed_are_refused_in_words(methods, words):
    with pytest.raises(ValueError, match=words):
        jobs(QUICK, methods)


# Running.


def test_what_is_done_is_not_run_again(small, tmp_path):
    page = bench.run(tmp_path, Inline(), ["ancestral"], quick=True)
    assert len(small) == ONE_SEED + len(TARGETS) * SMALL.floor_seeds
    first = rows_of(tmp_path)
    assert page == tmp_path / "report.md"
    small.clear()
    bench.run(tmp_path, Inline(), ["ancestral"], quick=True)
    assert small == []
    bench.run(tmp_path, Inline(), ["ancestral", "euler-maruyama"], quick=True)
    assert {job.sampler for job in small} == {"euler-maruyama"}
    assert len(small) == ONE_SEED
    assert first.items() <= rows_of(tmp_path).items()


class Shifted:
    """A step of DDIM that misses by a little."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, sde, score_fn, x, t, t_next, noise):
        return ddim(sde, score_fn, x, t, t_next, noise) + self.by


def own(by: float) -> Sampler:
    return Sampler("Own", lambda: Shifted(by), stochastic=True)


def test_a_sampler_of_ones_own_that_is_changed_takes_the_place_of_what_it_was(small, tmp_path):
    bench.run(tmp_path, Inline(), [own(0.1)], quick=True)
    before = rows_of(tmp_path)
    small.clear()
    bench.run(tmp_path, Inline(), [own(0.2)], quick=True)
    after = rows_of(tmp_path)
    assert len(small) == ONE_SEED
    assert before.keys() == after.keys()
    changed = [cell.sampler for cell in after if before[cell]["key"] != after[cell]["key"]]
    assert changed == ["Own"] * ONE_SEED


def stumble(sde, score_fn, x, t, t_next, noise):
    raise KeyError("no such thing")


def test_a_run_that_fails_says_why_is_ranked_last_and_is_tried_again(small, with_report, tmp_path):
    page = bench.run(tmp_path, Inline(), [Sampler("Broken", lambda: stumble, stochastic=True), "ancestral"], quick=True)
    words = page.read_text(encoding="utf-8")
    assert re.search(r"\| 2 \| `Broken` \| 2.0 \| 2.0 to 2.0 \| failed \|", words)
    assert f"| `Broken` | {ONE_SEED} | KeyError: 'no such thing' |" in words
    small.clear()
    bench.run(tmp_path, Inline(), [Sampler("Broken", lambda: stumble, stochastic=True), "ancestral"], quick=True)
    assert len(small) == ONE_SEED


def test_a_lost_worker_is_told_in_each_of_its_rows(small, tmp_path, monkeypatch):
    perform_all = running.perform_all

    def lose(several):
        if several[0].target.endswith("2d-grid") and several[0].sampler == "ancestral":
            raise ValueError("the worker is gone")
        return perform_all(several)

    monkeypatch.setattr(running, "perform_all", lose)
    bench.run(tmp_path, Inline(), ["ancestral"], quick=True)
    assert [cell.target for cell, row in rows_of(tmp_path).items() if row["error"] == "ValueError: the worker is gone"] == [
        PREFIX + "2d-grid"
    ]


def test_rows_are_kept_when_it_is_interrupted(small, with_report, tmp_path):
    def interrupt(done: int, _total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(tmp_path, Inline(), ["ancestral"], quick=True, progress=interrupt)
    kept = rows_of(tmp_path)
    assert 12 <= len(kept) <= 14, "a group has 1 or 3 jobs"
    with pytest.raises(ValueError, match="no noise floor|nothing to rank"):
        running.write_report(tmp_path, quick=True)
    small.clear()
    bench.run(tmp_path, Inline(), ["ancestral"], quick=True)
    assert len(small) == ONE_SEED + len(TARGETS) * SMALL.floor_seeds - len(kept)


def test_rows_of_exact_samples_alone_are_no_report(small, with_report, tmp_path):
    bench.run(tmp_path, Inline(), ["ancestral"], quick=True)
    rows = [row for row in rows_of(tmp_path).values() if row["sampler"] == EXACT]
    with pytest.raises(ValueError, match="nothing to rank"):
        report.write(tmp_path, rows, SMALL)


def test_jobs_that_are_left_when_a_process_is_told_to_stop_say_so(small, monkeypatch):
    stop = get_context("spawn").Event()
    monkeypatch.setattr(running, "_stop", [stop])
    several = list(jobs(SMALL, []).values())[:2]
    assert [row["error"] for row in running.perform_all(several)] == ["", ""]
    stop.set()
    assert [row["error"] for row in running.perform_all(several)] == ["interrupted"] * 2
    assert len(small) == 2


def test_what_a_process_cannot_be_sent_is_refused_before_anything_is_done(tmp_path):
    with ProcessPoolExecutor(1) as pool, pytest.raises(ValueError, match="cannot be sent to a process: .* define it with def"):
        bench.run(tmp_path / "new", pool, [own(0.1)], quick=True)
    assert not (tmp_path / "new").exists()


def test_exact_samples_are_fresh_for_each_seed_and_exact(small, tmp_path):
    """Their mean squared distances are those of the noise floor as `noise_floor` measures it."""
    found = [job for cell, job in jobs(replace(SMALL, n=400), []).items() if cell.target == PREFIX + "2d-far"]
    ends = [studies.end_points(job) for job in found]
    assert [end.nfe for end in ends] == [0, 0, 0]
    assert not torch.equal(ends[0].x, ends[1].x)
    x = torch.cat([end.x for end in ends]).double()
    target = suite.mixture(PREFIX + "2d-far")
    weights = target.responsibilities(x).mean(0)
    spread = (target.weights * (1 - target.weights) / len(x)).sqrt()
    assert float(((weights - target.weights) / spread).abs().max()) < 4
    assert float(target.log_prob(x).mean()) == pytest.approx(float(target.log_prob(target.sample(100_000)).mean()), abs=0.15)


# Analysis: planted values.


def planted(
    value: Callable[..., float], names: Iterable[str], of: suite.Suite = FULL, floor: float = 1e-3
) -> list[studies.Record]:
    """Rows of a suite with known values; the floor's values are between 0.9 and 1.1 of a number."""
    cells = [
        Cell(of.name, name, PREFIX + target.name, canonical_text(setting.sde), budget, seed)
        for name in names
        for target in TARGETS
        for setting in of.settings
        for budget in of.budgets
        for seed in of.seeds
    ]
    exact = [
        Cell(of.name, EXACT, PREFIX + target.name, canonical_text(of.settings[0].sde), 0, seed)
        for target in TARGETS
        for seed in range(21)
    ]
    rows = [cell._asdict() | dict.fromkeys(METRICS, value(cell)) for cell in cells]
    rows += [cell._asdict() | dict.fromkeys(METRICS, floor * (0.9 + 0.01 * cell.seed)) for cell in exact]
    return [row | {"metrics": " ".join(METRICS), "error": "", "key": str(i)} for i, row in enumerate(rows)]


def ranked(rows):
    found = results(rows, FULL, METRICS[0])
    return found, ranking(found, draws=200)


def test_what_is_better_everywhere_ranks_first_without_doubt():
    found, ranks = ranked(planted(lambda cell: {"A": 1.0, "B": 2.0, "C": 6.0}[cell.sampler], "CBA"))
    assert [found.samplers[i] for i in ranks.order] == ["A", "B", "C"]
    for values in (ranks.mean, ranks.low, ranks.high):
        np.testing.assert_allclose(values, [1, 2, 3])
    np.testing.assert_allclose(ranks.ratio, [1, 2, 6])
    assert ranks.by_budget.shape == (3, 5) and ranks.by_sde.shape == (3, 4)


def test_equal_samplers_have_overlapping_intervals_and_their_chance_is_covered():
    draws = np.random.default_rng(0)
    found, ranks = ranked(planted(lambda _cell: float(np.exp(draws.normal())), "ABCD"))
    assert len(found.samplers) == 4
    assert float(ranks.low.max()) < float(ranks.high.min())
    assert (ranks.low < 2.5).all() and (ranks.high > 2.5).all(), "2.5 is the rank of each"


def test_chance_that_samplers_share_does_not_blur_their_order():
    """A is better by a tenth in each run, and runs differ by factors of e."""
    common: dict[tuple, float] = {}
    draws = np.random.default_rng(0)

    def value(cell: Cell) -> float:
        shared = common.setdefault(cell._replace(sampler=""), float(np.exp(draws.normal())))
        return shared * {"A": 0.9, "B": 1.0}[cell.sampler]

    _, ranks = ranked(planted(value, "AB"))
    np.testing.assert_allclose([ranks.mean, ranks.low, ranks.high], [[1, 2]] * 3)


def test_what_is_within_the_noise_shares_a_rank():
    found, ranks = ranked(planted(lambda cell: {"A": 0.2e-3, "B": 1e-3, "C": 1.2e-3}[cell.sampler], "ABC"))
    assert found.noise == pytest.approx(1.09e-3)
    np.testing.assert_allclose(ranks.mean, [1.5, 1.5, 3])
    np.testing.assert_allclose(ranks.ratio, [1, 1, 1.2 / 1.09], rtol=1e-6)


def test_what_differs_by_rounding_alone_shares_a_rank():
    _, ranks = ranked(planted(lambda cell: {"A": 1.0, "B": 1.0 + 1e-6, "C": 1.01}[cell.sampler], "ABC"))
    np.testing.assert_allclose(ranks.mean, [1.5, 1.5, 3])


def test_the_error_is_what_the_noise_does_not_explain():
    floor = 0.3
    mean_square = np.mean((floor * (0.9 + 0.01 * np.arange(21))) ** 2)
    found, _ = ranked(planted(lambda cell: float(np.sqrt(cell.budget**-2.0 + mean_square)), "A", floor=floor))
    np.testing.assert_allclose(found.errors[0], np.broadcast_to(1 / np.array(FULL.budgets), (10, 4, 5)), rtol=1e-9)
    np.testing.assert_allclose(found.band, np.sqrt((floor * 1.09) ** 2 - mean_square))
    assert (ranked(planted(lambda _cell: 0.25, "A", floor=floor))[0].errors == 0).all()


def test_where_a_sampler_is_worst_is_found_with_the_best_one_there():
    bad = (PREFIX + "2d-spiral", canonical_text(SETTINGS[3].sde), 50)

    def value(cell: Cell) -> float:
        return 7.0 if cell.sampler == "A" and (cell.target, cell.sde, cell.budget) == bad else {"A": 1.0, "B": 2.0}[cell.sampler]

    found, ranks = ranked(planted(value, "AB"))
    (worst,) = worst_cells(found, 0)
    assert worst == (pytest.approx(3.5), "2d-spiral", "EDM", 50, "B")
    assert [each.ratio for each in worst_cells(found, 1)] == [2.0] * 3
    assert ranks.mean[0] == pytest.approx(1 + 1 / 200)


def test_cells_with_missing_runs_are_left_out():
    rows = planted(lambda cell: {"A": 1.0, "B": 2.0}[cell.sampler], "AB")
    gone = PREFIX + "1d-unequal"
    some = [row for row in rows if not (row["sampler"] == "A" and row["target"] == gone and row["seed"] == 3)]
    some = [row | dict.fromkeys(METRICS, 0.5) if row["sampler"] == "B" and row["target"] == gone else row for row in some]
    found, ranks = ranked(some)
    assert int((~found.complete).sum()) == 4 * 5
    np.testing.assert_allclose(ranks.mean, [1, 2])
    with pytest.raises(ValueError, match="nothing to rank"):
        ranked([row for row in rows if row["seed"] != 3 or row["sampler"] == EXACT])


# The report.


def test_the_report_has_its_tables_and_figures(tmp_path):
    rows = planted(lambda cell: {"A": 1.0, "B": 2.0, "azula/ddim": 3.0}[cell.sampler], ["A", "B", "azula/ddim"], QUICK)
    words = report.write(tmp_path, rows, QUICK).read_text(encoding="utf-8")
    assert re.search(r"\| 1 \| `A` \| 1.0 \| 1.0 to 1.0 \| 1.00 \|", words)
    assert re.search(r"\| 3 \| `azula/ddim` \| 3.0 \| 3.0 to 3.0 \| 3.00 \|", words)
    figures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", words)
    assert figures == ["ranking.png", "error-vp.png", "error-rectified-flow.png", "worst.png"]
    for name in figures:
        data = (tmp_path / name).read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) > 1000
    assert "Not in this run: diffusers, k-diffusion." in words
    assert f"benchmark suite 1 quick ({QUICK.digest[:16]})" in words
    assert "No run failed." in words
    for target in TARGETS:
        assert f"| `{target.name}` | {target.caption} |" in words


# The command.


# The tests may have been started to ignore Ctrl-C.
HEEDING = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from scoredm.bench.__main__ import main
{}
sys.exit(main(sys.argv[1:]))"""
SMALLER = """from tests.test_bench import SMALL, report, running, suite
running.QUICK, suite.DIGESTS, report._save = SMALL, {SMALL.name: SMALL.digest}, lambda *_: None"""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("quick", "first", "names", "figures"),
    [
        pytest.param(SMALL, SMALLER, ["ancestral", "euler-maruyama"], set(), id="small"),
        pytest.param(QUICK, "", OURS, {"ranking.png", "flow.png"}, id="quick"),
    ],
)
def test_the_benchmark_is_interrupted_and_goes_on_to_its_report(tmp_path, quick, first, names, figures):
    if sys.platform == "win32":
        pytest.skip("Ctrl-C is sent to a group of processes in another way there")
    arguments = [sys.executable, "-c", HEEDING.format(first), "--quick", "--out", str(tmp_path), "--workers", "2"]
    arguments += ["--samplers", *names]
    with subprocess.Popen(
        arguments, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as running_process:
        assert running_process.stderr is not None
        while not running_process.stderr.read(1).isdigit():  # its progress begins
            assert running_process.poll() is None, "it ended before it began"
        os.killpg(running_process.pid, signal.SIGINT)
        _, words = running_process.communicate(timeout=5 * PATIENCE)
    assert (running_process.returncode, b"goes on from here" in words, b"Traceback" in words) == (130, True, False)
    kept = rows_of(tmp_path)
    assert kept and all(row["error"] == "" for row in kept.values())
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'report.md'}\n"
    rows = rows_of(tmp_path)
    assert len(kept) < len(rows) == len(jobs(quick, names))
    assert {row["error"] for row in rows.values()} == {""}
    assert all(rows[cell]["seconds"] == row["seconds"] for cell, row in kept.items()), "not run again"
    assert {path.name for path in tmp_path.iterdir()} >= {"rows.parquet", "report.md"} | figures
    words = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"{len(names)} samplers, {len(rows)} runs" in words.replace("\n", " ")
    for metric, ranked_by_it in ((METRICS[0], names), ("pathwise", [name for name in names if not SAMPLERS[name].stochastic])):
        found = results(rows.values(), quick, metric)
        assert found.complete.all() and sorted(found.samplers) == sorted(ranked_by_it)


def test_what_is_not_allowed_is_told_and_the_report_alone_needs_rows(tmp_path, capsys):
    for arguments, words in (
        (["--samplers", "dimm", "--out", str(tmp_path)], "sampler is 'dimm'; it must be one of"),
        (["--report-only", "--out", str(tmp_path)], "has no rows of the suite '1'"),
    ):
        assert main(arguments) == 2
        assert words in capsys.readouterr().err
