"""The one table of everything a link can say, and how links are read and written.

A link is a page and the parameters that differ from their defaults, as in `forward?lam=5&n=500`. TABLE says, for the experiment
and for each screen, which parameters there are: names in a link, labels, bounds, defaults and help. The widgets of the pages, the
checks of every screen's `Settings`, the links and the help of the command line are all made from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import scoredm
from scoredm import targets
from scoredm.exercises.interpreter import MAX_CHARACTERS
from scoredm.exercises.texts import EXERCISES
from scoredm.experiment import BETA_MAX, BETA_MIN, EDM_MAX, EDM_MIN, KINDS, LAM, SIGMA_MAX, SIGMA_MIN, Experiment
from scoredm.language import N_, _, languages, lesson_names
from scoredm.parameters import Choice, Number, Parameter, Several, Switch, Text, shortened

OWN = "own"  # the target whose mixture is written in the parameter `mixture`
OWN_DEFAULT = "w1 m-2,0 s0.5; w2 m2,1 c1,0.6,1"
FAR = 1e6  # the largest coordinate of a probe


@dataclass(frozen=True)
class Page:
    """A page of the app: its title in English, its icon, and whether it belongs to the class."""

    title: str
    icon: str
    in_class: bool = False


# The pages in the order of the sidebar: the class first, then what goes beyond it.
PAGES = {
    "home": Page(N_("Home"), ":material/home:", in_class=True),
    "forward": Page(N_("Forward diffusion"), ":material/arrow_forward:", in_class=True),
    "score": Page(N_("The score"), ":material/explore:", in_class=True),
    "reverse": Page(N_("Reverse SDE"), ":material/arrow_back:", in_class=True),
    "training": Page(N_("Training"), ":material/model_training:", in_class=True),
    "maths": Page(N_("The maths"), ":material/function:", in_class=True),
    "practice": Page(N_("Practice"), ":material/edit_note:", in_class=True),
    "samplers": Page(N_("Samplers"), ":material/sports_score:"),
    "memorisation": Page(N_("Memorisation"), ":material/content_copy:"),
    "verified": Page(N_("Verified"), ":material/verified:"),
}

# The screens of the page *Samplers*.
VIEWS = {"race": N_("Race"), "budget": N_("Error budget"), "likelihood": N_("Likelihood")}

CAMERA = Choice(
    "camera",
    N_("Camera"),
    "follow",
    N_("Follow: the axes follow the spread of pₜ. Fixed: they stay as they are."),
    options={"follow": N_("Follow"), "fixed": N_("Fixed")},
)
PRIOR = Choice(
    "prior",
    N_("Start from"),
    "zero",
    N_("The distribution of x at t = 1: the tutorial's N(0, σ₁²I), the Gaussian with mean and covariance of p₁, or p₁ itself."),
    options={"zero": "N(0, σ₁²I)", "matched": N_("Matched Gaussian"), "exact": N_("Exact p₁")},
)
REVERSE_STEPS = Number("rsteps", N_("Steps"), 200, N_("From t = 1 down to t_min, all of one length Δt."), low=5, high=500, step=5)
T_MIN = Number(
    "tmin", N_("Stop at t_min"), 0.001, N_("At t_min a little noise is left."), low=0.001, high=0.5, step=0.001, format="%.3f"
)
DENOISE = Switch(
    "denoise", N_("End at E[x₀ | x]"), False, N_("Tweedie's formula: end at the mean of the data that could lead to x.")
)
POINT = Number("lpoint", N_("Point"), 1, N_("Each has its own clean point and noise."), low=1, high=1000, step=1)
SCORES = {"exact": N_("Exact"), "learned": N_("Learned")}
SCORE_HELP = N_("Learned: the network of the recipe *Ours* on the page Training; it is trained first.")


def _sampler_titles() -> dict[str, str]:
    return {key: sampler.title for key, sampler in scoredm.SAMPLERS.items()}


def _grid_titles() -> dict[str, str]:
    return {key: grid.title for key, grid in scoredm.GRIDS.items()}


def _metric_titles() -> dict[str, str]:
    return {key: metric.title for key, metric in scoredm.METRICS.items()}


METRIC = Choice("dist", N_("Measured in"), "sliced-wasserstein", options=_metric_titles)


def _target_titles() -> dict[str, str]:
    found = [targets.get(name) for name in targets.names()]
    named = {target.name: _("{dim}-D · {title}").format(dim=target.dim, title=_(target.title)) for target in found}
    return named | {OWN: N_("Your own mixture")}


def _exercise_titles() -> dict[str, str]:
    return {name: exercise.title for name, exercise in EXERCISES.items()}


def _language_titles() -> dict[str, str]:
    return {"browser": N_("as the browser asks"), **{name: name for name in languages()}}


def _lesson_names() -> dict[str, str]:
    return {"none": N_("no lesson"), **{name: name for name in lesson_names()}}


# Reader, experiment or screen -> name in the code (a field of its Settings, or a choice that changes only the drawing) ->
# parameter.
TABLE: Mapping[str, Mapping[str, Parameter]] = {
    "reader": {
        "language": Choice("lang", N_("Language"), "browser", options=_language_titles),
        "lesson": Choice("lesson", N_("Lesson"), "none", options=_lesson_names),
        "stop": Number("stop", N_("Stop of the lesson"), 1, low=1, high=100, step=1),
        "predict": Choice(
            "predict",
            N_("Predictions"),
            "on",
            N_(
                "Pages ask you to predict a number before they show it. *Show me* shows it at once; off leaves the questions out."
            ),
            options={"on": N_("on"), "off": N_("off")},
        ),
    },
    "experiment": {
        "target": Choice("target", N_("Target"), "tutorial", options=_target_titles),
        "mixture": Text(
            "mixture",
            N_("Components: weight, mean, spread"),
            OWN_DEFAULT,
            N_(
                "One component after another, with “;” between them: w weight, m mean, then s standard deviation(s), or c "
                "covariance (upper triangle). In one dimension: m -3 s 1; m 3 s 0.5"
            ),
            longest=targets.MAX_TEXT,
        ),
        "kind": Choice(
            "sde",
            N_("SDE"),
            "ve",
            N_("How noise is added. VE and EDM: noise only. The others: the data shrink too. *Forward diffusion* compares them."),
            options={name: kind.title for name, kind in KINDS.items()},
        ),
        **{parameter.name: parameter for parameter in (LAM, SIGMA_MIN, SIGMA_MAX, BETA_MIN, BETA_MAX, EDM_MIN, EDM_MAX)},
        "seed": Number(
            "seed", N_("Seed"), 2021, N_("The same seed gives the same numbers, for everyone."), low=0, high=2**31 - 1, step=1
        ),
    },
    "home": {"quiz": Switch("quiz", N_("Show the quiz"), False)},
    "forward": {
        "particles": Number("n", N_("Particles"), 200, low=20, high=5000, step=20),
        "steps": Number(
            "steps",
            N_("Steps"),
            50,
            N_("From t = 0 to t = 1. Every step is exact, whatever its length. At most 61 frames are drawn."),
            low=5,
            high=200,
            step=5,
        ),
        "camera": CAMERA,
    },
    "score": {
        "t": Number(
            "t",
            N_("Time t"),
            0.0,
            N_("The score of p_t: of the data at t = 0, of almost pure noise at t = 1."),
            low=0.0,
            high=1.0,
            step=0.01,
        ),
        "view": Choice(
            "view",
            N_("Score of the mixture or its components"),
            "mixture",
            N_(
                "One: sₖ of the component that you choose. All: every sₖ. Weighted parts: rₖ sₖ, which add up to the "
                "score of the mixture."
            ),
            options={
                "mixture": N_("Mixture"),
                "component": N_("One"),
                "components": N_("All"),
                "weighted": N_("Weighted parts"),
            },
        ),
        "component": Number("k", N_("Component"), 1, low=1, high=200, step=1),
        "picture": Choice("picture", N_("Density"), "log", options={"log": N_("Log density"), "root": N_("Root density")}),
        "arrows": Choice(
            "arrows", N_("Arrows"), "grid", options={"grid": N_("On a grid"), "samples": N_("At samples"), "off": N_("None")}
        ),
        "samples": Number(
            "dots",
            N_("Samples"),
            300,
            N_("Drawn from p_t, in the colour of the component each comes from; above 1000 they are grey."),
            low=0,
            high=5000,
            step=100,
        ),
        "x": Number("px", N_("Probe x₁"), 1.0, low=-FAR, high=FAR, step=0.1, format="%.5g"),
        "y": Number("py", N_("Probe x₂"), 0.0, low=-FAR, high=FAR, step=0.1, format="%.5g"),
        "probe_scale": Choice(
            "pscale",
            N_("Scale of the probe's arrows"),
            "fixed",
            N_("For every t: arrows at two times can be compared. Fitted: the arrows can be seen at every t."),
            options={"fixed": N_("One for every t"), "fitted": N_("Fitted to each t")},
        ),
        "camera": CAMERA,
    },
    "reverse": {
        "particles": Number("rn", N_("Particles"), 2500, low=100, high=10_000, step=100),
        "steps": REVERSE_STEPS,
        "process": Choice(
            "process",
            N_("Process"),
            "sde",
            N_("The reverse SDE adds noise at each step. The probability-flow ODE adds none, and takes half of the score term."),
            options={"sde": N_("Reverse SDE"), "flow": N_("Flow ODE")},
        ),
        "prior": PRIOR,
        "t_min": T_MIN,
        "denoise": DENOISE,
        "camera": CAMERA,
        "colour": Choice("rcolour", N_("Colour"), "samples", options={"samples": N_("Samples"), "component": N_("Final mode")}),
        "arrows": Switch("rarrows", N_("Score arrows"), False),
        "moment": Number("moment", N_("Show the update at t"), 0.5, low=0.0, high=1.0, step=0.01),
        "what_if": Switch("whatif", N_("What if the line of code were wrong?"), False),
        "no_noise": Switch("nonoise", N_("No noise"), False, N_("The last term is left out.")),
        "plain_dt": Switch("plaindt", N_("dt for √dt"), False, N_("The noise is multiplied by dt.")),
        "minus": Switch("minus", N_("Minus before the score"), False, N_("The points move away from the data.")),
        "half": Switch("half", N_("Half the score term"), False),
        "earlier": Switch(
            "earlier", N_("g and s at t − dt"), False, N_("This is not a mistake: it is another method of order 1.")
        ),
        "eta": Number(
            "weta",
            N_("Noise η"),
            1.0,
            N_("1 is the reverse SDE, 0 the probability-flow ODE. The right line keeps pₜ for every η."),
            low=0.0,
            high=1.0,
            step=0.05,
        ),
        "line_steps": Number("wsteps", N_("Steps of the line"), 100, N_("From t = 1 to t = 0."), low=5, high=100, step=5),
    },
    "training": {
        "recipe": Choice(
            "recipe",
            N_("Recipe"),
            "tutorial",
            options={"tutorial": N_("Tutorial"), "ours": N_("Ours"), "custom": N_("Custom")},
        ),
        "network": Choice("net", N_("Network"), "scorenet", options={"scorenet": "ScoreNet", "notebook": N_("Tutorial's")}),
        "schedule": Choice(
            "sched", N_("Learning rate is"), "one-cycle", options={"one-cycle": N_("One-cycle"), "constant": N_("Constant")}
        ),
        "learning_rate": Number(
            "rate",
            N_("Rate"),
            0.01,
            N_("Adam's learning rate, or its highest value."),
            low=1e-5,
            high=1.0,
            step=0.001,
            format="%.5g",
        ),
        "steps": Number("iters", N_("Steps"), 1000, low=1, high=20_000, step=100),
        "batch": Number(
            "batch", N_("Batch"), 1024, N_("Noisy points in a step; 0 takes all points."), low=0, high=30_000, step=64
        ),
        "data_size": Number(
            "points", N_("Points"), 10_000, N_("Training points drawn from the target."), low=10, high=30_000, step=1000
        ),
        "eps": Number(
            "eps",
            N_("Smallest t"),
            0.01,
            N_("Times are drawn from [ε, 1]; at t = 0 the target −z/σ is infinite."),
            low=1e-5,
            high=0.5,
            step=0.005,
            format="%.5g",
        ),
        "parametrisation": Choice(
            "output",
            N_("The network predicts"),
            "own",
            options={"own": N_("Network's own"), "score": N_("Score"), "noise": N_("Noise"), "clean": N_("Clean data")},
        ),
        "weighting": Choice(
            "weigh",
            N_("Weight of each t"),
            "sigma2",
            options={
                "sigma2": N_("σ², tutorial"),
                "likelihood": N_("g², likelihood"),
                "min-snr": "Min-SNR",
                "edm": "EDM",
            },
        ),
        "average": Choice(
            "avg",
            N_("Average of the weights"),
            "running",
            options={"none": N_("None"), "running": N_("Running mean"), "ema": "EMA"},
        ),
        "decay": Number("decay", N_("Decay"), 0.999, low=0.9, high=0.9999, step=0.001, format="%.4g"),
        "t": Number(
            "look",
            N_("Compare scores at t"),
            0.25,
            N_("The time at which the two scores are compared."),
            low=0.01,
            high=1.0,
            step=0.01,
        ),
        "pair": Choice(
            "pair",
            N_("Show"),
            "scores",
            N_("Both scores as arrows, or learned minus exact."),
            options={"scores": N_("Both scores"), "difference": N_("Difference")},
        ),
        "smoothing": Choice(
            "smooth", N_("Smooth the loss"), "10", options={"1": N_("Off"), "10": N_("10 steps"), "50": N_("50 steps")}
        ),
        "log": Switch("log", N_("Log axis"), True),
        "notebook": Switch("metric", N_("The tutorial's metric"), False, N_("The error that the tutorial itself plots.")),
        "show_loss": Switch("showloss", N_("Show the loss of one point"), False),
        "point": POINT,
        "second": Switch("second", N_("A second origin"), False, N_("Another clean point that could have made the same xₜ.")),
    },
    "maths": {
        "topic": Choice(
            "topic",
            N_("Topic"),
            "reverse",
            options={
                "reverse": N_("Reverse in general"),
                "dsm": N_("DSM = ESM + constant"),
                "floor": N_("The floor"),
                "weightings": N_("Weightings"),
                "parametrisations": N_("Parametrisations"),
                "summary": N_("Summary"),
            },
        ),
        "eta": Number(
            "eta", N_("Noise η"), 1.0, N_("1 is the reverse SDE, 0 the probability-flow ODE."), low=0.0, high=2.0, step=0.25
        ),
        "wrong": Choice(
            "wrong",
            N_("Wrong score"),
            "zero",
            options={"zero": "s = 0", "gaussian": N_("One Gaussian"), "frozen": N_("Score of the data")},
        ),
        "share": Number(
            "share", N_("Share c"), 0.0, N_("s = (1 − c) × the wrong score + c × the exact one."), low=-0.5, high=1.5, step=0.1
        ),
        "t": Number("time", N_("Time t"), 0.3, low=0.02, high=1.0, step=0.02),
    },
    "practice": {
        "exercise": Choice("exercise", N_("Exercise"), "sigma", options=_exercise_titles),
        "code": Text(
            "code",
            N_("Your line"),
            "",
            N_("An expression or a few assignments. If the link does not set it, the exercise's own first line is shown."),
            longest=MAX_CHARACTERS,
        ),
        "t": Number(
            "pt",
            N_("Time t"),
            0.2,
            N_("The picture shows scores or clean points at this time."),
            low=0.02,
            high=1.0,
            step=0.02,
        ),
    },
    "samplers": {
        "comparison": Choice(
            "show",
            N_("View"),
            "race",
            options=VIEWS,
        ),
    },
    "race": {
        "samplers": Several(
            "samplers", N_("Samplers"), ("euler-maruyama", "ddim", "heun", "dpm-solver"), options=_sampler_titles
        ),
        "grids": Several(
            "grids",
            N_("Time grids"),
            ("uniform",),
            options=_grid_titles,
        ),
        "first": Choice(
            "from",
            N_("Steps from"),
            "5",
            N_("The number of steps doubles from run to run."),
            options={"5": "5", "10": "10", "20": "20"},
        ),
        "last": Choice("to", N_("to"), "160", options={str(n): str(n) for n in (40, 80, 160, 320, 640)}),
        "score": Choice("score", N_("Score"), "exact", SCORE_HELP, options=SCORES),
        "metric": METRIC,
        "particles": Number(
            "particles",
            N_("Particles"),
            5000,
            N_("With more particles smaller differences can be seen: the band is lower."),
            low=200,
            high=10_000,
            step=100,
        ),
        "seeds": Number(
            "seeds",
            N_("Seeds"),
            3,
            N_("Each run is repeated with this many seeds; the bars are standard errors."),
            low=1,
            high=5,
            step=1,
        ),
    },
    "budget": {
        "sampler": Choice("sampler", N_("Sampler"), "euler-maruyama", options=_sampler_titles),
        "prior": PRIOR,
        "steps": REVERSE_STEPS,
        "t_min": T_MIN,
        "denoise": DENOISE,
        "score": Choice("bscore", N_("Score"), "learned", SCORE_HELP, options=SCORES),
        "metric": METRIC,
        "particles": Number(
            "bn",
            N_("Particles"),
            2000,
            N_("With more particles smaller differences can be seen: the noise floor is lower."),
            low=200,
            high=10_000,
            step=100,
        ),
        "seeds": Number(
            "bseeds",
            N_("Seeds"),
            8,
            N_("The run and its variants are repeated with this many seeds; the error bars are standard errors."),
            low=2,
            high=16,
            step=1,
        ),
    },
    "likelihood": {
        "score": Choice("lscore", N_("Score"), "exact", SCORE_HELP, options=SCORES),
        "prior": PRIOR,
        "steps": Number(
            "lsteps",
            N_("Steps of the solver"),
            60,
            N_("Runge-Kutta of order 4: half the step, a sixteenth of the error."),
            low=10,
            high=200,
            step=10,
        ),
    },
    "memorisation": {
        "points": Number(
            "mn",
            N_("Points N"),
            10,
            N_("Drawn from the target; a larger N keeps the points of a smaller one."),
            low=1,
            high=5000,
            step=1,
        ),
        "network": Switch("mnet", N_("Train the network"), False, N_("Train it on these points only.")),
        "steps": Number(
            "msteps", N_("Steps"), 1000, N_("Steps of training, of 1024 noisy points each."), low=50, high=5000, step=50
        ),
    },
    "verified": {
        "group": Choice(
            "checks",
            N_("Topic"),
            "sde",
            options={
                "sde": N_("The SDE"),
                "score": N_("Density and score"),
                "losses": N_("Losses and entropy"),
                "reverse": N_("The reverse process"),
                "samplers": N_("Samplers"),
                "values": N_("Known values"),
                "notebook": N_("The notebook"),
            },
        ),
    },
}


# The parts of TABLE that hold on every page.
SHARED = ("reader", "experiment")


def default(screen: str, field: str) -> Any:
    """The default of a parameter.

    Args:
        screen: a name from TABLE.
        field: of its settings.
    """
    return TABLE[screen][field].default


def check(screen: str, settings: Any) -> None:
    """Validate every field of a screen's settings that is in the table.

    Args:
        screen: a name from TABLE.
        settings: of that screen.

    Raises:
        ValueError: a value is not allowed; the message names the parameter, the value and what is allowed.
    """
    for field in fields(settings):
        if field.name in TABLE[screen]:
            TABLE[screen][field.name].check(getattr(settings, field.name))


def screen_of(page: str, values: Mapping[str, Any]) -> str:
    """The screen that a page shows; the page *Samplers* has three.

    Args:
        page: a name from PAGES.
        values: {name in a link: value}; what is missing has its default.
    """
    if page != "samplers":
        return page
    comparison = TABLE["samplers"]["comparison"]
    return values.get(comparison.name, comparison.default)


def parameters(page: str, screen: str) -> list[Parameter]:
    """Every parameter that a link to a screen can set, those of every page first.

    Args:
        page: a name from PAGES.
        screen: that the page shows, see `screen_of`.
    """
    groups = dict.fromkeys([*SHARED, page, screen])
    return [parameter for group in groups for parameter in TABLE[group].values()]


def experiment_from(values: Mapping[str, Any]) -> Experiment:
    """The experiment that a link's values describe.

    Args:
        values: {name in a link: value}; what is missing has its default.

    Raises:
        ValueError: the text of a mixture cannot be read.
    """

    def value(parameter: Parameter) -> Any:
        return values.get(parameter.name, parameter.default)

    table = TABLE["experiment"]
    target, kind = value(table["target"]), value(table["kind"])
    text = value(table["mixture"]) if target == OWN else target
    if target == OWN:
        targets.parse_mixture(text)
    return Experiment(text, value(table["seed"]), kind, tuple(value(parameter) for parameter in KINDS[kind].parameters))


@dataclass(frozen=True)
class Link:
    """A link that was read: its page, its screen, and the values that it sets, {name: value}."""

    page: str
    screen: str
    values: Mapping[str, Any]


def read_link(link: str) -> Link:
    """Read a link: a page and what it sets.

    Args:
        link: such as `forward?lam=5&n=500`, a full http address, or only the query after a page's name.

    Returns:
        What it says.

    Raises:
        ValueError: the page does not exist or has no such parameter, or a value is not allowed; the message says what is.
    """
    parts = urlsplit(link if "?" in link or "/" in link or "=" not in link else f"?{link}")
    page = parts.path.strip("/").rpartition("/")[2] or "home"
    if page not in PAGES:
        raise ValueError(
            _("there is no page {page}; choose one of {pages}").format(page=repr(shortened(page)), pages=", ".join(PAGES))
        )
    asked = parse_qs(parts.query, keep_blank_values=True)
    everywhere = {parameter.name: parameter for screens in TABLE.values() for parameter in screens.values()}
    read = {name: everywhere[name].read_all(texts) for name, texts in asked.items() if name in everywhere}
    values = {name: reading.value for name, reading in read.items()}
    screen = screen_of(page, values)
    allowed = {parameter.name for parameter in parameters(page, screen)}
    for name, texts in asked.items():
        if name not in allowed:
            message = _("{name} is not a parameter of {screen}; it has {names}")
            raise ValueError(message.format(name=repr(shortened(name)), screen=screen, names=", ".join(sorted(allowed))))
        complaint = read[name].complaint
        if complaint is not None:
            message = _("{name} is {text}; it must be {allowed}")
            shown = " & ".join(repr(shortened(text)) for text in texts)
            raise ValueError(message.format(name=name, text=shown, allowed=everywhere[name].allowed))
    return Link(page, screen, values)


def write_link(page: str, values: Iterable[tuple[Parameter, Any]]) -> str:
    """A link that sets every value that differs from its default, such as `forward?lam=5`.

    Args:
        page: a name from PAGES.
        values: pairs of a parameter and its value.
    """
    query = {parameter.name: parameter.write(value) for parameter, value in values if value != parameter.default}
    path = "" if page == "home" else page
    return f"{path}?{urlencode(query, safe=',')}" if query else path


def extend_link(link: str, query: str) -> str:
    """A link to a page, with every parameter of a query that it does not set itself; a link to another place as it is.

    Args:
        link: relative or whole.
        query: what follows the question mark in another link.

    >>> extend_link("./score?seed=1", "seed=5&lam=3")
    './score?seed=1&lam=3'
    """
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path or (parts.path.strip("./") or "home") not in PAGES:
        return link
    own = parse_qsl(parts.query, keep_blank_values=True)
    added = [(name, value) for name, value in parse_qsl(query) if name not in dict(own)]
    return urlunsplit(parts._replace(query=urlencode([*own, *added], safe=",")))


def settings_from(screen: str, settings: type, values: Mapping[str, Any]) -> Any:
    """A screen's settings from a link's values.

    Args:
        screen: a name from TABLE.
        settings: the screen's `Settings` class.
        values: {name in a link: value}; what is missing has its default.

    Raises:
        ValueError: a value is not allowed.
    """
    table = TABLE[screen]
    names = [field.name for field in fields(settings) if field.name in table]
    return settings(**{name: values.get(table[name].name, table[name].default) for name in names})
