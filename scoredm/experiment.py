"""An experiment: what is diffused, and how. It is chosen once and shown on every screen.

Nothing here loads torch before a mixture or an SDE is asked for, so that a page's sidebar is drawn at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import scoredm
from scoredm import targets
from scoredm.language import N_, _
from scoredm.parameters import Number

if TYPE_CHECKING:
    from scoredm.mixture import GaussianMixture
    from scoredm.score import ExactScore
    from scoredm.sde import SDE

LAM = Number(
    "lam",
    N_("λ, noise rate"),
    25.0,
    N_("g(t) = λᵗ: the larger λ, the more noise at t = 1."),
    low=0.5,
    high=50.0,
    step=0.5,
    format="%.4g",
)
SIGMA_MIN = Number(
    "smin",
    N_("σ min"),
    0.01,
    N_("σₜ² = σ_min² (r²ᵗ − 1) with r = σ_max / σ_min: the noise level near t = 0."),
    low=0.01,
    high=0.5,
    step=0.01,
    format="%.3g",
)
SIGMA_MAX = Number("smax", N_("σ max"), 10.0, N_("The noise level at t = 1."), low=1.0, high=100.0, step=1.0, format="%.4g")
BETA_MIN = Number(
    "bmin",
    N_("β at t = 0"),
    0.1,
    N_("β(t) increases linearly in t; the data shrink at the rate β / 2."),
    low=0.01,
    high=5.0,
    step=0.01,
    format="%.3g",
)
BETA_MAX = Number(
    "bmax",
    N_("β at t = 1"),
    20.0,
    N_("The larger β, the less of the data is left at t = 1."),
    low=5.0,
    high=40.0,
    step=0.5,
    format="%.4g",
)
EDM_MIN = Number(
    "emin",
    N_("σ min"),
    0.002,
    N_("The noise level at which the growth starts. Equal steps in t give the noise levels of Karras et al."),
    low=0.001,
    high=0.5,
    step=0.001,
    format="%.3f",
)
EDM_MAX = Number("emax", N_("σ max"), 80.0, N_("The noise level at t = 1."), low=1.0, high=100.0, step=1.0, format="%.4g")


@dataclass(frozen=True)
class Kind:
    """A kind of SDE that readers can choose.

    Args:
        title: its name on screen, in English.
        sde: the name of its class in `scoredm.sde`.
        label: a format for its parameters, as titles of figures and tables show them, in English.
        parameters: in the order in which the class takes them; every value in their ranges makes a diffusion.
        equation: its alpha_t, sigma_t and g(t) in LaTeX.
    """

    title: str
    sde: str
    label: str
    parameters: tuple[Number, ...]
    equation: str


KINDS = {
    "ve": Kind(
        N_("Tutorial's VE"),
        "VESDE",
        N_("λ = {:g}"),
        (LAM,),
        r"\alpha_t = 1,\quad \sigma_t^2 = \frac{\lambda^{2t} - 1}{2 \ln \lambda},\quad g(t) = \lambda^t",
    ),
    "geometric": Kind(
        N_("Geometric VE"),
        "GeometricVESDE",
        N_("geometric VE, σ {:g} to {:g}"),
        (SIGMA_MIN, SIGMA_MAX),
        r"\alpha_t = 1,\quad \sigma_t^2 = \sigma_{\min}^2 (r^{2t} - 1),\quad g(t) = \sigma_{\min} r^t \sqrt{2 \ln r},\quad "
        r"r = \sigma_{\max} / \sigma_{\min}",
    ),
    "vp": Kind(
        N_("VP"),
        "VPSDE",
        N_("VP, β {:g} to {:g}"),
        (BETA_MIN, BETA_MAX),
        r"\alpha_t = e^{-B/2},\quad \sigma_t^2 = 1 - e^{-B},\quad g(t) = \sqrt{\beta(t)},\quad "
        r"B(t) = \int_0^t \beta(u)\,\mathrm{d}u",
    ),
    "subvp": Kind(
        N_("Sub-VP"),
        "SubVPSDE",
        N_("sub-VP, β {:g} to {:g}"),
        (BETA_MIN, BETA_MAX),
        r"\alpha_t = e^{-B/2},\quad \sigma_t^2 = (1 - e^{-B})^2,\quad g(t) = \sqrt{\beta(t)\,(1 - e^{-2B})}",
    ),
    "cosine": Kind(
        N_("Cosine VP"),
        "CosineVPSDE",
        N_("cosine VP"),
        (),
        r"\alpha_t = \frac{\cos\varphi}{\cos\varphi_0},\quad \sigma_t^2 = 1 - \alpha_t^2,\quad "
        r"g(t) = \sqrt{2 \varphi' \tan\varphi}",
    ),
    "rectified": Kind(
        N_("Rectified flow"),
        "RectifiedFlow",
        N_("rectified flow"),
        (),
        r"\alpha_t = 1 - t,\quad \sigma_t = t,\quad g(t) = \sqrt{2t / (1 - t)}",
    ),
    "edm": Kind(
        N_("EDM"),
        "EDM",
        N_("EDM, σ {:g} to {:g}"),
        (EDM_MIN, EDM_MAX),
        r"\alpha_t = 1,\quad \sigma_t^2 = u_t^{14} - \sigma_{\min}^2,\quad g(t) = \sqrt{14\, u_t^{13}\, \dot u_t},\quad "
        r"u_t = \sigma_{\min}^{1/7} + t\,(\sigma_{\max}^{1/7} - \sigma_{\min}^{1/7})",
    ),
}


@dataclass(frozen=True)
class Experiment:
    """What is diffused and how; screen functions take it, and caches use it as their key.

    Args:
        target: a name from `targets`, or the text of a mixture.
        seed: of every random draw.
        kind: a name from KINDS.
        parameters: of the SDE, as many as the kind has; the defaults where there are none.

    Raises:
        ValueError: the kind is unknown, or the number of parameters is wrong.
    """

    target: str = "tutorial"
    seed: int = 2021
    kind: str = "ve"
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Validate the kind and fill in the parameters' defaults."""
        if self.kind not in KINDS:
            raise ValueError(
                _("there is no SDE {name}; choose one of {names}").format(name=repr(self.kind), names=", ".join(KINDS))
            )
        expected = KINDS[self.kind].parameters
        if not self.parameters:
            object.__setattr__(self, "parameters", tuple(parameter.default for parameter in expected))
        if len(self.parameters) != len(expected):
            message = _("the SDE {name} has {expected} parameters; {given} were given")
            raise ValueError(message.format(name=repr(self.kind), expected=len(expected), given=len(self.parameters)))

    @property
    def mixture(self) -> "GaussianMixture":
        """The target, p_0."""
        return targets.mixture_of(self.target)

    @property
    def sde(self) -> "SDE":
        """The forward diffusion."""
        return getattr(scoredm, KINDS[self.kind].sde)(*self.parameters)

    @property
    def score(self) -> "ExactScore":
        """The exact score of p_t."""
        return scoredm.exact_score(self.mixture, self.sde)

    def distribution(self, t: float) -> "GaussianMixture":
        """p_t, the diffused target.

        Args:
            t: the time, in [0, 1].
        """
        return self.mixture.at(self.sde, t)

    def prior(self, name: str) -> "GaussianMixture":
        """The initial distribution of a sampler, of x at t = 1, by its name in `PRIORS`.

        Args:
            name: a key of `PRIORS`.
        """
        return scoredm.initial_distribution(name, self.mixture, self.sde)

    @property
    def dim(self) -> int:
        """The dimension of the target."""
        return targets.get(self.target).dim if self.target in targets.names() else self.mixture.dim

    @property
    def title(self) -> str:
        """The target in a few words."""
        return _(targets.get(self.target).title) if self.target in targets.names() else _("Your own mixture")

    @property
    def sde_label(self) -> str:
        """The forward diffusion in a few words."""
        return _(KINDS[self.kind].label).format(*self.parameters)
