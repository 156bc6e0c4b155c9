"""The checks behind the app: what is claimed, what should come out, and what comes out on this machine.

    from scoredm import CHECKS, VESDE, Case, targets

    case = Case(targets.mixture("tutorial"), VESDE(), seed=2021)
    for check in CHECKS:
        finding = check(case)
        print(check.name, finding.expected, finding.found, finding.tolerance, finding.passed)

Every claim is computed in two ways that share as little as possible. The identities hold for any case; the known values are
always of the tutorial's experiment. The tests run this same table.

An identity is found within its tolerance for lambda from 0.01 to 10^4, sigma_max up to 10^5 sigma_min, and beta up to 100 that
starts at 30 or below. Beyond, float64 or a fixed number of steps may be too little, and the check then fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from scoredm.checks import identities, known_values
from scoredm.checks.finding import Case, Finding
from scoredm.samplers import SAMPLERS

FIXED = ("values", "notebook")  # groups that do not ask for a case

SONG = "Song et al. 2020, arXiv 2011.13456"
MAXIMUM_LIKELIHOOD = "Song et al. 2021, arXiv 2101.09258"
VINCENT = "Vincent 2011, doi 10.1162/NECO_a_00142"
NOTEBOOK = "Neuromatch Academy, deep learning, week 2 day 4, tutorial 2"


@final
@dataclass(frozen=True)
class Check:
    """One claim, and how to find out whether it holds here.

    name: short and unique; group: the topic it belongs to; statement: a line of Markdown; source: who says so; slow: whether it
    takes seconds rather than a fraction of one.
    """

    name: str
    group: str
    statement: str
    source: str
    run: Callable[..., Finding]
    slow: bool = False

    @property
    def fixed(self) -> bool:
        """Whether it is about a known number, whatever the case."""
        return self.group in FIXED

    def __call__(self, case: Case) -> Finding:
        """What is found in this case."""
        return self.run() if self.fixed else self.run(case)


CHECKS = (
    Check(
        "drift",
        "sde",
        r"The drift is the rate at which the data shrink: $f = (\log \alpha_t)'$ at 41 times. Largest relative difference.",
        f"{SONG}, appendix B",
        identities.drift,
    ),
    Check(
        "diffusion",
        "sde",
        r"The variance of the added noise is $g^2 = (\sigma_t^2)' - 2 f \sigma_t^2$. Largest relative difference.",
        f"{SONG}, appendix B",
        identities.diffusion,
    ),
    Check("start", "sde", r"At $t = 0$ the data are unchanged: $\alpha_0 = 1$ and $\sigma_0 = 0$.", SONG, identities.start),
    Check(
        "digits",
        "sde",
        r"$\sigma_t$ keeps its digits in float32 from $t = 10^{-9}$ on. Largest relative error.",
        "the same formula in float64",
        identities.digits,
    ),
    Check(
        "paths",
        "sde",
        r"Forward paths spread as $v' = 2 f v + D g^2$ says: total variance at $t = 0.5$ and $1$.",
        "Särkkä and Solin 2019, Applied Stochastic Differential Equations, eq. 5.51",
        identities.paths,
    ),
    Check(
        "gradient",
        "score",
        r"The score is the slope of $\log p_t$, found once more by automatic differentiation. Largest $\sigma_t\,|\Delta s|$.",
        "definition",
        identities.gradient,
    ),
    Check(
        "convolution",
        "score",
        r"$p_t(x) = \int p_0(y)\, N(x; \alpha_t y, \sigma_t^2 I)\, \mathrm{d}y$, by quadrature. Largest $|\Delta \log p_t|$.",
        SONG,
        identities.convolution,
    ),
    Check(
        "fokker-planck",
        "score",
        r"$p_t$ flows as $\partial_t p = -\nabla\!\cdot(f x\, p) + \frac{1}{2} g^2 \Delta p$. Largest relative difference.",
        "Fokker 1914, Planck 1917",
        identities.fokker_planck,
    ),
    Check(
        "tweedie",
        "score",
        r"The best guess of clean data is $(x + \sigma_t^2 s) / \alpha_t$, and Bayes' rule agrees. "
        r"Largest difference, over the spread of $x_t / \alpha_t$.",
        "Efron 2011, Tweedie's Formula and Selection Bias",
        identities.tweedie,
    ),
    Check(
        "merging",
        "score",
        r"Two modes merge when $\sigma_t^2 / \alpha_t^2 = \mu^2 - s^2$, here set for $t = 0.5$: by formula, by the score.",
        "second derivative of the density",
        identities.merging,
    ),
    Check(
        "dsm",
        "losses",
        r"$J_{DSM} - J_{ESM}$ of a wrong score is the spread of the clean data, whatever the score; $t = 0.5$.",
        VINCENT,
        identities.dsm,
    ),
    Check(
        "floor",
        "losses",
        r"The floor $D - \sigma_t^2\, \mathrm{E}\|s\|^2$ is the spread of the clean data given the noisy; $t = 0.5$.",
        VINCENT,
        identities.floor,
    ),
    Check(
        "entropy",
        "losses",
        r"Entropy grows by $\int (D f + \frac{1}{2} g^2\, \mathrm{E}\|s\|^2)\, \mathrm{d}t$, from $t = 0.01$ to $1$ (de Bruijn).",
        "Stam 1959, Some Inequalities Satisfied by the Quantities of Information",
        identities.entropy,
    ),
    Check(
        "girsanov",
        "losses",
        r"$\mathrm{KL}(p_0 \| p_\theta) = \frac{1}{2} \int g^2\, \mathrm{E}\|s - s_\theta\|^2\, \mathrm{d}t + "
        r"\mathrm{KL}(p_1 \| \pi)$ where $s_\theta$ and $\pi$ are of one diffusion.",
        MAXIMUM_LIKELIHOOD,
        identities.girsanov,
    ),
    Check(
        "girsanov-strict",
        "losses",
        r"In general it is a bound: here the score belongs to a mean that is wrong by 1, and the prior is $N(0, \sigma_1^2)$.",
        MAXIMUM_LIKELIHOOD,
        identities.girsanov_strict,
    ),
    Check(
        "anderson",
        "reverse",
        r"The reverse SDE leads from $p_1$ back to $p_{0.1}$: mean of $-\log p$, and total variance.",
        "Anderson 1982, doi 10.1016/0304-4149(82)90051-5",
        identities.anderson,
        slow=True,
    ),
    Check(
        "flow",
        "reverse",
        r"The probability flow leads from $p_1$ back to $p_{0.1}$ without noise: mean of $-\log p$, and total variance.",
        f"{SONG}, section 4.3",
        identities.flow,
        slow=True,
    ),
    Check(
        "likelihood",
        "reverse",
        r"Followed from the data up to $p_1$, the flow's change of volume gives $\log p_0$. Largest difference in nats.",
        f"{SONG}, section 4.3",
        identities.likelihood,
    ),
    Check(
        "flow-gaussian",
        "reverse",
        "On one Gaussian the flow keeps a point's number of standard deviations from the mean: 2 stays 2, along each axis.",
        "closed form",
        identities.flow_of_a_gaussian,
    ),
    Check(
        "recursion",
        "reverse",
        r"Euler-Maruyama takes the variance $v$ to $(1 - (f + g^2/V) \Delta t)^2 v + g^2 \Delta t$ on Gaussian data. Ratio.",
        "closed form",
        identities.recursion,
    ),
    *(
        Check(
            f"order-{name}",
            "samplers",
            f"{SAMPLERS[name].title}: from $p_1$ to $p_{{0.5}}$ of Gaussian data its error falls with this power of the step.",
            SAMPLERS[name].source,
            check,
        )
        for name, check in identities.ORDERS.items()
    ),
    Check(
        "prior-divergence",
        "values",
        r"How far this prior is from $p_1$: $\mathrm{KL}(p_1 \| N(0, \sigma_1^2 I))$ at $\lambda = 5$ and $25$.",
        "quadrature",
        known_values.prior_divergence,
    ),
    Check(
        "prior-bias",
        "values",
        r"From that prior at $\lambda = 5$, samples of 200 steps have this mean and first weight; exact are $(1, 0)$ and $0.5$.",
        "an independent simulation",
        known_values.prior_bias,
        slow=True,
    ),
    Check(
        "prior-cured",
        "values",
        "From the Gaussian with the mean and covariance of $p_1$, the same steps give the exact mean and first weight.",
        "the mixture itself",
        known_values.prior_cured,
        slow=True,
    ),
    Check(
        "floors",
        "values",
        r"The floor of DSM at $t = 0.01$, $0.25$, $0.5$, $0.75$ and $1$, $\lambda = 25$.",
        "quadrature",
        known_values.floors,
    ),
    Check(
        "floor-over-time",
        "values",
        r"The floor's mean over $t$ in $[0.01, 1]$.",
        "quadrature",
        known_values.floor_over_time,
    ),
    Check(
        "de-bruijn",
        "values",
        r"$2\,[h(p_1) - h(p_{0.01})] = \int g^2\, \mathrm{E}\|s\|^2\, \mathrm{d}t$ for three modes on the line, $\lambda = 10$.",
        "quadrature of both sides",
        known_values.de_bruijn,
    ),
    Check(
        "modes-merge",
        "values",
        r"Modes at $\pm 2$ of standard deviation $0.5$ merge at this $t$, for $\lambda = 5$ and $25$.",
        r"closed form, ln(1 + 2 ln λ (μ² − s²)) / (2 ln λ)",
        known_values.merging,
    ),
    Check(
        "lost-digits",
        "values",
        r"Relative error of $\sigma_t^2$ in float32 at $t = 10^{-5}$: by powers of $\lambda$, and as the app computes it.",
        "float64",
        known_values.lost_digits,
    ),
    Check(
        "likelihoods",
        "values",
        r"$\log p_0$ at $(0, 1)$, $(1, 0)$ and $(2, -1)$, by the probability flow at $\lambda = 25$.",
        "the mixture itself",
        known_values.likelihoods,
    ),
    Check(
        "flow-euler-errors",
        "values",
        r"Error of the flow by Euler from $x = 1$ on $N(0, 1)$, $\lambda = 25$: 20 and 640 even steps.",
        "closed form",
        known_values.flow_euler_errors,
    ),
    Check(
        "heun-errors",
        "values",
        "The same by Heun.",
        "closed form",
        known_values.heun_errors,
    ),
    Check(
        "euler-maruyama-errors",
        "values",
        "Error of the variance by Euler-Maruyama on the same data and steps.",
        "closed form",
        known_values.euler_maruyama_errors,
    ),
    Check(
        "extra-increment",
        "notebook",
        r"The notebook's cumulative sum has this much variance for each unit it should have ($\lambda = 26$, 50 frames).",
        NOTEBOOK,
        known_values.extra_increment,
    ),
    Check(
        "one-point",
        "notebook",
        r"The exercise: all data at 0 and $s = -x / \sigma_t^2$ has loss 0, and $s = 0$ has loss $D$ on any data.",
        NOTEBOOK,
        known_values.loss_of_one_point,
    ),
    Check(
        "one-gaussian",
        "notebook",
        r"Gaussian data of variances $v_i$ and their exact score have loss $\sum_i v_i / (v_i + \sigma_t^2)$.",
        "closed form",
        known_values.loss_of_a_gaussian,
    ),
    Check(
        "perfect-score",
        "notebook",
        "The notebook's own error of the exact score is this, not 0.",
        NOTEBOOK,
        known_values.perfect_score,
    ),
    Check(
        "first-loss",
        "notebook",
        "The notebook's training, rerun: loss at step 0. The tolerance is the spread over seeds, here and below.",
        NOTEBOOK,
        known_values.first_loss,
        slow=True,
    ),
    Check("last-loss", "notebook", "Its loss over the last 50 of 500 steps.", NOTEBOOK, known_values.last_loss, slow=True),
    Check(
        "last-metric",
        "notebook",
        "Its own measure at the end.",
        NOTEBOOK,
        known_values.last_notebook_metric,
        slow=True,
    ),
    Check(
        "last-error",
        "notebook",
        r"Its score error at the end, weighted by $\sigma_t^2$: 0 would be perfect.",
        NOTEBOOK,
        known_values.last_score_error,
        slow=True,
    ),
)
