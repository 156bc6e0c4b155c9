"""The probe of the score page, and the form that adds a component where it stands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import palette
from scoredm.ui import compute, controls, show
from scoredm.ui.experiment import OWN, Experiment
from scoredm.ui.stage import probed

if TYPE_CHECKING:
    from scoredm.parts import Parts

FAR = 1e6
PROBES = (
    controls.Number("px", "Probe x₁", -FAR, FAR, 0.1, 1.0, format="%.5g"),
    controls.Number("py", "Probe x₂", -FAR, FAR, 0.1, 0.0, format="%.5g"),
)
PROBE_1D = controls.Number("px", "Probe x", -FAR, FAR, 0.1, 1.0, format="%.5g")
PROBLEM = "_score_problem"  # session state: why the last press of a button here changed nothing


def choose_point(dim: int) -> tuple[float, ...]:
    """Where the probe stands: one number field for each coordinate."""
    return tuple(controls.number(probe, "input", width=102) for probe in (PROBES if dim == 2 else [PROBE_1D]))


def choose_component(count: int) -> int:
    """One of `count` components, counted from 0; the readers count from 1."""
    if st.session_state.get("k", 1) > count:
        st.session_state["k"] = count
    return controls.number(controls.Number("k", "Component", 1, count, 1, 1), "input") - 1


def put(x: Sequence[float] | np.ndarray) -> None:
    """Move the probe, before its fields are drawn."""
    for probe, value in zip(PROBES, x, strict=False):
        st.session_state[probe.key] = float(np.clip(float(f"{value:.4g}"), -FAR, FAR))


def put_where_clicked(key: str) -> None:
    """Move the probe to where the stage of that key was clicked."""
    point = probed(key)
    if point is not None:
        put(point)


def put_on_saddle(experiment: Experiment, t: float, x: Sequence[float]) -> None:
    """Move the probe to the saddle between the two components nearest to it, or say that there is none."""
    from scoredm import parts

    found = parts.saddle(compute.score_mixture(experiment, t), x)
    if found is None:
        st.session_state[PROBLEM] = f"At t = {t:g} the density has no dip between the two components that matter most here."
    else:
        put(found)


def show_problem() -> None:
    """Say once why a button changed nothing."""
    if PROBLEM in st.session_state:
        st.warning(st.session_state.pop(PROBLEM), icon=":material/info:")


def add_component(experiment: Experiment, x: Sequence[float]) -> None:
    """Fields for one more component, standing at the probe unless moved, and the button that adds it."""
    weights = experiment.mixture.parameters[2]
    names = ("x",) if len(x) == 1 else ("x₁", "x₂")
    place = ",".join(f"{v:g}" for v in x)  # a probe elsewhere makes fresh fields, which stand there
    mean = [f"add-{name}-{place}" for name in names]
    for name, key, value in zip(names, mean, x, strict=True):
        st.number_input(f"Mean {name}", -FAR, FAR, float(value), 0.5, format="%.5g", key=key)
    st.number_input("Standard deviation", 0.001, 1000.0, 0.5, 0.1, format="%.4g", key="add-std")
    st.number_input(
        "Weight", 0.0, FAR, 1.0, 0.5, format="%.4g", key="add-weight", help=f"The weights so far add up to {weights.sum():.4g}."
    )
    st.button("Add it", on_click=_add, args=(experiment, mean), icon=":material/add:", width="stretch")


def _add(experiment: Experiment, mean: Sequence[str]) -> None:
    from scoredm.targets import format_mixture, parse_mixture

    state = st.session_state
    covariance = state["add-std"] ** 2 * np.eye(len(mean))
    try:
        text = format_mixture(experiment.mixture.add([state[key] for key in mean], covariance, state["add-weight"]))
        parse_mixture(text)
    except ValueError as error:
        state[PROBLEM] = f"The component was not added: {error}."
        return
    if state["target"] != OWN:
        # The field for the text is not there yet: Streamlit writes only values of fields it has seen into the URL.
        st.query_params["mixture"] = text
    state.update(target=OWN, mixture=text)


def table(found: "Parts") -> None:
    """The probe in numbers: the contributions of the components, their sum, and the score itself beside it."""
    r = np.append(found.responsibilities[0], [found.rest_responsibility[0], 1.0])
    own = [*found.component_scores[0], None, None, None]
    weighted = [*found.weighted[0], found.rest[0], found.total[0], found.score[0]]
    labels = [f"{_dot(k)} {k + 1}" for k in found.components] + [f"other {found.others}", "**sum**", "**score s**"]
    shown = [i for i, label in enumerate(labels) if found.others or not label.startswith("other")]
    shares, pulls, parts = _numbers(r), [_alone(v) for v in own], _vectors(weighted)
    rows = [f"| {labels[i]} | {[*shares, ''][i]} | {pulls[i]} | {parts[i]} |" for i in shown]
    head = "| component k | $r_k$ | $s_k$ | $r_k s_k$ |\n|:--|--:|--:|--:|\n"
    st.markdown(f"{_summary(found)}\n\n{head}" + "\n".join(rows), unsafe_allow_html=True)


def _summary(found: "Parts") -> str:
    log_density, length = float(found.log_density[0]), float(np.linalg.norm(found.score[0]))
    return (
        f"log density **{_minus(show.figures(log_density))}** · density **{_density(log_density)}** · "
        f"‖s‖ **{show.figures(length)}**"
    )


def _density(log_density: float) -> str:
    """exp(log density), also where it is too small for a float."""
    power = log_density / np.log(10)
    if power > -4:
        return show.figures(float(np.exp(log_density)))
    whole = int(np.floor(power))
    return rf"${10 ** (power - whole):.2f} \times 10^{{{whole}}}$"


def _dot(k: int) -> str:
    return f'<span style="color:{palette.component_colour(int(k))}">⬤</span>'


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _numbers(values: Sequence[float] | np.ndarray) -> list[str]:
    """Numbers of one column with the same decimals, three significant figures for the largest, so that they add up by eye."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return ["0" for _ in values]
    decimals = 2 - int(np.floor(np.log10(largest)))
    rounded = np.round(values, decimals) + 0.0  # no negative zeros
    if 1e-3 <= largest < 1e5:
        return [_minus(f"{value:.{max(0, decimals)}f}") for value in rounded]
    return [_minus(f"{value:.2e}") if value else "0" for value in rounded]


def _vectors(vectors: Sequence[np.ndarray]) -> list[str]:
    """Vectors of one column, all with the same decimals."""
    numbers = iter(_numbers(np.array(vectors).ravel()))
    return [_bracketed([next(numbers) for _ in v]) for v in vectors]


def _alone(vector: np.ndarray | None) -> str:
    """A vector with the decimals that suit it; nothing where there is none."""
    return "" if vector is None else _bracketed(_numbers(vector))


def _bracketed(coordinates: Sequence[str]) -> str:
    return coordinates[0] if len(coordinates) == 1 else f"({', '.join(coordinates)})"
