"""What several test files need: seeded draws, one SDE of each kind, the pictures of a page, and waiting for threads."""

import base64
import math
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from scoredm import EDM, SDE, VESDE, VPSDE, CosineVPSDE, GeometricVESDE, RectifiedFlow, SubVPSDE

PATIENCE = 60.0  # seconds before a test gives up waiting; nothing is asserted about how long things take

KINDS = [
    VESDE(),
    VESDE(1.0),
    GeometricVESDE(),
    VPSDE(),
    SubVPSDE(),
    CosineVPSDE(),
    RectifiedFlow(),
    EDM(),
]  # VESDE(1.0): where the formula is 0 / 0
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)


class Cosine(SDE):
    """An SDE from two functions; its alpha_1 is 6e-17, which is 0 but for rounding."""

    def alpha(self, t):
        return torch.cos(math.pi / 2 * t)

    def sigma(self, t):
        return torch.sin(math.pi / 2 * t)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal draws in float64."""
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def most_memory(run: Callable[[], object]) -> int:
    """The most bytes that the tensors of a call take at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        run()
    assert recording.profiler is not None
    assert recording.profiler.kineto_results is not None
    changes = [event for event in recording.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns())))  # pyrefly: ignore[missing-attribute]


def pictures(at: AppTest) -> list[str]:
    """The SVG pictures of a page without its sidebar, in order."""
    urls = [picture.url for element in at.main.image for picture in element.proto.imgs]
    return [base64.b64decode(url.partition("base64,")[2]).decode() for url in urls if url.startswith("data:image/svg+xml")]


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def wait_for_work(at: AppTest) -> AppTest:
    """Wait until what the reader of a page has started is done, and draw the page once more.

    The page is not drawn in the meantime: that would take the time that the work needs.
    """
    if "_background" in at.session_state:
        reader = at.session_state["_background"]

        def ended() -> bool:
            for work in reader.wanted:
                work.renew(reader.name)
            return all(work.ended for work in reader.wanted)

        wait_until(ended)
    return at.run()


def meet(folder: Path, mine: str, other: str) -> str:
    """Wait until another process is in the same folder, for a while: they meet only where both run at the same time."""
    (folder / mine).touch()
    end = time.monotonic() + 20
    while not (folder / other).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return f"{mine} met {other}" if (folder / other).exists() else f"{mine} alone"
