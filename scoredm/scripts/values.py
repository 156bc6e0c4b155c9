"""What each template asks of a link: the values at its places, and which of its lines are meant."""

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from scoredm import modes
from scoredm.address import TABLE
from scoredm.checks import FIXED
from scoredm.decomposition import most_responsible
from scoredm.exercises import trials
from scoredm.experiment import Experiment
from scoredm.screens import (
    budget,
    forward,
    likelihood,
    maths,
    memorisation,
    practice,
    race,
    reverse,
    score,
    training,
    verified,
    whatif,
)
from scoredm.targets import format_mixture, names
from scoredm.training import TrainConfig

WIDTH = 110  # of a line with a part of a mixture's text
LINE = 130  # characters
PRIORS = {
    "zero": ("zero_mean_prior", "zero_mean_prior(sde, mixture.dim)"),
    "matched": ("moment_matched_prior", "moment_matched_prior(mixture, sde)"),
    "exact": ("exact_prior", "exact_prior(mixture, sde)"),
}

Values = dict[str, Any]


def values_of(screen: str, experiment: Experiment, settings: Any, read: Mapping[str, Any]) -> tuple[str, Values]:
    """The template of a screen and what stands in it.

    Args:
        screen: its name, such as "forward".
        experiment: target, SDE and seed, in one dimension or two.
        settings: the screen's.
        read: {name in a link: value}, what the link says, choices of the drawing among it.

    Returns:
        The template's name, and the values that it is filled with.
    """
    own = {name: _written(read.get(one.name, one.default)) for name, one in TABLE[screen].items()}
    found = OF_SCREEN[screen](experiment, settings) if screen in OF_SCREEN else {}
    name = f"maths-{settings.topic}" if isinstance(settings, maths.Settings) else screen
    return name, {**own, **_of_experiment(experiment), **_of_figure(screen), **found}


def _written(value: Any) -> Any:
    """A setting as it stands in a program; a word as it is, without quotes."""
    return value if isinstance(value, str | bool) else repr(value)


def _of_experiment(experiment: Experiment) -> Values:
    """The lines that make the experiment, and what is asked of it."""
    named, mixture = experiment.target in names(), experiment.mixture
    text = f'"{experiment.target}"' if named else f'"""\n{_components(format_mixture(mixture))}\n"""'
    maker = "targets" if named else "parse_mixture"
    made = f"targets.mixture({text})" if named else f"parse_mixture({text})"
    sde = f"sde = {experiment.sde!r}"
    head = "# The experiment: the distribution of the data, the SDE that adds noise, and the seed of every random draw."
    return {
        "sde_name": type(experiment.sde).__name__,
        "maker": maker,
        "experiment": "\n".join([head, f"mixture = {made}", sde, f"seed = {experiment.seed}"]),
        "job_maker": "targets",
        "job_experiment": "\n".join(
            [head, f"target = {text}", "mixture = targets.mixture_of(target)", sde, f"seed = {experiment.seed}"]
        ),
        "seed": experiment.seed,
        "plane": experiment.dim == 2,
        "line": experiment.dim == 1,
        "countable": modes.countable(mixture),
    }


def _components(text: str) -> str:
    """The text of a mixture, a line for each component."""
    lines = []
    for component in re.findall(r"(?:w[^wm]*)?m[^wm]*", text):
        words = re.sub(r"\s*([wmsc])", r" \1 ", component).replace("_", ", ")
        lines += textwrap.wrap(words.strip(), WIDTH, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)


def _of_figure(screen: str) -> Values:
    """The lines that ask whether to draw the figure, and that save it."""
    option = f'"--figure", nargs="?", const="{screen}.png", metavar="FILE", help="draw the figure into this file"'
    return {
        "arguments": "\n".join(
            ["parser = argparse.ArgumentParser()", f"parser.add_argument({option})", "file = parser.parse_args().figure"]
        ),
        "save": '    plt.savefig(file, dpi=150)\n    print(f"The figure is in {file}.")',
    }


def _forward(_experiment: Experiment, settings: forward.Settings) -> Values:
    return {"middle": (settings.steps + 1) // 2}


def _score(experiment: Experiment, settings: score.Settings) -> Values:
    mixture, x = experiment.mixture, [settings.x, settings.y][: experiment.dim]
    listed = len(most_responsible(mixture.at(experiment.sde, settings.t), x, score.PROBE_COMPONENTS))
    component = min(settings.component, mixture.n_components)
    view, weighted = settings.view, "parts.contributions"
    return {
        "x": x,
        "component": component,
        "index": component - 1,
        "others": mixture.n_components > listed,
        "mixture_view": view == "mixture",
        "component_view": view == "component",
        "components_view": view == "components",
        "weighted_view": view == "weighted",
        "parts_view": view in ("components", "weighted"),
        "all_components": view != "component",
        "line_parts": weighted if view in ("mixture", "weighted") else "parts.component_scores",
        "arrows": score.ACROSS_FEW if view in ("components", "weighted") else score.ACROSS,
        "samples": settings.samples,
        "follow": settings.camera == "follow",
        "fixed": settings.camera == "fixed",
    }


def _reverse(experiment: Experiment, settings: reverse.Settings) -> Values:
    prior, call = PRIORS[settings.prior]
    eta = reverse.NOISE[settings.process]
    return {
        **{"prior_call": call, "eta": eta, "noise": eta > 0},
        "priors": prior,
        "line_particles": whatif.particles(experiment),
        **{"changed": _coefficients(settings.line), "right": _coefficients(settings.line.right)},
    }


def _coefficients(line: whatif.Settings) -> str:
    """The factors of the score and of the noise, the power of dt, and whether the end of the step counts."""
    weight, noise = -line.weight if line.minus else line.weight, line.eta if line.noisy else 0.0
    return f"({weight!r}, {noise!r}, {1.0 if line.plain_dt else 0.5}, {int(line.earlier)})"


def _training(experiment: Experiment, settings: training.Settings) -> Values:
    config = settings.config(experiment.seed)
    like_notebook = config.network == "notebook"
    base = TrainConfig.notebook() if like_notebook else TrainConfig()
    own = {field.name: getattr(config, field.name) for field in fields(config)}
    changed = [f"{name}={_quoted(value)}" for name, value in own.items() if value != getattr(base, name) and name != "seed"]
    head = "replace(TrainConfig.notebook(), " if like_notebook else "TrainConfig("
    return {
        "config": _call(head, [*changed, "seed=seed"], "config = "),
        "notebook_recipe": like_notebook,
        "trainers": "TrainConfig, Trainer" + (", dsm_floor, dsm_loss_at, exact_score" if settings.show_loss else ""),
    }


def _quoted(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _call(head: str, arguments: list[str], before: str) -> str:
    """A call on one line, or where that is too long on one for each argument."""
    line = f"{head}{', '.join(arguments)})"
    if len(before + line) <= LINE:
        return line
    function, _bracket, first = head.partition("(")
    parts = [part.strip() for part in first.split(", ") if part.strip()] + arguments
    return "\n".join([f"{function}(", *(f"    {part}," for part in parts), ")"])


def _maths(experiment: Experiment, _settings: maths.Settings) -> Values:
    few = experiment.mixture.n_components > maths.MANY
    topic = _settings.topic
    times = {"floor": (34, 12), "weightings": (60, 20)}.get(topic, (0, 0))
    draws = {"dsm": (10_000, 2_000), "floor": (2000, 1000)}.get(topic, (0, 0))
    return {"curve_times": times[few], "drawn_times": 4 if few else 10, "draws": draws[few]}


def _race(_experiment: Experiment, settings: race.Settings) -> Values:
    return {
        "samplers": _list("samplers = ", settings.raced),
        "flow": settings.pathwise,
        "floor": not settings.pathwise,
        "grids": json.dumps(settings.grids),
        "steps": settings.steps,
        "evaluations": settings.end_evaluations,
        "learned": settings.score == "learned",
        "exact": settings.score == "exact",
    }


def _list(before: str, words: tuple[str, ...]) -> str:
    """A list of words on one line, or where that is too long on one for each word."""
    line = before + json.dumps(words)
    return line if len(line) <= LINE else "\n".join([f"{before}[", *(f'    "{word}",' for word in words), "]"])


def _budget(_experiment: Experiment, settings: budget.Settings) -> Values:
    return {"learned": settings.score == "learned", "exact": settings.score == "exact"}


def _likelihood(experiment: Experiment, settings: likelihood.Settings) -> Values:
    learned, plane = settings.score == "learned", experiment.dim == 2
    prior, call = PRIORS[settings.prior]
    made = _of_experiment(experiment)
    imported = ["Measurement", "exact_score", prior, made["sde_name"], made["maker"]]
    return {
        "names": ", ".join([*imported, *(["TrainConfig", "Trainer"] if learned else [])]),
        "fields": "grid_points, nearness, windows" if plane else "line_points, nearness, windows_1d",
        "prior_call": call,
        "learned": learned,
        "exact": not learned,
        "t_min": likelihood.first_time(settings.score),
        "first_words": "A network has no value at t = 0." if learned else "The exact score has a value at t = 0 too.",
    }


def _memorisation(experiment: Experiment, settings: memorisation.Settings) -> Values:
    made, several = _of_experiment(experiment), settings.points > 1
    imported = ["EmpiricalScore", "exact_prior", "exact_score", "memorisation", made["sde_name"], made["maker"]]
    return {
        "names": ", ".join([*imported, *(["TrainConfig", "Trainer"] if settings.network else [])]),
        "third": " and of a network trained on them" if settings.network else "",
        "eval_every": memorisation.config(settings.steps, experiment.seed).eval_every,
        "several": several,
    }


def _practice(experiment: Experiment, settings: practice.Settings) -> Values:
    name = settings.exercise
    suited = trials.suit(experiment, name)
    kind = "steps" if name in practice.STEPS else "arrows" if name in practice.TIMED and experiment.dim == 2 else "curves"
    return {
        **_of_experiment(suited),
        "target": _quoted(experiment.target),
        "kind": suited.kind,
        "parameters": suited.parameters,
        "exercise": name,
        "code": _text(settings.text),
        "steps": kind == "steps",
        "arrows": kind == "arrows",
        "curves": kind == "curves",
        "flow": kind == "steps" and experiment.dim == 1,
        "field": kind == "arrows" and name == "mixture-score",
        "clean": kind == "arrows" and name == "tweedie",
        "loss": name == "dsm-loss",
    }


def _text(text: str) -> str:
    """A text as a program writes it, in parts where it is too long for a line."""
    lines = [line[i : i + WIDTH] for line in text.splitlines(keepends=True) or [""] for i in range(0, len(line), WIDTH)]
    parts = [_literal(part) for part in lines] or [_literal("")]
    return parts[0] if len(parts) == 1 else "\n".join(["(", *(f"    {part}" for part in parts), ")"])


def _literal(text: str) -> str:
    """A text between quotes of the kind that needs no escapes, where there is one."""
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def _verified(_experiment: Experiment, settings: verified.Settings) -> Values:
    fixed = settings.group in FIXED
    return {"fixed": fixed, "varied": not fixed}


# Screen -> what its template needs beyond its settings by their names.
OF_SCREEN: dict[str, Callable[[Experiment, Any], Values]] = {
    "forward": _forward,
    "score": _score,
    "reverse": _reverse,
    "training": _training,
    "maths": _maths,
    "race": _race,
    "budget": _budget,
    "likelihood": _likelihood,
    "memorisation": _memorisation,
    "practice": _practice,
    "verified": _verified,
}
