"""A link as a script: it prints the numbers of its screen, to the last digit shown, with the library alone."""

import inspect
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image, pyplot as plt

from scoredm import address, screens, scripts
from scoredm.commandline import main
from scoredm.experiment import KINDS
from scoredm.parameters import WithOptions
from scoredm.ui import budget, home, memorisation, show, verified
from scoredm.ui.score import probe

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")  # as a screen writes it
PRINTED = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")

# Each screen at its defaults and at two other links; the first link draws its figure too. The defaults of *Training*, *Race* and
# *Error budget* train or sample for more than three seconds: their links have smaller sizes, or another metric.
LINKS = {
    "home": ["target=two-modes&sde=vp", "", "target=needle&lam=3&seed=5"],
    "forward": ["target=two-modes&sde=vp&bmax=12&steps=20", "", "target=checkerboard&sde=geometric&seed=7&camera=fixed"],
    "score": ["", "target=two-modes&px=1.5&t=0.2&view=component&k=2", "target=ring&sde=subvp&t=0.3&px=2&view=weighted"],
    "reverse": [
        "rn=300&target=two-modes&sde=vp&rsteps=50&denoise=true",
        "",
        "rn=400&target=own&mixture=w1m-2,0s0.5;w2m2,1c1,0.6,1&sde=cosine&tmin=0.01&process=flow&prior=exact&moment=0"
        "&whatif=true&half=true&earlier=true&wsteps=30",
    ],
    "maths": [
        "topic=dsm&share=0.55&time=0.5&sde=vp",
        "",
        "topic=parametrisations&target=ring&seed=3",
        "topic=floor&target=two-modes&sde=cosine",
        "topic=weightings&sde=cosine",
        "topic=summary&target=two-modes",
    ],
    "practice": [
        "exercise=reverse-sde&code=x%2Bg(t)**2*score(x,t)*dt%2Bg(t)*dt*z&lam=10",
        "exercise=dsm-loss&code=((std[:,None]*model(perturbed_x,t)-z)**2).sum(1).mean()&target=two-modes&sde=vp",
        "code=(lam**(2*t)-1)/(2*log(lam))&lam=3",
    ],
    "training": [
        "recipe=custom&iters=15&points=50&net=notebook&output=noise&target=two-modes&lam=3&seed=5",
        "recipe=custom&iters=20&points=200&batch=64",
        "recipe=custom&iters=20&points=100&batch=0&avg=ema&target=two-modes&sde=vp&look=0.5&metric=true"
        "&showloss=true&second=true&lpoint=7",
    ],
    "race": [
        "target=two-modes&sde=vp&particles=300&seeds=2&to=40&samplers=ddim,heun",
        "to=40&particles=300&seeds=1&dist=covariance",
        "target=two-modes&lam=5&from=20&to=40&particles=200&seeds=2&samplers=heun,ddim&grids=uniform,karras&dist=covariance",
    ],
    "budget": [
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=20&target=two-modes&sde=vp&prior=matched&tmin=0.1",
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=10&tmin=0.1&dist=covariance",
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=10&target=gaussian&lam=3&sampler=ddim&denoise=true&dist=mean",
    ],
    "likelihood": [
        "show=likelihood&target=two-modes&prior=exact&lsteps=30",
        "show=likelihood",
        "show=likelihood&lam=3&target=gaussian&seed=3",
    ],
    "memorisation": ["mn=1&target=ring&sde=cosine&seed=3", "", "mnet=true&msteps=50&mn=5&target=two-modes&sde=vp"],
    "verified": ["", "checks=score&target=ring&lam=5", "checks=reverse&target=two-modes&sde=vp&seed=3"],
}
PAIRS = [(screen, query) for screen, queries in LINKS.items() for query in queries]
ALMOST = 1.0001  # the screen and its script may add in another order


def link(screen: str, query: str) -> str:
    return f"{'samplers' if screen in address.VIEWS else screen}?{query}"


def options(screen: str, name: str) -> list[str]:
    parameter = address.TABLE[screen][name]
    assert isinstance(parameter, WithOptions)
    return list(parameter.titles)


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
    floor, lines = result.standing.noise_floor, result.standing.lines
    rows = [show.with_error(line.best.value, line.best.error) for line in lines]
    costs = [f"{nfe:.0f}" for line in lines for nfe in (line.best_nfe, line.floor_from) if nfe is not None]
    slopes = [show.fixed(line.slope.slope, 2) for line in lines if line.slope is not None]
    ends = [text for end in result.ends for text in [str(end.nfe), *numbers(end.distance)]]
    return [*rows, *costs, *slopes, *ends, *numbers(floor.low, floor.high)]


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


@pytest.mark.parametrize(("screen", "query"), PAIRS)
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


def test_every_screen_has_a_script_of_each_of_its_kinds():
    every = {*address.PAGES, *address.VIEWS} - {"samplers"}
    assert set(LINKS) == every == {name for name in every if scripts.has_script(name)}
    folder = Path(inspect.getfile(scripts.write)).parent
    topics = {f"maths-{topic}" for topic in options("maths", "topic")}
    assert {path.stem for path in folder.glob("*.txt")} == topics | set(LINKS) - {"maths"}


# Links whose scripts are written and not run: each kind of SDE, the networks, and values that make long lines.
OTHERS = [
    *(link("home", f"sde={kind}") for kind in KINDS),
    link("reverse", "whatif=true&plaindt=true&minus=true&weta=0.35&sde=vp&prior=exact"),
    link("score", "view=components&dots=0&camera=fixed"),
    link("score", "target=two-modes&view=components&camera=fixed"),
    link("race", "score=learned&samplers=" + ",".join(options("race", "samplers"))),
    link("budget", "show=budget&bscore=learned"),
    link("likelihood", "show=likelihood&lscore=learned&target=two-modes"),
    link("training", "recipe=ours"),
    link(
        "training",
        "recipe=custom&sched=constant&rate=0.02&points=100&batch=33&eps=0.05&output=noise&weigh=edm&avg=ema&decay=0.9",
    ),
    link("verified", "checks=values"),
    link("race", "target=own&mixture=m1,2s1"),
    link(
        "forward",
        "target=own&mixture=w0.3333333333333m-1.23456789012,0.123456789c1.123456789012,0.6123456789,1.123456789012;m0,0s1,2",
    ),
]


def test_scripts_are_short_and_written_by_the_rules_of_this_project(tmp_path):
    for i, one in enumerate([*OTHERS, *(link(*pair) for pair in PAIRS)]):
        text = scripts.write(one)
        assert text.isascii() and text.count("\n") <= 90
        assert not re.search(r"scoredm\.(screens|ui|charts)|import .*\b(screens|ui|charts)\b", text)
        (tmp_path / f"script_{i}.py").write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
        done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_command_line_prints_the_script_which_needs_neither_streamlit_nor_screens(capsys, tmp_path):
    assert main(["forward", "n=20&steps=5", "--script"]) == 0
    path = tmp_path / "forward.py"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == scripts.write("forward?n=20&steps=5")
    hidden = "['streamlit', 'altair', 'matplotlib', 'pandas', 'scoredm.screens']"
    code = f"import runpy, sys; sys.modules.update(dict.fromkeys({hidden})); runpy.run_path({str(path)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "standard error" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("bad", "words"), [("forward?lam=500", "lam is '500'"), ("reverse?target=own&mixture=m0,0,0s1", "in 3 dimensions")]
)
def test_a_bad_link_has_no_script_and_the_reason_is_said(capsys, bad, words):
    with pytest.raises(ValueError, match=words):
        scripts.write(bad)
    assert main([bad, "--script"]) == 2
    assert words in capsys.readouterr().err


def test_lines_of_a_template_are_kept_where_what_they_ask_is_so():
    template = "from scoredm import b, $one, C\n@ plane\nplane\n@ plane follow\nboth\n@\nall $n\n"
    values = {"plane": True, "follow": False, "n": 3, "one": "A_B"}
    assert scripts.fill(template, values) == "from scoredm import A_B, C, b\nplane\nall 3\n"
