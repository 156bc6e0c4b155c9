"""The shared choice, target, SDE and seed: widgets and URL in, one frozen Experiment out, the same on every page."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import streamlit as st

from scoredm import targets
from scoredm.ui import controls

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.mixture import GaussianMixture
    from scoredm.score import ExactScore
    from scoredm.sde import SDE

OWN = "own"
SHOWN = 60  # characters of a mixture that are repeated
OWN_DEFAULT = "w1 m-2,0 s0.5; w2 m2,1 c1,0.6,1"
LAM = controls.Number(
    "lam", "λ, noise rate", 0.5, 50.0, 0.5, 25.0, "g(t) = λᵗ: the larger λ, the more noise at t = 1.", format="%.4g"
)
SMIN = controls.Number(
    "smin", "σ min", 0.01, 0.5, 0.01, 0.01, "σₜ² = σ_min² (r²ᵗ − 1), r = σ_max / σ_min: the scale of the first noise.", "%.3g"
)
SMAX = controls.Number("smax", "σ max", 1.0, 100.0, 1.0, 10.0, "The noise at t = 1, nearly.", "%.4g")
BMIN = controls.Number(
    "bmin", "β at t = 0", 0.01, 5.0, 0.01, 0.1, "β(t) rises evenly; the data shrink at the rate β / 2.", "%.3g"
)
BMAX = controls.Number("bmax", "β at t = 1", 5.0, 40.0, 0.5, 20.0, "The larger β, the less is left of the data at t = 1.", "%.4g")
SDE_HELP = "How noise comes in. VE: it is added and grows. VP: the data shrink meanwhile. *Forward diffusion* compares them."
SEED = controls.Number("seed", "Seed", 0, 2**31 - 1, 1, 2021, "The same seed gives the same numbers, for everyone.")


@dataclass(frozen=True)
class Kind:
    """One kind of SDE the reader may choose."""

    title: str
    class_name: str  # of its class in scoredm.sde
    label: str  # a format for its parameters: what figures and tables call it
    parameters: tuple[controls.Number, ...]  # in the order of the class; whatever is chosen within their ranges is a diffusion


KINDS = {
    "ve": Kind("Tutorial's VE", "VESDE", "λ = {:g}", (LAM,)),
    "geometric": Kind("Geometric VE", "GeometricVESDE", "geometric VE, σ {:g} to {:g}", (SMIN, SMAX)),
    "vp": Kind("VP", "VPSDE", "VP, β {:g} to {:g}", (BMIN, BMAX)),
    "subvp": Kind("Sub-VP", "SubVPSDE", "sub-VP, β {:g} to {:g}", (BMIN, BMAX)),
    "cosine": Kind("Cosine VP", "CosineVPSDE", "cosine VP", ()),
}


@dataclass(frozen=True)
class Experiment:
    """What is being diffused and how: the key of every cached computation.

    target: a name from `targets`, or the text of a mixture; seed: of every draw; kind: a name from KINDS; parameters: the SDE's.
    Raises ValueError for an unknown kind or parameters of another kind.
    """

    target: str = "tutorial"
    seed: int = 2021
    kind: str = "ve"
    parameters: tuple[float, ...] = (25.0,)

    def __post_init__(self) -> None:
        """Refuse an SDE that cannot be made."""
        if self.kind not in KINDS:
            raise ValueError(f"there is no SDE {self.kind!r}; choose one of {', '.join(KINDS)}")
        if len(self.parameters) != len(KINDS[self.kind].parameters):
            raise ValueError(
                f"the SDE {self.kind!r} has {len(KINDS[self.kind].parameters)} parameters; {len(self.parameters)} were given"
            )

    @property
    def mixture(self) -> "GaussianMixture":
        """The target."""
        return mixture_of(self.target)

    @property
    def sde(self) -> "SDE":
        """The forward diffusion."""
        from scoredm import sde

        return getattr(sde, KINDS[self.kind].class_name)(*self.parameters)

    @property
    def title(self) -> str:
        """The target in a few words."""
        return targets.get(self.target).title if self.target in targets.names() else "Your own mixture"

    @property
    def sde_label(self) -> str:
        """The forward diffusion in a few words, for titles."""
        return KINDS[self.kind].label.format(*self.parameters)

    @property
    def score(self) -> "ExactScore":
        """The exact score of p_t."""
        from scoredm.score import exact_score

        return exact_score(self.mixture, self.sde)

    def distribution(self, t: float) -> "GaussianMixture":
        """p_t, the diffused target."""
        return self.mixture.at(self.sde, t)

    @property
    def dim(self) -> int:
        """The target's dimension."""
        return targets.get(self.target).dim if self.target in targets.names() else self.mixture.dim


@lru_cache(maxsize=256)
def mixture_of(target: str) -> "GaussianMixture":
    """The mixture of a target's name or of a mixture text. Raises ValueError for neither."""
    return targets.mixture(target) if target in targets.names() else targets.parse_mixture(target)


def choose_experiment() -> "tuple[Experiment, DeltaGenerator]":
    """Draw the experiment in the sidebar; return it, and the place there for the target's portrait."""
    with st.sidebar:
        target, portrait = _choose_target()
        kind, parameters = _choose_sde()
        seed = controls.number(SEED, "input")
    return Experiment(target, seed, kind, parameters), portrait


def _choose_sde() -> tuple[str, tuple[float, ...]]:
    titles = {name: kind.title for name, kind in KINDS.items()}
    name = controls.choice("sde", "SDE", titles, "ve", "selectbox", help=SDE_HELP)
    parameters = KINDS[name].parameters
    if len(parameters) < 2:
        return name, tuple(controls.number(parameter) for parameter in parameters)
    values = []
    for place, parameter in zip(st.columns(len(parameters)), parameters, strict=True):
        with place:
            values.append(controls.number(parameter))
    return name, tuple(values)


def _choose_target() -> "tuple[str, DeltaGenerator]":
    titles = {name: f"{targets.get(name).dim}-D · {targets.get(name).title}" for name in targets.names()}
    name = controls.choice("target", "Target", {**titles, OWN: "Your own mixture"}, "tutorial", "selectbox")
    if name == OWN:
        text = _own_target()
        return text, st.container(key="portrait")
    portrait, words = st.columns([1, 2], vertical_alignment="center")
    words.caption(targets.get(name).caption)
    return name, portrait


def _own_target() -> str:
    """Read the reader's text; while it cannot be read, say why and what is in use: the last that could be, or the default."""
    text = controls.text(
        "mixture",
        "Components: weight, mean, spread",
        OWN_DEFAULT,
        targets.MAX_TEXT,
        help="One component after another, parted by “;”: w weight, m mean, then s standard deviation(s), or c covariance "
        "(upper triangle). In one dimension: m -3 s 1; m 3 s 0.5",
    )
    try:
        dim = mixture_of(text).dim
        if dim > 2:
            raise ValueError(f"this mixture is in {dim} dimensions; the screens show 1 or 2")
    except ValueError as error:
        last = st.session_state.get("_own_last", OWN_DEFAULT)
        st.error(f"{error}. In use: {last if len(last) <= SHOWN else last[:SHOWN] + '…'}")
        return last
    st.session_state["_own_last"] = text
    return text
