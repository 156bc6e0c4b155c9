"""The probe of the score page, and the form that adds a component where it stands."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.address import FAR, OWN
from scoredm.charts import palette
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.ui import controls, show
from scoredm.ui.stage import probed

if TYPE_CHECKING:
    from scoredm.decomposition import Decomposition
    from scoredm.mixture import GaussianMixture

PROBES = ("px", "py")  # names in the link
STDS, CORRELATION, WEIGHT = ("add-std-1", "add-std-2"), "add-correlation", "add-weight"
STRETCHED = "From −0.99 to 0.99: how far the component leans along a diagonal."
SADDLE = "Where the pulls of the two nearest components cancel: far from both, and yet the score is zero."
LONE = "A saddle lies between two components, and here is one: add another, or choose another target."
NOTHING = 1e-6  # of the longest component score
PROBLEM = "_score_problem"  # session state: why the last press of a button here changed nothing


def choose_point(dim: int) -> tuple[float, ...]:
    """Where the probe stands: one number field for each coordinate."""
    if dim == 1:
        return (controls.choose("score", "x", "input", width=102, label=_("Probe x")),)
    return tuple(controls.choose("score", name, "input", width=102) for name in ("x", "y"))


def choose_component(count: int) -> int:
    """One of `count` components, counted from 0; the readers count from 1."""
    if st.session_state.get("k", 1) > count:
        st.session_state["k"] = count
    return controls.choose("score", "component", "input", high=count) - 1


def put(x: Sequence[float] | np.ndarray) -> None:
    """Move the probe, before its fields are drawn."""
    for probe, value in zip(PROBES, x, strict=False):
        st.session_state[probe] = float(np.clip(float(f"{value:.4g}"), -FAR, FAR))


def put_where_clicked(key: str) -> None:
    """Move the probe to where the stage of that key was clicked."""
    point = probed(key)
    if point is not None:
        put(point)


def put_on_saddle(experiment: Experiment, t: float, x: Sequence[float]) -> None:
    """Move the probe to the saddle between the two components nearest to it, or say that there is none."""
    from scoredm import decomposition

    found = decomposition.saddle(experiment.distribution(t), x)
    if found is None:
        st.session_state[PROBLEM] = f"At t = {t:g} the density has no dip between the two components that matter most here."
    else:
        put(found)


def saddle_button(experiment: Experiment, t: float, x: Sequence[float]) -> None:
    """A button that moves the probe to the saddle, where a mixture may have one."""
    single = experiment.mixture.n_components == 1
    help_text = LONE if single else SADDLE
    st.button("To the saddle", on_click=put_on_saddle, args=(experiment, t, x), help=help_text, disabled=single)


def show_problem() -> None:
    """Say once why a button changed nothing."""
    if PROBLEM in st.session_state:
        st.warning(st.session_state.pop(PROBLEM), icon=":material/info:")


def add_component(experiment: Experiment, x: Sequence[float]) -> None:
    """Fields for one more component, standing at the probe unless moved, and buttons that add it and take the last away."""
    mixture = experiment.mixture
    names = ("x",) if len(x) == 1 else ("x₁", "x₂")
    place = ",".join(f"{v:g}" for v in x)  # a probe elsewhere makes fresh fields, which stand there
    mean = [f"add-{name}-{place}" for name in names]
    for cell, name, key, value in zip(st.columns(len(names)), names, mean, x, strict=True):
        cell.number_input(f"Mean {name}", -FAR, FAR, float(value), 0.5, format="%.5g", key=key)
    for cell, name, key in zip(st.columns(len(names)), names, STDS, strict=False):
        cell.number_input(f"Std {name}", 0.001, 1000.0, 0.5, 0.1, format="%.4g", key=key, help="Standard deviation")
    cells = st.columns(len(names))
    if len(names) == 2:
        cells[0].number_input("Correlation", -0.99, 0.99, 0.0, 0.1, format="%.2f", key=CORRELATION, help=STRETCHED)
    so_far = f"The weights so far add up to {mixture.parameters[2].sum():.4g}."
    cells[-1].number_input("Weight", 0.0, FAR, 1.0, 0.5, format="%.4g", key=WEIGHT, help=so_far)
    st.button("Add it", on_click=_add, args=(experiment, mean), icon=":material/add:", width="stretch")
    last = mixture.n_components
    label = f"Remove component {last}"
    st.button(label, on_click=_remove, args=(experiment,), icon=":material/remove:", width="stretch", disabled=last == 1)


def _add(experiment: Experiment, mean: Sequence[str]) -> None:
    state = st.session_state
    stds = np.array([state[key] for key in STDS[: len(mean)]])
    correlations = np.full((len(mean), len(mean)), state.get(CORRELATION, 0.0))
    np.fill_diagonal(correlations, 1.0)
    place = [state[key] for key in mean]
    _change(lambda: experiment.mixture.add(place, correlations * np.outer(stds, stds), state[WEIGHT]), "added")


def _remove(experiment: Experiment) -> None:
    from scoredm.mixture import GaussianMixture

    _change(lambda: GaussianMixture(*(values[:-1] for values in experiment.mixture.parameters)), "removed")


def _change(make: Callable[[], "GaussianMixture"], done: str) -> None:
    """Make a mixture the reader's own target, or say why it cannot be."""
    from scoredm.targets import format_mixture, parse_mixture

    state = st.session_state
    try:
        text = format_mixture(make())
        parse_mixture(text)
    except ValueError as error:
        state[PROBLEM] = f"The component was not {done}: {error}."
        return
    if state["target"] != OWN:
        # The field for the text is not there yet: Streamlit writes only values of fields it has seen into the URL.
        st.query_params["mixture"] = text
    state.update(target=OWN, mixture=text)


def arrows(found: "Decomposition") -> list[tuple[int, float, float]]:
    """The contributions at a probe in the plane and, over them, their sum, as the stage draws them."""
    vectors = np.concatenate([found.contributions[0], found.score])
    if np.linalg.norm(vectors, axis=1).max() <= _nothing(found):
        vectors = 0 * vectors
    return [(int(k), float(x), float(y)) for k, (x, y) in zip([*found.components, -1], vectors, strict=True)]


def _nothing(found: "Decomposition") -> float:
    """The length below which a contribution is shown as zero."""
    return NOTHING * float(np.linalg.norm(found.component_scores[0], axis=1).max())


def table(found: "Decomposition", alone: "Decomposition | None" = None) -> None:
    """The probe in numbers: the contributions of the components, their sum, and the score itself beside it.

    alone: one component by itself at the same point, whose numbers come first then.
    """
    r = np.append(found.responsibilities[0], [found.other_responsibility[0], 1.0])
    parts = np.array([*found.contributions[0], found.other_contribution[0], found.total[0], found.score[0]])
    columns = [
        _densities(r, float(found.log_density[0])),
        _column("$r_k$", r[:, None], figures=5),  # four decimals, and four figures of s_k: the products come out
        _column("$s_k$", found.component_scores[0], alone=True, figures=4),
        _column("$r_k s_k$", parts, least=_nothing(found)),
    ]
    labels = [f"{_dot(k)} {k + 1}" for k in found.components] + [f"other {found.other_count}", "**sum**", "**score**"]
    lines = [["$k$", *(head for head, _ in columns)], [":--", *["--:"] * len(columns)]]
    for i, label in enumerate(labels):
        if found.other_count or not label.startswith("other"):
            lines.append([label, *(cells[i] if i < len(cells) else "" for _, cells in columns)])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    with st.container(key="probe"):
        first = f"{_summary(found)}" if alone is None else f"{_summary(alone, int(alone.components[0]))}\n\nIn the mixture:"
        st.markdown(f"{first}\n\n{rows}", unsafe_allow_html=True)


def _summary(found: "Decomposition", k: int | None = None) -> str:
    """Density and length of the score of a mixture, or of its component k by itself."""
    log_density, length = float(found.log_density[0]), float(np.linalg.norm(found.score[0]))
    of, whose = ("s", "") if k is None else ("sₖ", f"{_dot(k)} {k + 1} alone: ")
    numbers = {"log density": show.number(log_density), "density": _density(log_density), f"‖{of}‖": show.number(length)}
    return whose + " · ".join(f"{name} **{value}**" for name, value in numbers.items())


def _density(log_density: float) -> str:
    """exp(log density), also where it is too small for a float."""
    power = log_density / np.log(10)
    if power > -300:
        return show.number(float(np.exp(log_density)))
    whole = int(np.floor(power))
    return f"{10 ** (power - whole):.2f}{show.times_ten(whole)}"


def _dot(k: int) -> str:
    return f'<span style="color:{palette.component_colour(int(k))}">⬤</span>'


Column = tuple[str, list[str]]  # its head, and its cells from the top


def _densities(r: np.ndarray, log_density: float) -> Column:
    """The parts w_k N_k of a density that may be too small for a float, by their shares r."""
    power = _power(log_density / np.log(10))
    return _column(r"$w_k \mathcal N_k$", 10 ** (log_density / np.log(10) - power) * r[:, None], power=power)


def _column(
    head: str, vectors: np.ndarray, *, least: float = 0.0, alone: bool = False, power: int | None = None, figures: int = 3
) -> Column:
    """Vectors (N, D) with the same decimals, so many significant figures for the largest, so that they add up by eye.

    least: what counts as zero; alone: decimals that suit each vector; power: of ten, already taken out. What is very large
    or small is divided by a power of ten, which is told in the head.
    """
    largest = np.abs(vectors).max(axis=1 if alone else None, keepdims=True)
    if largest.max() <= least:
        vectors, largest = 0 * vectors, 0 * largest
    if power is None:
        power = _power(np.log10(largest.max())) if largest.max() > 0 else 0
        vectors, largest = vectors / 10.0**power, largest / 10.0**power
    decimals = np.broadcast_to(_decimals(largest, figures), vectors.shape)
    cells = [[show.fixed(float(v), int(d)) for v, d in zip(*row, strict=True)] for row in zip(vectors, decimals, strict=True)]
    unit = f"<br>/{show.times_ten(power).removeprefix(' ×')}" if power else ""
    return head + unit, [row[0] if len(row) == 1 else f"({', '.join(row)})" for row in cells]


def _power(log: float) -> int:
    """The power of ten to take out of a column whose largest number has this decimal logarithm."""
    return 0 if -2 <= log < 4 else int(np.floor(log))


def _decimals(largest: np.ndarray, figures: int) -> np.ndarray:
    """Decimals for so many significant figures, at most one more than these; as many as figures for zeros."""
    size = np.log10(np.where(largest > 0, largest, 1))
    return np.where(largest > 0, np.clip(figures - 1 - np.floor(size), 0, figures + 1), figures)
