"""A screen, the command line and the script of a link give the same numbers, to the last digit shown."""

import itertools
import json
import math
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from matplotlib import image, pyplot as plt
from streamlit.testing.v1 import AppTest

from scoredm import address, screens, scripts, tasks
from scoredm.commandline import main
from scoredm.screens import studying
from scoredm.ui import budget, home, memorisation, show, verified
from scoredm.ui.score import probe
from tests.common import wait_for_work
from tests.pages.links import LINKS, PAIRS, SCRIPTED, cases, link

ROOT = Path(__file__).parents[2]
START = {"training": "train", "race": "start", "budget": "start", "verified": "run-these"}  # the button that starts long work
NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")  # as a screen writes it
PRINTED = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
ALMOST = 1.0001  # the screen and its script may add in another order


# Equal settings give equal numbers (the scripts below compute them anew), so they are computed once for the page and once for all
# after it. A page that read other settings than the command line would still show other numbers.


@cache
def once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@pytest.fixture(autouse=True)
def computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (getattr(screens, name) for name in LINKS):
        monkeypatch.setattr(module, "run", partial(once, module.run))
    monkeypatch.setattr(studying, "noise_floor", partial(once, studying.noise_floor))
    for module in (studying, tasks):
        monkeypatch.setattr(module, "perform", partial(once, module.perform))


def result_of(screen: str, query: str) -> Any:
    read = address.read_link(link(screen, query))
    module = getattr(screens, screen)
    return module.run(address.experiment_from(read.values), address.settings_from(screen, module.Settings, read.values))


# What each screen shows, written as the screen writes it


def numbers(*values: float, digits: int = 3) -> list[str]:
    return [show.number(float(value), digits) for value in values]


def found(exact: float, value: float, error: float) -> list[str]:
    shown = show._to_the_error(exact, value, error)
    return [shown[0], shown[1], shown[3]]


def of_home(result: Any) -> list[str]:
    merge = [] if result.merge_time is None or np.isinf(result.merge_time) else numbers(result.merge_time)
    moments = [home._vector(result.mean), home._matrix(result.covariance)]
    return [str(result.components), *moments, *numbers(result.sigma, result.noise_to_data), *merge]


def of_forward(result: Any) -> list[str]:
    rows = [text for row in result.rows for text in found(row.exact, row.found, row.error)]
    return rows + [text for merger in result.mergers for text in [*numbers(merger.t, merger.log_snr), str(merger.modes)]]


def _length(vector: np.ndarray) -> list[float]:
    return [float(np.linalg.norm(vector))]


def of_score(result: Any) -> list[str]:
    at = result.probe
    parts = np.array([*at.contributions, at.other_contribution, at.total, at.score])
    cells = [
        *probe._column("r", at.responsibilities[:, None], figures=5)[1],
        *probe._column("s", at.component_scores, alone=True, figures=4)[1],
        *probe._column("rs", parts if at.other_count else np.delete(parts, len(at.components), 0), least=probe._nothing(at))[1],
    ]
    lone = [] if at.alone is None else numbers(at.alone.log_density, np.exp(at.alone.log_density), *_length(at.alone.score))
    densities = numbers(at.log_density, np.exp(at.log_density), *_length(at.score), *np.exp(at.log_parts))
    return [*cells, *lone, *densities, *numbers(at.alpha, at.sigma)]


def of_reverse(result: Any) -> list[str]:
    compared, step = result.comparison, result.update
    rows = [text for row in compared.statistics for text in found(row.exact, row.found, row.error)]
    factors = [1 - step.f * step.dt, (1 + step.eta**2) / 2 * step.g**2 * step.dt, step.eta * step.g * step.dt**0.5]
    noise = [] if step.noise is None else numbers(*step.noise)
    worst = f"{compared.verdict.z_score:.1f}"
    update = numbers(step.dt, step.g, step.f, *factors, *step.x, *step.score, *step.x_next)
    shown = [*rows, worst, f"{step.t:.3f}", *numbers(compared.distance, *compared.noise_floor), *update, *noise]
    return shown if result.what_if is None else [*shown, *_what_if(result.what_if)]


def _what_if(result: screens.whatif.Result) -> list[str]:
    found = [one for run in (result.tried, result.right) for one in (run.variance, run.within)]
    return [*(show.with_error(one.value, one.error) for one in found), *numbers(result.exact, result.exact_within)]


def of_training(result: Any) -> list[str]:
    look, samples = result.look, result.samples
    measured = [show.with_error(look.loss.value, look.loss.error), *numbers(look.excess.value), *numbers(look.floor)]
    errors = numbers(look.last.train_error, look.last.test_error)
    scores = numbers(look.scores.sigma, look.scores.largest, look.scores.typical, digits=2)
    both = samples.learned_comparison, samples.exact_comparison
    return [
        *measured,
        *errors,
        *scores,
        *numbers(*(one.distance for one in both), *both[1].noise_floor, samples.median_distance),
        *numbers(*(value for one in both for value in (one.worst.found, one.worst.exact))),
        *([] if result.one_point is None else _one_point(result.one_point)),
    ]


def _one_point(result: screens.onepoint.Result) -> list[str]:
    origins = [one for one in (result.first, result.second) if one is not None]
    vectors = [result.noisy, result.clean_guess, result.guess, *(part for one in origins for part in (one.clean, one.noise))]
    means = [one for one in (result.average, result.mean, result.least, result.floor) if one is not None]
    return [
        *(show.fixed(float(value), 2) for vector in vectors for value in vector),
        *numbers(*(o.loss for o in origins), *means),
    ]


def of_practice(result: Any) -> list[str]:
    values = [value for row in result.effect.rows for value in (row.found, row.right, row.exact) if value is not None]
    return numbers(*values)


def of_maths(result: Any) -> list[str]:
    match result:
        case screens.maths.ReversePaths():
            return [text for row in result.rows for text in found(row.exact, row.found, row.error)]
        case screens.maths.DsmSides():
            sides = [show.fixed(value, 3) for value in (result.esm, result.constant, result.esm_and_constant)]
            return [*numbers(result.dsm), *numbers(result.dsm_error, digits=2), *sides]
        case screens.maths.FloorCurve():
            return numbers(result.floor[0], *result.spread, *result.error)
        case screens.maths.Weightings():
            return numbers(*result.level[::5], *(share for shares in result.shares.values() for share in shares[::5]))
        case screens.maths.Parametrisations():
            forms = result.exploding, result.preserving
            names = ("alpha", "sigma", "x", "score", "noise", "clean", "velocity")
            return numbers(*(v for form in forms for name in names for v in np.atleast_1d(getattr(form, name))), *result.bayes)
    return []


def of_race(result: Any) -> list[str]:
    floor, lines, verdict = result.standing.noise_floor, result.standing.lines, result.standing.verdict
    rows = [show.with_error(line.best.value, line.best.error) for line in lines]
    costs = [f"{nfe:.0f}" for line in lines for nfe in (line.best_nfe, line.floor_from) if nfe is not None]
    slopes = [show.fixed(line.slope.slope, 2) for line in lines if line.slope is not None]
    ends = [text for end in result.ends for text in [str(end.nfe), *numbers(end.distance)]]
    about = [f"{verdict.nfe:.0f}", *numbers(verdict.closest)] if verdict.cause == "flow" else numbers(floor.low, floor.high)
    return [*rows, *costs, *slopes, *ends, *about]


def of_budget(result: Any) -> list[str]:
    return [cell for line in budget.table(result.budget).splitlines()[2:] for cell in line.split("|")[2:]]


def of_likelihood(result: Any) -> list[str]:
    means = [result.exact_bits, result.model_bits, result.divergence, result.prior_divergence]
    return [*(show.with_error(mean.value, mean.error) for mean in means), *numbers(result.worst, digits=2)]


def of_memorisation(result: Any) -> list[str]:
    drawn = [one for one in (result.exact.true, result.exact.empirical, result.network) if one is not None]
    curve, collapse = result.exact.collapse.curve, result.exact.collapse
    medians = [median for median in [np.median(result.exact.fresh), *(one.copies.median for one in drawn)] if median > 1e-4]
    losses = [] if result.losses is None else numbers(result.losses.train, result.losses.test)
    levels = [curve.time, collapse.level, *([curve.neighbours, collapse.neighbour_time] if collapse.cause == "time" else [])]
    return [
        *(memorisation.percent(one.copies.share) for one in drawn),
        *numbers(result.exact.copy_distance, result.train_floor, result.test_floor),
        *numbers(*medians, *levels, digits=2),
        *losses,
    ]


def of_verified(result: Any) -> list[str]:
    shown = []
    for outcome in (row.outcome for row in result.rows):
        allowed = outcome.tolerance * (len(outcome.expected) if len(outcome.tolerance) == 1 else 1)
        shown += [
            verified.shown(value, tolerance)
            for side in (outcome.expected, outcome.found)
            for value, tolerance in zip(side, allowed, strict=True)
        ]
    return shown


SHOWN: dict[str, Callable[[Any], list[str]]] = {
    name.removeprefix("of_"): function for name, function in list(globals().items()) if name.startswith("of_")
}


def read(texts: list[str]) -> Iterator[tuple[str, float, float]]:
    """Each number in these texts: as it is written, its value, and half a unit of its last digit."""
    for text in (match for shown in texts for match in NUMBER.findall(re.sub("<br>|&", " ", shown))):
        digits, _times, power = text.replace("−", "-").replace(",", "").partition(" × 10")
        scale = 10.0 ** int(power.translate(RAISED)) if power else 1.0
        yield text, float(digits) * scale, 0.5 * 10.0 ** -len(digits.partition(".")[2]) * scale


# The screen itself, and the command line


def opened(page: str, query: str) -> AppTest:
    at = AppTest.from_file(ROOT / "app.py", default_timeout=120)
    for name, value in parse_qsl(query):
        at.query_params[name] = value
    if page != "home":
        at.switch_page(f"pages/{page}.py")
    return at.run()


def finish(at: AppTest, screen: str) -> None:
    """Start what the screen trains, races or checks, and wait for the end."""
    if screen in START:
        at.button(key=START[screen]).click().run()
    if screen in START or screen == "memorisation":
        wait_for_work(at)
    assert all(button.key != "stop" for button in at.main.button)


def printed(capsys: pytest.CaptureFixture[str], page: str, query: str) -> dict[str, Any]:
    """What the command line prints for a link."""
    assert main([page, query] if query else [page]) == 0
    return json.loads(capsys.readouterr().out)["result"]


def every_number(value: Any) -> Iterator[float]:
    """The numbers in a result, long arrays of points and curves aside."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from every_number(part)
    elif len(value) <= 40 or not isinstance(value[0], int | float):
        for part in itertools.islice(value, 40):
            yield from every_number(part)


def shown_numbers(at: AppTest, screen: str, page: str) -> list[str]:
    """The page's own numbers, not its prose's, that have three digits or more, as they are written."""
    prose = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pages" / "en").rglob(f"{page}*.md"))
    lines = [re.sub(r"</?span[^>]*>", "", line) for element in at.main.markdown for line in element.value.splitlines()]
    lines = [line for line in lines if line not in prose]
    if screen == "verified":
        texts = [
            part for element in at.main.get("html") for part in re.findall("<span>(.*?)</span>", element.proto.body, re.DOTALL)
        ]
    elif screen == "memorisation":
        sentences = [*lines, *(caption.value for caption in at.main.caption)]
        texts = [text for text in sentences if "copies" in text or "loss" in text or "Median" in text or "≈" in text]
    else:
        texts = [cell for line in lines if line.startswith("|") for cell in line.strip("|").split("|")[1:]]
    plain = [re.sub(r"\$[^$]*\$|<[^>]*>", " ", text) for text in texts]
    return [text for part in plain for text in NUMBER.findall(part) if len(re.findall(r"\d", text.partition(" × ")[0])) >= 3]


@pytest.mark.parametrize(("screen", "query"), cases(PAIRS))
def test_the_command_line_gives_the_numbers_on_screen(monkeypatch, capsys, screen, query):
    page = "samplers" if screen in address.VIEWS else screen
    at = opened(page, query)
    finish(at, screen)
    assert not at.exception and not at.error
    shown = shown_numbers(at, screen, page)
    if (screen, query) not in SCRIPTED:  # no script computes these numbers anew, so the command line does
        monkeypatch.undo()
    found = list(every_number(printed(capsys, page, query)))
    differences = {a - b for a, b in itertools.pairwise(found)} | {b - a for a, b in itertools.pairwise(found)}
    candidates = [*found, *differences, *(-value for value in found), *(100 * value for value in found)]
    if (
        screen == "score"
    ):  # its column of densities shows what the result has as logarithms, over a power of ten where they are small
        densities = [math.exp(value) for value in found if value < 20]
        candidates += [density * 10.0**power for density in densities for power in range(12)]
    for text, value, half in read(shown):
        assert any(math.isclose(value, candidate, rel_tol=1e-9, abs_tol=half * 1.001) for candidate in candidates), text
    assert shown or screen in ("home", "maths")


# Running a script


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run a script in this process, in a folder of its own; returns what it prints."""

    def running(text: str, *arguments: str) -> str:
        path = tmp_path / "script.py"
        path.write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        plt.switch_backend("agg")
        runpy.run_path(str(path), run_name="__main__")
        plt.close("all")
        return capsys.readouterr().out

    return running


@pytest.mark.parametrize(("screen", "query"), cases(SCRIPTED))
def test_a_script_prints_the_numbers_of_its_screen_to_the_last_digit_shown(run, tmp_path, screen, query):
    figure = ["--figure", "drawn.png"] if query == LINKS[screen][0] else []
    printed = run(scripts.write(link(screen, query)), *figure)
    values = np.array([float(text) for text in PRINTED.findall(printed)])
    shown = list(read(SHOWN[screen](result_of(screen, query))))
    missing = [text for text, value, half in shown if not (np.abs(values - value) <= ALMOST * half).any()]
    assert not missing, printed
    assert len(shown) > 2 or "summary" in query
    if figure:
        assert np.ptp(image.imread(tmp_path / "drawn.png")[..., :3], axis=(0, 1)).max() > 0.5
