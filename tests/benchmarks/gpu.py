"""The library on a graphics card: `python -m tests.benchmarks.gpu`, about three minutes.

It checks that scores and end points agree with the CPU's, times a step of the reverse SDE beside plain torch on the same card,
and runs 20 000 and a million particles through 200 steps, as written and recorded as a CUDA graph. Without a card it says so.
"""

import math
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from scoredm import VESDE, VPSDE, GaussianMixture, ddim, exact_score, rollout
from scoredm.grids import uniform_times
from scoredm.simulation import coordinates_first
from tests.benchmarks import plain
from tests.benchmarks.compare import LAM, SIZES, SLOW, mixture_of

STEPS = 200
TURNS = 5


def seconds(run: Callable[[], object]) -> float:
    """The least time of a call, the card's work included, after one that does not count."""
    best = math.inf
    for turn in range(TURNS + 1):
        torch.cuda.synchronize()
        began = time.perf_counter()
        run()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began) if turn else best
    return best


def recorded(run: Callable[[], object]) -> Callable[[], None]:
    """The same work as one CUDA graph, which the card starts at once and not kernel by kernel; a first run prepares the times."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def reverse(mixture: GaussianMixture, n: int, steps: int) -> Callable[[], None]:
    """The reverse SDE with the exact score, its whole trajectory kept on the card."""
    sde, times = VESDE(LAM), uniform_times(steps)
    path = coordinates_first((steps + 1, n, mixture.dim), torch.empty(0, device="cuda"))
    score = exact_score(mixture, sde).on_grid(times, path)
    sigma = float(sde.sigma(1.0))

    def run() -> None:
        path[0].mT.normal_().mul_(sigma)
        for _ in rollout(sde, score, path[0], times, storage=path[1:]):
            pass

    return run


def check_agreement() -> None:
    """Scores at one time, and where DDIM ends, on the card and on the CPU, in both precisions."""
    worst = dict.fromkeys((torch.float32, torch.float64), 0.0)
    sde = VPSDE()
    for dim, components, _ in SIZES:
        for isotropic in (False, True):
            mixture = GaussianMixture(*mixture_of(dim, components, isotropic))
            exact, times = exact_score(mixture, sde), uniform_times(10)
            for dtype in worst:
                start = mixture.at(sde, 1.0).sample(500, torch.Generator().manual_seed(0)).to(dtype)
                ends = []
                for device in ("cpu", "cuda"):
                    x = start.to(device)
                    *_, (_, end) = rollout(sde, exact, x, times, step=ddim)
                    ends.append(torch.stack([end.cpu(), exact.on_grid(times, x)(x, 0.5).cpu()]))
                difference = (ends[0] - ends[1]).square().mean().sqrt() / ends[0].square().mean().sqrt()
                worst[dtype] = max(worst[dtype], float(difference))
    print(f"relative difference from the CPU: at most {worst[torch.float32]:.1e} (float32), {worst[torch.float64]:.1e} (float64)")
    assert worst[torch.float32] < 1e-2 and worst[torch.float64] < 1e-9


def compare() -> None:
    """Milliseconds of a step, and how many times as long the others take."""
    columns = ["scoredm ms", "recorded", "einsum", "products", "expanded", "autograd", "floor"]
    print("\n" + " | ".join([f"{'a step of the reverse SDE':<30}", *(f"{column:>10}" for column in columns)]), flush=True)
    for isotropic in (False, True):
        for dim, components, n in SIZES:
            print(line(dim, components, n, isotropic), flush=True)
            torch.cuda.empty_cache()


def line(dim: int, components: int, n: int, isotropic: bool, steps: int = 20) -> str:
    """A line of the table."""
    means, covariances, weights = (part.cuda() for part in mixture_of(dim, components, isotropic))
    variances = covariances[:, 0, 0]
    widths = variances if isotropic else covariances
    mixture = GaussianMixture(means, covariances, weights)
    path: Callable[[plain.Score], Callable[[], Tensor]] = lambda score: partial(  # noqa: E731
        plain.reverse_paths, score, LAM, n, dim, steps, "cuda"
    )
    runs: list[Callable[[], object] | None] = [
        reverse(mixture, n, steps),
        recorded(reverse(mixture, n, steps)),
        path(plain.einsum(means, covariances, weights)) if n * components * dim * dim < 50 * SLOW else None,
        path(plain.products(means, covariances, weights)),
        path(plain.expanded(means, variances, weights)) if isotropic else None,
        path(plain.autograd(means, widths, weights)) if n * components * dim <= SLOW else None,
        lambda: plain.noise_paths(n, dim, steps, "cuda"),
    ]
    found = [None if run is None else seconds(run) / steps for run in runs]
    ours = found[0]
    assert ours is not None
    cells = [f"{1e3 * ours:10.3f}", *("-".rjust(10) if other is None else f"{other / ours:10.3g}" for other in found[1:])]
    return " | ".join([f"{f'D {dim}, K {components}, N {n}' + ', isotropic' * isotropic:<30}", *cells])


def large_runs() -> None:
    """Whole runs of 200 steps of the tutorial's size, and the share of the memory's speed that they reach."""
    numbers = torch.empty(1 << 28, device="cuda")
    speed = 2 * numbers.nbytes / seconds(lambda: numbers.mul_(1.0))
    print(f"\nmemory: {speed / 1e9:.0f} GB/s read and written")
    mixture = GaussianMixture(*mixture_of(2, 2, False))
    for n in (20_000, 1_000_000):
        run = reverse(mixture, n, STEPS)
        eager, graph = seconds(run), seconds(recorded(run))
        least = STEPS * n * 2 * 4 * 2 / speed  # each frame read once and written once
        print(f"{n} x {STEPS}: {1e3 * eager:.1f} ms, recorded {1e3 * graph:.1f} ms, frames alone {1e3 * least:.2f} ms")


@torch.no_grad()
def main() -> None:
    """Run everything, or say that there is no card."""
    if not torch.cuda.is_available():
        print("There is no GPU that torch can use here, so nothing was measured.")
        return
    print(f"torch {torch.__version__} on {torch.cuda.get_device_name()}")
    began = time.perf_counter()
    check_agreement()
    compare()
    large_runs()
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
