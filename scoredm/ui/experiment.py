"""The shared choice, target, SDE and seed: widgets and URL in, one frozen Experiment out, the same on every page."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import streamlit as st

from scoredm import targets
from scoredm.ui import controls

if TYPE_CHECKING:
    from scoredm.mixture import GaussianMixture
    from scoredm.score import ExactScore
    from scoredm.sde import VESDE

OWN = "own"
OWN_DEFAULT = "w1 m-2,0 s0.5; w2 m2,1 c1,0.6,1"
LAM = controls.Number(
    "lam", "λ, noise rate", 0.5, 50.0, 0.5, 25.0, "g(t) = λᵗ: the larger λ, the more noise at t = 1.", format="%.4g"
)
SEED = controls.Number("seed", "Seed", 0, 2**31 - 1, 1, 2021, "The same seed gives the same numbers, for everyone.")


@dataclass(frozen=True)
class Experiment:
    """What is being diffused and how: the key of every cached computation.

    target: a name from `targets`, or the text of a mixture; lam: the SDE's lambda; seed: of every draw.
    """

    target: str = "tutorial"
    lam: float = 25.0
    seed: int = 2021

    @property
    def mixture(self) -> "GaussianMixture":
        """The target."""
        return mixture_of(self.target)

    @property
    def sde(self) -> "VESDE":
        """The forward diffusion."""
        from scoredm.sde import VESDE

        return VESDE(self.lam)

    @property
    def score(self) -> "ExactScore":
        """The exact score of p_t."""
        from scoredm.score import exact_score

        return exact_score(self.mixture, self.sde)

    @property
    def dim(self) -> int:
        """The target's dimension."""
        return targets.get(self.target).dim if self.target in targets.names() else self.mixture.dim


@lru_cache(maxsize=256)
def mixture_of(target: str) -> "GaussianMixture":
    """The mixture of a target's name or of a mixture text. Raises ValueError for neither."""
    return targets.mixture(target) if target in targets.names() else targets.parse_mixture(target)


def choose_experiment() -> Experiment:
    """Draw the experiment in the sidebar and return it."""
    with st.sidebar:
        target = _choose_target()
        lam = controls.number(LAM)
        seed = controls.number(SEED, "input")
    return Experiment(target, lam, seed)


def _choose_target() -> str:
    titles = {name: f"{targets.get(name).dim}-D · {targets.get(name).title}" for name in targets.names()}
    name = controls.choice("target", "Target", {**titles, OWN: "Your own mixture"}, "tutorial", "selectbox")
    if name != OWN:
        st.caption(targets.get(name).caption)
        return name
    return _own_target()


def _own_target() -> str:
    """Read the reader's text; while it cannot be read, say why and keep the last one that could."""
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
        st.error(f"{error}. The last mixture that could be read stays in use.")
        return st.session_state.get("_own_last", OWN_DEFAULT)
    st.session_state["_own_last"] = text
    return text
