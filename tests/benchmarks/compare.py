"""The library beside its peers in one table, one run, one thread: `python -m tests.benchmarks.compare`.

A cell is how many times as long the peer takes as the library: above 1 the library is faster. The library and its peers take
turns, and each counts by its fastest turn in processor time, so that what else the machine does harms all alike. `--only` runs
the parts whose title holds a word, `--quick` a few small sizes; a peer that is not installed is shown as "-".
"""

import argparse
import importlib
import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import torch

from scoredm import (
    VESDE,
    GaussianMixture,
    ScoreNet,
    Trainer,
    energy_distance,
    exact_score,
    flow_log_prob,
    mmd,
    sample,
    score_error,
    sliced_wasserstein,
    zero_mean_prior,
)
from scoredm.sde import Time
from tests.benchmarks import notebook, plain

Run = Callable[[], object]
Timed = tuple[Run | None, int]  # what to run, if it can be, and how many steps it takes

LAM = 25.0
TURNS = 3
SIZES = [(2, 2, 1000), (2, 2, 20_000), (2, 2, 200_000), (2, 200, 5000), (2, 1000, 10_000), (10, 2, 20_000), (10, 20, 20_000)]
SIZES += [(10, 100, 10_000), (20, 8, 4000), (50, 10, 10_000), (50, 100, 2000), (100, 100, 1000)]
QUICK = [(2, 2, 1000), (2, 200, 1000), (10, 20, 1000)]
SLOW = 4e7  # numbers N K D above which peers that hold them all, or loop over components, are left out
TUTORIAL = ([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [1, 1])


def seconds(runs: dict[str, Timed], least: float) -> dict[str, float | None]:
    """The least seconds of a step of each; all are called in turn, until each has run for `least` seconds and TURNS times."""
    best: dict[str, float | None] = dict.fromkeys(runs)
    used, turns = dict.fromkeys(runs, 0.0), 0
    while turns < TURNS or min(used.values()) < least:
        turns += 1
        for name, (run, steps) in runs.items():
            if run is None or (turns > TURNS and used[name] >= least):
                used[name] = max(used[name], least)
                continue
            began = time.process_time()
            run()
            spent = time.process_time() - began
            known = best[name]
            best[name] = spent / steps if known is None else min(known, spent / steps)
            used[name] += spent
    return best


def row(title: str, runs: dict[str, Timed], least: float = 0.3) -> str:
    """A line of a table: milliseconds of the library for a step, then how many times as long the others take."""
    found = seconds(runs, least)
    ours = found.pop("scoredm")
    assert ours is not None
    cells = ["-" if other is None else f"{other / ours:.3g}" for other in found.values()]
    return " | ".join([f"{title:<28}", f"{1e3 * ours:10.3f}", *(f"{cell:>9}" for cell in cells)])


def table(title: str, columns: list[str], rows: Iterator[str]) -> None:
    """Print a table, each line when it is ready."""
    print(f"\n{title}\n" + " | ".join([" " * 28, "scoredm ms", *(f"{column:>9}" for column in columns)]), flush=True)
    for line in rows:
        print(line, flush=True)


def installed(name: str) -> bool:
    """Whether a peer can be imported."""
    return importlib.util.find_spec(name) is not None


# Exact scores.


def mixture_of(dim: int, components: int, isotropic: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, covariances and weights, float32."""
    generator = torch.Generator().manual_seed(dim * components)
    means = 3 * torch.randn(components, dim, generator=generator)
    if isotropic:
        variances = 0.05 + 0.5 * torch.rand(components, generator=generator)
        return means, variances[:, None, None] * torch.eye(dim), torch.ones(components)
    root = torch.randn(components, dim, dim, generator=generator)
    return means, root @ root.mT / dim + 0.05 * torch.eye(dim), torch.ones(components)


def best_plain_score(parts: tuple[torch.Tensor, ...], isotropic: bool, n: int) -> plain.Score:
    """What samplers of other libraries are given: the plain score that is quick at this size."""
    means, covariances, weights = parts
    if isotropic:
        return plain.expanded(means, covariances[:, 0, 0], weights)
    few = n * means.numel() < SLOW / 10 and means.shape[1] < 5
    return (plain.einsum if few else plain.products)(means, covariances, weights)


def by_torchsde(score: plain.Score, n: int, dim: int, steps: int) -> Run | None:
    """Euler-Maruyama of torchsde, in the rising time 1 - t."""
    if not installed("torchsde"):
        return None
    torchsde = importlib.import_module("torchsde")

    sde = VESDE(LAM)

    class Reverse(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, s, x):
            t = 1 - float(s)
            return sde.diffusion(t) ** 2 * score(x, float(sde.sigma(t)))

        def g(self, s, x):
            return torch.full_like(x, float(sde.diffusion(1 - float(s))))

    def run() -> torch.Tensor:
        times = torch.linspace(0, 1 - 1e-3, steps + 1)
        return torchsde.sdeint(Reverse(), sde.sigma(1.0) * torch.randn(n, dim), times, method="euler", dt=(1 - 1e-3) / steps)

    return run


def by_azula(score: plain.Score, n: int, dim: int, steps: int) -> Run | None:
    """azula's ancestral sampler, from a denoiser with the plain score."""
    if not installed("azula"):
        return None
    base, samplers = (importlib.import_module(f"azula.{part}") for part in ("denoise", "sample"))

    sde = VESDE(LAM)

    class Exact(base.Denoiser):
        def __init__(self) -> None:
            super().__init__()
            self.schedule = lambda t: (sde.alpha(t), sde.sigma(t))

        def forward(self, x_t, t, **_):
            sigma = float(sde.sigma(float(t)))
            return base.DiracPosterior(x_t + sigma**2 * score(x_t, sigma))

    sampler = samplers.DDPMSampler(Exact(), start=1.0, stop=1e-3, steps=steps, silent=True)
    return lambda: sampler(sde.sigma(1.0) * torch.randn(n, dim))


def by_diffusers(score: plain.Score, n: int, dim: int, steps: int) -> Run | None:
    """The ancestral scheduler of diffusers, which scales the data."""
    if not installed("diffusers"):
        return None
    scheduler = importlib.import_module("diffusers.schedulers.scheduling_ddim").DDIMScheduler(clip_sample=False)
    scheduler.set_timesteps(steps)
    alphas = scheduler.alphas_cumprod.sqrt().tolist()

    def run() -> torch.Tensor:
        x = torch.randn(n, dim)
        for i in scheduler.timesteps.tolist():
            sigma = (1 / alphas[i] ** 2 - 1) ** 0.5
            x = scheduler.step(-sigma * score(x / alphas[i], sigma), i, x, eta=1.0).prev_sample
        return x

    return run


SAMPLERS = ["notebook", "einsum", "products", "cdist", "expanded", "autograd", "torchsde", "azula", "diffusers", "floor"]


def samplers_of(dim: int, components: int, n: int, isotropic: bool) -> str:
    """A line of the table of exact scores."""
    parts = means, covariances, weights = mixture_of(dim, components, isotropic)
    mixture, sde = GaussianMixture(*parts), VESDE(LAM)
    work = n * components * dim
    steps = int(min(200, max(10, 2e7 / (work * dim))))
    few = max(2, min(steps, int(5e6 / work)))  # for peers so slow that fewer steps tell as much
    path = partial(plain.reverse_paths, lam=LAM, n=n, dim=dim)
    variances = covariances[:, 0, 0]
    score = best_plain_score(parts, isotropic, n)
    arrays = [part.numpy() for part in parts]
    runs: dict[str, Timed] = {
        "scoredm": (lambda: sample(sde, exact_score(mixture, sde), n, steps=steps, trajectory=True), steps),
        "notebook": (lambda: notebook.reverse_paths(notebook.PlainMixture(*arrays), LAM, n, few, np.random.default_rng(0)), few),
        "einsum": (lambda: path(plain.einsum(*parts), steps=few), few),
        "products": (lambda: path(plain.products(*parts), steps=few), few),
        "cdist": ((lambda: path(plain.distances(means, variances, weights), steps=steps)) if isotropic else None, steps),
        "expanded": ((lambda: path(plain.expanded(means, variances, weights), steps=steps)) if isotropic else None, steps),
        "autograd": (lambda: path(plain.autograd(means, variances if isotropic else covariances, weights), steps=few), few),
        "torchsde": (by_torchsde(score, n, dim, steps), steps),
        "azula": (by_azula(score, n, dim, steps), steps),
        "diffusers": (by_diffusers(score, n, dim, steps), steps),
        "floor": (lambda: plain.noise_paths(n, dim, steps), steps),
    }
    if work > SLOW:
        runs["notebook"] = runs["autograd"] = (None, few)
    return row(f"D {dim}, K {components}, N {n}", runs)


# Learned scores, likelihood, drawing and metrics.


def network(dim: int) -> ScoreNet:
    """A network of the default width, its weights as they start."""
    torch.manual_seed(0)
    return ScoreNet(VESDE(LAM), dim).requires_grad_(False)


def learned(n: int, dim: int, steps: int = 50) -> str:
    """A line on sampling with a network: the library beside the same network in the plain loop and in torchsde."""
    net, sde = network(dim), VESDE(LAM)
    prior = zero_mean_prior(sde, dim)
    with torch.no_grad():
        plainly = lambda x, _sigma: net(x, 0.5)  # noqa: E731 - at one time: what the network costs does not depend on it
        runs: dict[str, Timed] = {
            "scoredm": (lambda: sample(sde, net, n, steps=steps, prior=prior, trajectory=True), steps),
            "plain": (lambda: plain.reverse_paths(plainly, LAM, n, dim, steps), steps),
            "torchsde": (by_torchsde(plainly, n, dim, steps), steps),
            "azula": (by_azula(plainly, n, dim, steps), steps),
            "network": (lambda: [net(start, 0.5) for _ in range(steps)], steps),
        }
        start = torch.randn(n, dim)
        return row(f"D {dim}, N {n}", runs)


def training() -> str:
    """The time to the score error at which the notebook's recipe ends."""
    mixture, sde = GaussianMixture(*TUTORIAL), VESDE(LAM)
    data = mixture.sample(10_000, torch.Generator().manual_seed(2021)).numpy()
    times = 0.01 + 0.99 * (np.arange(100) + 0.5) / 100

    @cache
    def error() -> float:
        net = notebook.train(data, LAM)

        def score(x: torch.Tensor, t: Time, /) -> torch.Tensor:
            return net(x, torch.as_tensor(t, dtype=x.dtype).expand(len(x)))

        return float(score_error(mixture, sde, score, times, n=2000).mean())

    def ours() -> None:
        trainer = Trainer(mixture, sde, device="cpu")
        next(metrics for metrics in trainer if metrics.test_error <= error())

    error()
    return row("to the notebook's error", {"scoredm": (ours, 1), "notebook": (lambda: notebook.train(data, LAM), 1)})


def likelihood(dim: int, components: int, n: int, steps: int = 20) -> str:
    """A line on log densities by the probability flow: beside Runge-Kutta of order 4 with the divergence by autograd."""
    parts = mixture_of(dim, components, False)
    mixture, sde = GaussianMixture(*parts), VESDE(LAM)
    x = mixture.sample(n, torch.Generator().manual_seed(0)).double()
    score = plain.products(*(part.double() for part in parts))

    def slope(x: torch.Tensor, t: float) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            s = score(x, float(sde.sigma(t)))
            parts = [torch.autograd.grad(s[:, d].sum(), x, retain_graph=True)[0][:, d] for d in range(dim)]
        return torch.cat([s.detach(), torch.stack(parts).sum(0)[:, None]], 1) * -(sde.diffusion(t) ** 2) / 2

    def plainly() -> torch.Tensor:
        y, h = x, 1 / steps
        for i in range(steps):
            a = slope(y, max(i * h, 1e-3))
            b = slope(y + h / 2 * a[:, :-1], (i + 0.5) * h)
            c = slope(y + h / 2 * b[:, :-1], (i + 0.5) * h)
            y = y + h / 6 * (a + 2 * b + 2 * c + slope(y + h * c[:, :-1], (i + 1) * h))[:, :-1]
        return y

    run = lambda: flow_log_prob(sde, exact_score(mixture, sde), mixture.at(sde, 1.0), x, steps=steps)  # noqa: E731
    return row(f"D {dim}, K {components}, N {n}", {"scoredm": (run, steps), "autograd": (plainly, steps)})


def drawing(dim: int, components: int, n: int, isotropic: bool) -> str:
    """A line on drawing from a mixture: beside one matrix product for each component, and torch.distributions."""
    parts = means, covariances, weights = mixture_of(dim, components, isotropic)
    mixture = GaussianMixture(*parts)
    factors = torch.linalg.cholesky(covariances)
    normals = torch.distributions.MultivariateNormal(means, covariances)
    theirs = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights), normals)

    def products() -> torch.Tensor:
        k, z = torch.multinomial(weights, n, replacement=True), torch.randn(n, dim)
        x = torch.empty(n, dim)
        for i in range(components):
            rows = (k == i).nonzero()[:, 0]
            x[rows] = means[i] + z[rows] @ factors[i].T
        return x

    runs: dict[str, Timed] = {
        "scoredm": (lambda: mixture.sample(n), 1),
        "products": (products, 1),
        "torch": ((lambda: theirs.sample((n,))) if n * means.numel() < SLOW else None, 1),
        "floor": (lambda: torch.randn(n, dim), 1),
    }
    return row(f"D {dim}, K {components}, N {n}{', isotropic' * isotropic}", runs)


def metrics(dim: int, n: int) -> list[str]:
    """Lines on distances between two samples: beside what a paper's code does, which holds all pairs or all projections."""
    x, y = (torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    few = min(n, 5000)  # all pairs of more do not fit in memory; the time grows as the square of n
    a, b = x[:few], y[:few]

    def plain_energy() -> torch.Tensor:
        return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()

    def plain_mmd() -> torch.Tensor:
        within, between = ((-(torch.cdist(one, other) ** 2) / 2).exp().mean() for one, other in ((a, a), (a, b)))
        return 2 * within - 2 * between

    def plain_sliced() -> torch.Tensor:
        directions = torch.nn.functional.normalize(torch.randn(dim, 128), dim=0)
        return ((x @ directions).sort(0)[0] - (y @ directions).sort(0)[0]).square().mean().sqrt()

    pairs = {
        "sliced Wasserstein": (lambda: sliced_wasserstein(x, y), plain_sliced, 1.0),
        "energy distance": (lambda: energy_distance(x, y), plain_energy, (n / few) ** 2),
        "MMD": (lambda: mmd(x, y, 1.0), plain_mmd, (n / few) ** 2),
    }
    lines = []
    for name, (ours, theirs, times) in pairs.items():
        runs: dict[str, Timed] = {"scoredm": (ours, 1), "plain": (theirs, 1)}
        found = seconds(runs, 0.0)
        assert found["scoredm"] is not None and found["plain"] is not None
        ratio = found["plain"] * times / found["scoredm"]
        lines.append(f"{name + f', D {dim}, N {n}':<28} | {1e3 * found['scoredm']:10.3f} | {ratio:9.3g}")
    return lines


def parts_of(quick: bool) -> dict[str, Callable[[], None]]:
    """Each part of the comparison by its title."""
    sizes = QUICK if quick else SIZES
    draws = (
        [(2, 2, 10_000), (50, 10, 10_000)]
        if quick
        else [(2, 2, 100_000), (2, 1000, 100_000), (50, 10, 100_000), (100, 100, 100_000)]
    )
    samples = [(2, 1000)] if quick else [(2, 10_000), (2, 100_000), (10, 10_000)]
    return {
        "exact score, full covariances": lambda: table(
            "ms a step", SAMPLERS, (samplers_of(*size, isotropic=False) for size in sizes)
        ),
        "exact score, isotropic": lambda: table("ms a step", SAMPLERS, (samplers_of(*size, isotropic=True) for size in sizes)),
        "learned score": lambda: table(
            "ms a step", ["plain", "torchsde", "azula", "network"], (learned(n, 2) for n in ([1000] if quick else [1000, 20_000]))
        ),
        "training": lambda: table("ms in all", ["notebook"], (training() for _ in range(1))),
        "likelihood": lambda: table(
            "ms a step",
            ["autograd"],
            (likelihood(*size) for size in ([(2, 2, 500)] if quick else [(2, 2, 2000), (10, 20, 500), (50, 10, 200)])),
        ),
        "drawing samples": lambda: table(
            "ms in all", ["products", "torch", "floor"], (drawing(*size, iso) for size in draws for iso in (False, True))
        ),
        "metrics": lambda: table("ms in all", ["plain"], itertools.chain.from_iterable(metrics(*size) for size in samples)),
    }


def main() -> None:
    """Run the parts that were asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="run the parts whose title holds this")
    options.add_argument("--quick", action="store_true", help="a few small sizes")
    options.add_argument("--threads", type=int, default=1, help="torch threads, 1 unless said")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    missing = [name for name in ("torchsde", "azula", "diffusers") if not installed(name)]
    print(f"torch {torch.__version__}, threads: {chosen.threads}" + f"; not installed: {', '.join(missing)}" * bool(missing))
    for title, part in parts_of(chosen.quick).items():
        if chosen.only in title:
            print(f"\n## {title}", end="")
            part()


if __name__ == "__main__":
    main()
