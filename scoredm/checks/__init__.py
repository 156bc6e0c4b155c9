"""The checks behind the app: what is claimed, what should come out, and what comes out on this machine.

    from scoredm import VESDE, targets
    from scoredm.checks import CHECKS, Case

    case = Case(targets.mixture("tutorial"), VESDE(), seed=2021)
    for check in CHECKS:
        finding = check(case)
        print(check.name, finding.expected, finding.found, finding.tolerance, finding.passed)

Every claim is computed in two ways that share as little as possible. The identities hold for any case; the known values are
always of the tutorial's experiment. The tests run this same table.

An identity is found within its tolerance for lambda from 0.01 to 10^4, sigma_max up to 10^5 sigma_min, and beta up to 100 that
starts at 30 or below. Beyond, double precision or a fixed number of steps may be too little, and the check then fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from scoredm.checks import identities, known_values
from scoredm.checks.finding import Case, Finding
from scoredm.language import N_, _
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

    Attributes:
        name: short and unique.
        group: the topic it belongs to.
        statement: the claim, a line of Markdown, in English.
        source: who says so, in English.
        run: computes both sides; takes the case, unless the group is one of FIXED.
        slow: whether it takes seconds rather than a fraction of one.
        subject: what the claim is about, where it is made of several things.
    """

    name: str
    group: str
    statement: str
    source: str
    run: Callable[..., Finding]
    slow: bool = False
    subject: str = ""

    @property
    def claim(self) -> str:
        """The subject and the statement, in the reader's language."""
        statement = _(self.statement)
        return _("{subject}: {statement}").format(subject=_(self.subject), statement=statement) if self.subject else statement

    @property
    def fixed(self) -> bool:
        """Whether it is about a known number, whatever the case."""
        return self.group in FIXED

    def __call__(self, case: Case) -> Finding:
        """Compute both sides of the claim.

        Args:
            case: target, SDE and seed; a check of a known value does not depend on them.

        Returns:
            What is expected, what is found, and the tolerance.
        """
        return self.run() if self.fixed else self.run(case)


ORDER = N_("From $p_1$ to $p_{0.5}$ of Gaussian data the error falls as this power of the step.")
ORDER_OF_FAR_RUNS = N_("From $p_1$ until the log-SNR has risen by 8 the error on Gaussian data falls as this power of the step.")

CHECKS = (
    Check(
        "drift",
        "sde",
        N_(r"The drift is the rate at which the data shrink: $f_t = (\log \alpha_t)'$ at 41 times. Largest relative difference."),
        f"{SONG}, appendix B",
        identities.drift,
    ),
    Check(
        "diffusion",
        "sde",
        N_(r"The noise is added at the rate $g_t^2 = (\sigma_t^2)' - 2 f_t \sigma_t^2$. Largest relative difference."),
        f"{SONG}, appendix B",
        identities.diffusion,
    ),
    Check("start", "sde", N_(r"At $t = 0$ the data are unchanged: $\alpha_0 = 1$ and $\sigma_0 = 0$."), SONG, identities.start),
    Check(
        "digits",
        "sde",
        N_(r"In single precision $\sigma_t$ is accurate from $t = 10^{-9}$ on. Largest relative error."),
        N_("the same formula in double precision"),
        identities.digits,
    ),
    Check(
        "paths",
        "sde",
        N_(r"The total variance $v$ of forward paths obeys $v' = 2 f_t v + D g_t^2$; here at $t = 0.5$ and $1$."),
        "Särkkä and Solin 2019, Applied Stochastic Differential Equations, eq. 5.51",
        identities.paths,
    ),
    Check(
        "gradient",
        "score",
        N_(r"The score is the gradient of $\log p_t$ by automatic differentiation. Largest $\sigma_t\,|\Delta s|$."),
        N_("definition"),
        identities.gradient,
    ),
    Check(
        "convolution",
        "score",
        N_(r"$p_t(x) = \int p_0(y)\, N(x; \alpha_t y, \sigma_t^2 I)\, \mathrm{d}y$, by quadrature. Largest $|\Delta \log p_t|$."),
        SONG,
        identities.convolution,
    ),
    Check(
        "fokker-planck",
        "score",
        N_(r"$p_t$ obeys $\partial_t p = -\nabla\!\cdot(f_t x\, p) + \frac{1}{2} g_t^2 \Delta p$. Largest relative difference."),
        "Fokker 1914, Planck 1917",
        identities.fokker_planck,
    ),
    Check(
        "tweedie",
        "score",
        N_(
            r"The mean of the clean data given $x_t = x$ is $(x + \sigma_t^2 s) / \alpha_t$, and Bayes' rule agrees. "
            r"Largest difference, in standard deviations of $x_t / \alpha_t$."
        ),
        "Efron 2011, Tweedie's Formula and Selection Bias",
        identities.tweedie,
    ),
    Check(
        "merging",
        "score",
        N_(
            r"Modes at $\pm\mu$, of standard deviation $\sigma_k$, merge when $\sigma_t^2 / \alpha_t^2 = \mu^2 - \sigma_k^2$. "
            r"Set to merge at $t = 0.5$: the time by this formula, and by the score."
        ),
        N_("second derivative of the density"),
        identities.merging,
    ),
    Check(
        "dsm",
        "losses",
        N_(
            r"$J_{DSM} - J_{ESM}$ is the same for every score: "
            r"$(\alpha_t / \sigma_t)^2\, \mathrm{E}\|x_0 - \mathrm{E}[x_0 \mid x_t]\|^2$. Here for a wrong one at $t = 0.5$."
        ),
        VINCENT,
        identities.dsm,
    ),
    Check(
        "floor",
        "losses",
        N_(
            r"The floor $D - \sigma_t^2\, \mathrm{E}\|s\|^2$ of the DSM loss, by quadrature, is "
            r"$(\alpha_t / \sigma_t)^2\, \mathrm{E}\|x_0 - \mathrm{E}[x_0 \mid x_t]\|^2$, by draws; $t = 0.5$."
        ),
        VINCENT,
        identities.floor,
    ),
    Check(
        "entropy",
        "losses",
        N_(
            r"The entropy of $p_t$ grows by $\int (D f_t + \frac{1}{2} g_t^2\, \mathrm{E}\|s\|^2)\, \mathrm{d}t$ "
            r"from $t = 0.01$ to $1$ (de Bruijn)."
        ),
        "Stam 1959, Some Inequalities Satisfied by the Quantities of Information",
        identities.entropy,
    ),
    Check(
        "girsanov",
        "losses",
        N_(
            r"$\mathrm{KL}(p_0 \| p_\theta) = \frac{1}{2} \int g_t^2\, \mathrm{E}\|s - s_\theta\|^2\, \mathrm{d}t + "
            r"\mathrm{KL}(p_1 \| \pi)$ where $s_\theta$ and the prior $\pi$ belong to one diffusion."
        ),
        MAXIMUM_LIKELIHOOD,
        identities.girsanov,
    ),
    Check(
        "girsanov-strict",
        "losses",
        N_(
            r"In general the right side is a bound: here $s_\theta$ is the score of data whose mean is wrong by 1, and the prior "
            r"is $N(0, \sigma_1^2)$."
        ),
        MAXIMUM_LIKELIHOOD,
        identities.girsanov_strict,
    ),
    Check(
        "anderson",
        "reverse",
        N_(r"The reverse SDE takes draws of $p_1$ to draws of $p_{0.1}$: mean of $-\log p_{0.1}$, and total variance."),
        "Anderson 1982, doi 10.1016/0304-4149(82)90051-5",
        identities.anderson,
        slow=True,
    ),
    Check(
        "flow",
        "reverse",
        N_(r"The probability flow does the same without noise: mean of $-\log p_{0.1}$, and total variance."),
        f"{SONG}, section 4.3",
        identities.flow,
        slow=True,
    ),
    Check(
        "likelihood",
        "reverse",
        N_(
            r"The change of volume along the probability flow, from the data to $p_1$, gives $\log p_0$. "
            r"Largest difference in nats."
        ),
        f"{SONG}, section 4.3",
        identities.likelihood,
    ),
    Check(
        "flow-gaussian",
        "reverse",
        N_(
            "For Gaussian data the flow keeps a point's distance from the mean in standard deviations: 2 stays 2, "
            "along each axis."
        ),
        N_("closed form"),
        identities.flow_of_a_gaussian,
    ),
    Check(
        "recursion",
        "reverse",
        N_(
            r"For Gaussian data a step of Euler-Maruyama takes the variance $v$ to "
            r"$(1 - (f_t + g_t^2/V_t) \Delta t)^2 v + g_t^2 \Delta t$, where $V_t$ is that of $p_t$. Ratio after 50 steps."
        ),
        N_("closed form"),
        identities.recursion,
    ),
    *(
        Check(
            f"order-{name}",
            "samplers",
            ORDER_OF_FAR_RUNS if name in identities.FAR_RUNS else ORDER,
            SAMPLERS[name].source,
            check,
            subject=SAMPLERS[name].title,
        )
        for name, check in identities.ORDERS.items()
    ),
    Check(
        "prior-divergence",
        "values",
        N_(
            r"How far a prior without the mean is from $p_1$: $\mathrm{KL}(p_1 \| N(0, \sigma_1^2 I))$ at $\lambda = 5$ and $25$."
        ),
        N_("quadrature"),
        known_values.prior_divergence,
    ),
    Check(
        "prior-bias",
        "values",
        N_(r"Mean and first weight of samples from that prior, at $\lambda = 5$ in 200 steps; the data have $(1, 0)$ and $0.5$."),
        N_("an independent simulation"),
        known_values.prior_bias,
        slow=True,
    ),
    Check(
        "prior-cured",
        "values",
        N_("From the Gaussian with the mean and covariance of $p_1$, the same steps give the mean and first weight of the data."),
        N_("the mixture itself"),
        known_values.prior_cured,
        slow=True,
    ),
    Check(
        "floors",
        "values",
        N_(r"The floor of the DSM loss at $t = 0.01$, $0.25$, $0.5$, $0.75$ and $1$, for $\lambda = 25$."),
        N_("quadrature"),
        known_values.floors,
    ),
    Check(
        "floor-over-time",
        "values",
        N_(r"The floor's mean over $t$ in $[0.01, 1]$."),
        N_("quadrature"),
        known_values.floor_over_time,
    ),
    Check(
        "de-bruijn",
        "values",
        N_(
            r"$2\,[h(p_1) - h(p_{0.01})] = \int g^2\, \mathrm{E}\|s\|^2\, \mathrm{d}t$ for three modes on the line, "
            r"$\lambda = 10$."
        ),
        N_("quadrature of both sides"),
        known_values.de_bruijn,
    ),
    Check(
        "modes-merge",
        "values",
        N_(r"Modes at $\pm 2$ of standard deviation $0.5$ merge at this $t$, for $\lambda = 5$ and $25$."),
        N_(r"closed form, ln(1 + 2 ln λ (μ² − s²)) / (2 ln λ)"),
        known_values.merging,
    ),
    Check(
        "lost-digits",
        "values",
        N_(
            r"Relative error of $\sigma_t^2$ in single precision at $t = 10^{-5}$: by powers of $\lambda$, and by "
            r"the app's formula."
        ),
        N_("double precision"),
        known_values.lost_digits,
    ),
    Check(
        "likelihoods",
        "values",
        N_(r"$\log p_0$ at $(0, 1)$, $(1, 0)$ and $(2, -1)$, by the probability flow at $\lambda = 25$."),
        N_("the mixture itself"),
        known_values.likelihoods,
    ),
    Check(
        "flow-euler-errors",
        "values",
        N_(r"Error of Euler's method on the flow from $x = 1$, data $N(0, 1)$, $\lambda = 25$: 20 and 640 even steps."),
        N_("closed form"),
        known_values.flow_euler_errors,
    ),
    Check(
        "heun-errors",
        "values",
        N_("The same for Heun's method."),
        N_("closed form"),
        known_values.heun_errors,
    ),
    Check(
        "euler-maruyama-errors",
        "values",
        N_("Error of the variance after Euler-Maruyama on the same data and steps."),
        N_("closed form"),
        known_values.euler_maruyama_errors,
    ),
    Check(
        "extra-increment",
        "notebook",
        N_(r"The notebook's cumulative sum has this multiple of the right variance ($\lambda = 26$, 50 frames)."),
        NOTEBOOK,
        known_values.extra_increment,
    ),
    Check(
        "one-point",
        "notebook",
        N_(r"The exercise: where all data are at 0, $s = -x / \sigma_t^2$ has loss 0; on any data, $s = 0$ has loss $D$."),
        NOTEBOOK,
        known_values.loss_of_one_point,
    ),
    Check(
        "one-gaussian",
        "notebook",
        N_(r"For Gaussian data with variances $v_i$ the loss of the exact score is $\sum_i v_i / (v_i + \sigma_t^2)$."),
        N_("closed form"),
        known_values.loss_of_a_gaussian,
    ),
    Check(
        "perfect-score",
        "notebook",
        N_("The notebook's own measure of error is not 0 for the exact score, but this."),
        NOTEBOOK,
        known_values.perfect_score,
    ),
    Check(
        "first-loss",
        "notebook",
        N_(
            "The notebook's training, run again: loss before the first step. Tolerances here and below are the spread over seeds."
        ),
        NOTEBOOK,
        known_values.first_loss,
        slow=True,
    ),
    Check("last-loss", "notebook", N_("Its loss over the last 50 of 500 steps."), NOTEBOOK, known_values.last_loss, slow=True),
    Check(
        "last-metric",
        "notebook",
        N_("The notebook's own measure of error at the end."),
        NOTEBOOK,
        known_values.last_notebook_metric,
        slow=True,
    ),
    Check(
        "last-error",
        "notebook",
        N_(r"Its score error at the end, weighted by $\sigma_t^2$; 0 for the exact score."),
        NOTEBOOK,
        known_values.last_score_error,
        slow=True,
    ),
)
