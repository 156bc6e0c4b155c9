"""Samplers of other libraries as samplers of this one: of diffusers, k-diffusion and azula, each where it is installed.

    from scoredm import peers, sample

    sample(sde, score, 1000, step=peers.installed()["k-diffusion/dpmpp-2m"], steps=20)

A peer is given the same score at the same times as our own samplers, in the form that its library wants: the noise that
diffusers expects a network to predict, z = -sigma_t s; or clean data, E[x_0 | x_t] = (x_t + sigma_t^2 s) / alpha_t, as in
k-diffusion and azula. Its own choices, such as a lower order in the last steps, are left as they are.

Libraries divide by alpha_t. Where nothing of the data is left, alpha_t = 0 as at t = 1 of a rectified flow, a peer's run begins
with a step of `ddim`, as those of our own samplers do, and its library takes the run from there.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module, metadata
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from scoredm.grids import time_of_log_snr
from scoredm.samplers import Sampler, ddim
from scoredm.score import ScoreFn, denoise
from scoredm.sde import SDE

LIBRARIES = {"diffusers": "diffusers", "k-diffusion": "k_diffusion", "azula": "azula"}  # the name of each, and of its module


def seed_from(noise: Tensor) -> int:
    """A seed that follows from a step's noise, for what draws its own numbers.

    Args:
        noise: standard normal, (N, D).
    """
    return int(noise.reshape(-1)[0].double().view(torch.int64)) & (2**63 - 1)


class Peer(ABC):
    """A step that needs its grid. Steps from a time at which alpha is 0 are taken by `ddim`."""

    def __init__(self) -> None:
        """Know no grid yet."""
        self._times: list[float] = []
        self._next = 0  # the index of the next step

    def prepare(self, sde: SDE, times: Sequence[float]) -> None:
        """Take the times that the run steps through.

        Args:
            sde: the forward diffusion.
            times: the times, falling.
        """
        self._times, self._next = [t for t in times if not sde.only_noise(t)], 0

    def __call__(self, sde: SDE, score_fn: ScoreFn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        """x, noise: (N, D) -> (N, D)."""
        if sde.only_noise(t):
            return ddim(sde, score_fn, x, t, t_next, noise)
        if self._times[self._next : self._next + 2] != [t, t_next]:
            raise RuntimeError("this step does not know its grid; call prepare(sde, times) before the first step")
        place, self._next = self._next, self._next + 1
        return self._advance(sde, score_fn, x, place, noise)

    @abstractmethod
    def _advance(self, sde: SDE, score_fn: ScoreFn, x: Tensor, place: int, noise: Tensor) -> Tensor:
        """Points at times[place] -> points at times[place + 1]."""


class _WholeRun(Peer):
    """A peer whose library runs the whole grid at once: the first step runs it, and each step gives out the next points."""

    def __init__(self) -> None:
        super().__init__()
        self._path: Iterator[Tensor] = iter(())

    def _advance(self, sde: SDE, score_fn: ScoreFn, x: Tensor, place: int, noise: Tensor) -> Tensor:
        if place == 0:
            self._path = iter(self._run(sde, score_fn, x, torch.Generator().manual_seed(seed_from(noise))))
        return next(self._path)

    @abstractmethod
    def _run(self, sde: SDE, score_fn: ScoreFn, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Points at times[0] -> the points at each later time."""


@final
class Diffusers(Peer):
    """A scheduler of diffusers, step by step, on noise levels and times of ours.

    Args:
        name: of its class.
        preserving: whether it scales its points to alpha^2 + sigma^2 = 1; otherwise to alpha = 1.
        calls: how often it is called for a step, first at its beginning and then at its end.
        **settings: of its class.

    References:
        https://huggingface.co/docs/diffusers/api/schedulers/overview
    """

    def __init__(self, name: str, *, preserving: bool = True, calls: int = 1, **settings: Any) -> None:
        """Load nothing yet."""
        super().__init__()
        self._name, self._preserving, self._calls, self._settings = name, preserving, calls, settings
        self._scheduler: Any = None

    def prepare(self, sde: SDE, times: Sequence[float]) -> None:
        """Make a scheduler for the times.

        Args:
            sde: the forward diffusion.
            times: the times, falling.
        """
        super().prepare(sde, times)
        steps = len(self._times) - 1
        if steps == 0:
            return
        levels = torch.tensor(self._times, dtype=torch.float64)
        ratio = torch.as_tensor(sde.sigma(levels)) / torch.as_tensor(sde.alpha(levels))
        scheduler = getattr(import_module("diffusers"), self._name)(num_train_timesteps=steps, **self._settings)
        scheduler.set_timesteps(steps)
        scheduler.timesteps = torch.arange(steps, 0, -1)
        # Schedulers that find their place by timesteps have a level for each, the others a list of levels.
        scheduler.alphas_cumprod = (1 / (1 + ratio**2)).flip(0)
        scheduler.sigmas = torch.cat([ratio[:1], ratio[1:].repeat_interleave(self._calls)])
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)
        self._scheduler = scheduler

    def _advance(self, sde: SDE, score_fn: ScoreFn, x: Tensor, place: int, noise: Tensor) -> Tensor:
        accepted = inspect.signature(self._scheduler.step).parameters
        given = {"variance_noise": noise} if "variance_noise" in accepted else {}
        if not given and "generator" in accepted:
            given = {"generator": torch.Generator().manual_seed(seed_from(noise))}
        y = x / self._unit(sde, self._times[place])
        for t in self._times[place : place + 2][: self._calls]:
            guess = score_fn(y * self._unit(sde, t), t) * -float(sde.sigma(t))
            y = self._scheduler.step(guess, self._scheduler.timesteps[place], y, **given).prev_sample
        return y * self._unit(sde, self._times[place + 1])

    def _unit(self, sde: SDE, t: float) -> float:
        """x_t in units of the scheduler's points."""
        alpha, sigma = sde.scales(t)
        return (alpha**2 + sigma**2) ** 0.5 if self._preserving else alpha


@final
class KDiffusion(_WholeRun):
    """A sampler of k-diffusion, which knows y = x / alpha and the noise level r = sigma / alpha.

    Args:
        name: of its function in `k_diffusion.sampling`.

    References:
        https://github.com/crowsonkb/k-diffusion
    """

    def __init__(self, name: str) -> None:
        """Load nothing yet."""
        super().__init__()
        self._name = name

    def _run(self, sde: SDE, score_fn: ScoreFn, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        function = getattr(import_module("k_diffusion.sampling"), self._name)
        scales = [sde.scales(t) for t in self._times]
        levels = torch.tensor([sigma / alpha for alpha, sigma in scales], dtype=torch.float64)
        times = dict(zip(levels.to(x.dtype).tolist(), self._times, strict=True))
        path: list[Tensor] = []

        def denoised(y: Tensor, level: Tensor) -> Tensor:
            r = float(level[0])
            t = times.get(r) or time_of_log_snr(sde, -2 * math.log(r))
            return denoise(sde, score_fn, y * float(sde.alpha(t)), t)

        def draw(_level: Tensor, _next_level: Tensor) -> Tensor:
            return torch.randn(x.shape, generator=generator, dtype=x.dtype)

        given = {"noise_sampler": draw} if "noise_sampler" in inspect.signature(function).parameters else {}
        keep = {"callback": lambda state: path.append(state["x"]), "disable": True}
        path.append(function(denoised, x / scales[0][0], levels, **keep, **given))
        return [y * alpha for y, (alpha, _) in zip(path[1:], scales[1:], strict=True)]


class _GivenNoise(TorchFunctionMode):
    """While it is entered, `torch.randn_like` gives the noise of the step, and no generator that threads share draws any."""

    def __init__(self, noise: Tensor) -> None:
        super().__init__()
        self._noise = noise

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        del types
        return self._noise if func is torch.randn_like else func(*args, **(kwargs or {}))


class _Denoiser:
    """Our schedule and score as azula would have them; it keeps each of the points that it is asked about."""

    def __init__(self, sde: SDE, score_fn: ScoreFn) -> None:
        self._sde, self._score_fn = sde, score_fn
        self.asked: list[Tensor] = []

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(self._sde.alpha(t)), torch.as_tensor(self._sde.sigma(t))

    def __call__(self, x: Tensor, t: Tensor) -> SimpleNamespace:
        self.asked.append(x)
        return SimpleNamespace(mean=denoise(self._sde, self._score_fn, x, float(t)))


@final
class AzulaStep(Peer):
    """A sampler of azula that has a step.

    Args:
        name: of its class in `azula.sample`.
        **settings: of its class.

    References:
        https://github.com/probabilists/azula
    """

    def __init__(self, name: str, **settings: Any) -> None:
        """Load nothing yet."""
        super().__init__()
        self._name, self._settings = name, settings

    def _advance(self, sde: SDE, score_fn: ScoreFn, x: Tensor, place: int, noise: Tensor) -> Tensor:
        sampler = getattr(import_module("azula.sample"), self._name)(_Denoiser(sde, score_fn), **self._settings)
        t, t_next = torch.tensor(self._times[place : place + 2], dtype=torch.float64)
        with _GivenNoise(noise):
            return sampler.step(x, t, t_next)


@final
class AzulaRun(_WholeRun):
    """A sampler of azula that runs the whole grid, with one evaluation of the score a step.

    Args:
        name: of its class in `azula.sample`.
        **settings: of its class.

    References:
        https://github.com/probabilists/azula
    """

    def __init__(self, name: str, **settings: Any) -> None:
        """Load nothing yet."""
        super().__init__()
        self._name, self._settings = name, settings

    def _run(self, sde: SDE, score_fn: ScoreFn, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        del generator  # these samplers add no noise
        times = torch.tensor(self._times, dtype=torch.float64)
        base = getattr(import_module("azula.sample"), self._name)
        on_our_times = type(self._name, (base,), {"timesteps": property(lambda _self: times)})
        denoiser = _Denoiser(sde, score_fn)
        end = on_our_times(denoiser, silent=True, **self._settings)(x)
        return [*denoiser.asked[1:], end]


def _peer(name: str, make_step: Callable[[], Peer], order: int | None = 1, evaluations: int = 1, noise: bool = False) -> Sampler:
    return Sampler(name, make_step, evaluations, noise, order)


_TO_OUR_END = {"final_sigmas_type": "sigma_min", "lower_order_final": True}  # the last level is ours, and not 0
_MULTISTEP = partial(partial, Diffusers, "DPMSolverMultistepScheduler", **_TO_OUR_END)

PEERS = {
    sampler.title: sampler
    for sampler in (
        _peer("diffusers/ddim", partial(Diffusers, "DDIMScheduler", clip_sample=False)),
        _peer("diffusers/heun", partial(Diffusers, "HeunDiscreteScheduler", preserving=False, calls=2), order=2, evaluations=2),
        _peer("diffusers/dpmpp-2m", _MULTISTEP(solver_order=2), order=2),
        _peer("diffusers/dpmpp-3m", _MULTISTEP(solver_order=3), order=2),
        _peer("diffusers/dpmpp-2m-sde", _MULTISTEP(algorithm_type="sde-dpmsolver++"), order=2, noise=True),
        _peer("diffusers/dpmpp-2s", partial(Diffusers, "DPMSolverSinglestepScheduler", **_TO_OUR_END), order=2),
        _peer("diffusers/unipc", partial(Diffusers, "UniPCMultistepScheduler", **_TO_OUR_END), order=3),
        _peer("diffusers/deis", partial(Diffusers, "DEISMultistepScheduler"), order=2),
        _peer("k-diffusion/euler", partial(KDiffusion, "sample_euler")),
        _peer("k-diffusion/euler-ancestral", partial(KDiffusion, "sample_euler_ancestral"), noise=True),
        _peer("k-diffusion/heun", partial(KDiffusion, "sample_heun"), order=2, evaluations=2),
        _peer("k-diffusion/dpm-2", partial(KDiffusion, "sample_dpm_2"), order=2, evaluations=2),
        _peer("k-diffusion/lms", partial(KDiffusion, "sample_lms"), order=3),
        _peer("k-diffusion/dpmpp-2m", partial(KDiffusion, "sample_dpmpp_2m"), order=2),
        _peer("k-diffusion/dpmpp-2s-ancestral", partial(KDiffusion, "sample_dpmpp_2s_ancestral"), evaluations=2, noise=True),
        _peer("k-diffusion/dpmpp-sde", partial(KDiffusion, "sample_dpmpp_sde"), evaluations=2, noise=True),
        _peer("k-diffusion/dpmpp-2m-sde", partial(KDiffusion, "sample_dpmpp_2m_sde"), order=2, noise=True),
        _peer("k-diffusion/dpmpp-3m-sde", partial(KDiffusion, "sample_dpmpp_3m_sde"), order=2, noise=True),
        _peer("azula/ddpm", partial(AzulaStep, "DDPMSampler"), noise=True),
        _peer("azula/ddim", partial(AzulaStep, "DDIMSampler")),
        _peer("azula/heun", partial(AzulaStep, "HeunSampler"), order=2, evaluations=2),
        _peer("azula/ito", partial(AzulaStep, "ItoSampler"), noise=True),
        _peer("azula/pc", partial(AzulaStep, "PCSampler"), order=None, evaluations=2, noise=True),
        _peer("azula/zab", partial(AzulaRun, "zABSampler"), order=2),
        _peer("azula/vab", partial(AzulaRun, "vABSampler"), order=2),
        _peer("azula/zeab", partial(AzulaRun, "zEABSampler"), order=2),
        _peer("azula/xeab", partial(AzulaRun, "xEABSampler"), order=2),
        _peer("azula/reab", partial(AzulaRun, "REABSampler"), order=1),  # in 0.11.1 a step takes sigma_t where sigma_s belongs
    )
}


def versions() -> dict[str, str]:
    """The version of each of LIBRARIES that is installed, by its name."""
    return {name: metadata.version(name) for name, module in LIBRARIES.items() if find_spec(module) is not None}


def installed() -> dict[str, Sampler]:
    """Those of PEERS whose library is installed; each says its version, so that rows of another version are told apart."""
    found = versions()
    libraries = {name: name.partition("/")[0] for name in PEERS}
    return {
        name: replace(sampler, source=f"{libraries[name]} {found[libraries[name]]}")
        for name, sampler in PEERS.items()
        if libraries[name] in found
    }
