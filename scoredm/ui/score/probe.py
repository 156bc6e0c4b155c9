"""The probe of the score page: where it stands, its arrows, and its numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import charts, screens
from scoredm.address import FAR
from scoredm.frames import ArrowScale, round_size
from scoredm.language import N_, _
from scoredm.ui import controls, show
from scoredm.ui.stage import PROBE_LENGTH, probed

if TYPE_CHECKING:
    from scoredm.experiment import Experiment

PROBES = ("px", "py")  # names in the link
NOTHING = 1e-6  # of the longest component score
VISIBLE = 0.01  # of the window's width: a shorter arrow cannot be seen
PROBLEM = "_score_problem"  # session state: why the last press of a button here changed nothing
SCALES = {
    "mixture": (N_("‖rₖ sₖ‖ = {size} at the probe, for every t"), N_("‖rₖ sₖ‖ = {size} at the probe, for this t")),
    "component": (N_("‖sₖ‖ = {size} at the probe, for every t"), N_("‖sₖ‖ = {size} at the probe, for this t")),
}
SCALES |= {"weighted": SCALES["mixture"], "components": SCALES["component"]}


def choose_point(dim: int) -> tuple[float, ...]:
    """Where the probe stands: one number field for each coordinate."""
    if dim == 1:
        return (controls.choose("score", "x", "input", width=102, label=_("Probe x")),)
    return tuple(controls.choose("score", name, "input", width=102) for name in ("x", "y"))


def choose_component(count: int) -> int:
    """One of `count` components, counted from 1."""
    if st.session_state.get("k", 1) > count:
        st.session_state["k"] = count
    return controls.choose("score", "component", "input", high=count, width=102)


def put(x: Sequence[float] | np.ndarray) -> None:
    """Move the probe, before its fields are drawn."""
    for probe, value in zip(PROBES, x, strict=False):
        st.session_state[probe] = float(np.clip(float(f"{value:.4g}"), -FAR, FAR))


def put_where_clicked(key: str) -> None:
    """Move the probe to where the stage of that key was clicked."""
    point = probed(key)
    if point is not None:
        put(point)


def put_on_saddle(experiment: "Experiment", settings: "screens.score.Settings") -> None:
    """Move the probe to the saddle between the two components nearest to it, or say that there is none."""
    found = screens.score.saddle(experiment, settings)
    if found is None:
        message = _("At t = {t} the density has no dip between the two components that matter most here.")
        st.session_state[PROBLEM] = message.format(t=f"{settings.t:g}")
    else:
        put(found)


def saddle_button(experiment: "Experiment", settings: "screens.score.Settings") -> None:
    """A button that moves the probe to the saddle, where a mixture may have one."""
    single = experiment.mixture.n_components == 1
    lone = _("A saddle lies between two components, and this mixture has only one.")
    meaning = _("Where the contributions of two components cancel: the score is zero, and it is not a peak.")
    st.button(
        _("To the saddle"),
        on_click=put_on_saddle,
        args=(experiment, settings),
        help=lone if single else meaning,
        disabled=single,
    )
    if single:
        st.caption(lone)


def show_problem() -> None:
    """Say once why a button changed nothing."""
    if PROBLEM in st.session_state:
        st.warning(st.session_state.pop(PROBLEM), icon=":material/info:")


def arrows(found: "screens.score.Probe", view: str) -> list[tuple[int, float, float]]:
    """The vectors at a probe in the plane as the stage draws them: the view's, and over contributions their sum."""
    if found.alone is not None:
        owners, vectors = np.array([found.alone.component]), found.alone.score[None]
    elif view == "components":
        owners, vectors = found.components, found.component_scores
    else:
        owners, vectors = np.append(found.components, -1), np.vstack([found.contributions, found.score])
        if np.linalg.norm(vectors, axis=1).max() <= _nothing(found):
            vectors = 0 * vectors
    return [(int(k), float(x), float(y)) for k, (x, y) in zip(owners, vectors, strict=True)]


def longest(found: "screens.score.Probe", view: str) -> float:
    """The length of the longest of `arrows`."""
    return max(float(np.hypot(x, y)) for _k, x, y in arrows(found, view))


def scale(length: float, view: str, fitted: bool) -> ArrowScale | None:
    """The scale of the probe's arrows where the longest has this length; None where it has none.

    fitted: whether that is the longest of this t, and not of every t.
    """
    size = round_size([length])
    if size is None:
        return None
    return ArrowScale(size, PROBE_LENGTH, _(SCALES[view][fitted]).format(size=show.number(size, 1)))


def is_too_short(length: float, scale: ArrowScale) -> bool:
    """Whether an arrow of a vector of this length, which is not zero, cannot be seen."""
    return 0 < length * scale.length / scale.size < VISIBLE


def _nothing(found: "screens.score.Probe") -> float:
    """The length below which a contribution is shown as zero."""
    return NOTHING * float(np.linalg.norm(found.component_scores, axis=1).max())


def table(found: "screens.score.Probe") -> None:
    """The probe in numbers: the contributions of the components, their sum, and the score itself beside it.

    Where one component is chosen, its own numbers come first. Vectors stand upright, x₁ over x₂, so that the table is narrow.
    """
    r = np.append(found.responsibilities, [found.other_responsibility, 1.0])
    parts = np.array([*found.contributions, found.other_contribution, found.total, found.score])
    columns = [
        _densities(r, found.log_density),
        _column("$r_k$", r[:, None], figures=5),  # four decimals, and four figures of s_k: the products come out
        _column("$s_k$", found.component_scores, alone=True, figures=4),
        _column("$r_k s_k$", parts, least=_nothing(found)),
    ]
    other = _("other {n}").format(n=found.other_count)
    labels = [*(f"{_dot(k)} {k + 1}" for k in found.components), other, _("**sum**"), _("**score**")]
    lines = [["$k$", *(head for head, _cells in columns)], [":--", *["--:"] * len(columns)]]
    for i, label in enumerate(labels):
        if found.other_count or i != len(found.components):
            lines.append([label, *(cells[i] if i < len(cells) else "" for _head, cells in columns)])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    with st.container(key="probe"):
        st.markdown(f"{_summaries(found)}\n\n{rows}", unsafe_allow_html=True)


def _summaries(found: "screens.score.Probe") -> str:
    """Density and length of the score: of the chosen component by itself first, or of the mixture."""
    alone = found.alone
    if alone is None:
        return _summary(found.log_density, found.score, "s")
    summary = _("{component} alone: {numbers}").format(
        component=f"{_dot(alone.component)} {alone.component + 1}", numbers=_summary(alone.log_density, alone.score, "sₖ")
    )
    return "\n\n".join([summary, _("In the mixture:")])


def _summary(log_density: float, score: np.ndarray, symbol: str) -> str:
    words = _("log density **{log}** · density **{density}** · ‖{s}‖ **{length}**")
    length = show.number(float(np.linalg.norm(score)))
    return words.format(log=show.number(log_density), density=_density(log_density), s=symbol, length=length)


def _density(log_density: float) -> str:
    """exp(log density), also where it is too small for a float."""
    power = log_density / np.log(10)
    if power > -300:
        return show.number(float(np.exp(log_density)))
    whole = int(np.floor(power))
    return f"{10 ** (power - whole):.2f}{show.times_ten(whole)}"


def _dot(k: int) -> str:
    return f'<span style="color:{charts.palette.component_colour(int(k))}">⬤</span>'


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
    return head + unit, ["<br>".join(row) for row in cells]


def _power(log: float) -> int:
    """The power of ten to take out of a column whose largest number has this decimal logarithm."""
    return 0 if -2 <= log < 4 else int(np.floor(log))


def _decimals(largest: np.ndarray, figures: int) -> np.ndarray:
    """Decimals for so many significant figures, at most one more than these; as many as figures for zeros."""
    size = np.log10(np.where(largest > 0, largest, 1))
    return np.where(largest > 0, np.clip(figures - 1 - np.floor(size), 0, figures + 1), figures)
