"""Equal values have equal canonical texts, different values different ones, and both are the same in every process."""

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from scoredm import VESDE, VPSDE, Sampler, TrainConfig, euler_maruyama, reverse_step
from scoredm.canonical import canonical_text

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Table:
    values: object


class Silent:
    pass


def maker():
    return euler_maruyama


EQUAL = [
    (VESDE(25), VESDE(25.0), VESDE(np.float64(25))),
    (25, 25.0, np.float32(25), np.int64(25)),
    (1e-3, np.float64(1e-3), torch.tensor(1e-3, dtype=torch.float64)),
    (TrainConfig(learning_rate=1), TrainConfig(learning_rate=1.0)),
    (partial(reverse_step, eta=1), partial(reverse_step, eta=1.0)),
]
DIFFERENT = [
    *(VESDE(25.0), VESDE(25.000000000000004), VPSDE(), TrainConfig(), TrainConfig(steps=999), "25", 25, True, None),
    *(Table(torch.tensor([1.0])), Table(torch.tensor([1.00001])), Table(torch.arange(2000)), Table(2 * torch.arange(2000))),
    *(maker, Silent, reverse_step),
    *(partial(reverse_step, 0.5), partial(reverse_step, 0.6), partial(reverse_step, eta=0.5)),
    *(Sampler("A", maker), Sampler("B", maker), Sampler("A", maker, visits=1)),
]


@pytest.mark.parametrize("values", EQUAL)
def test_equal_values_have_equal_texts(values):
    assert len({canonical_text(value) for value in values}) == 1


def test_different_values_have_different_texts():
    for one, other in combinations(DIFFERENT, 2):
        assert canonical_text(one) != canonical_text(other)


@pytest.mark.parametrize("value", [Silent(), Table(Silent()), partial(print, Silent())])
def test_an_address_is_refused(value):
    with pytest.raises(ValueError, match=r"Silent object at 0x\w+>.* does not say its values; make it a frozen dataclass"):
        canonical_text(value)


def test_another_process_finds_the_same_texts():
    code = "from tests.test_canonical import DIFFERENT, canonical_text; print(*map(canonical_text, DIFFERENT), sep='\\n')"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.splitlines() == [canonical_text(value) for value in DIFFERENT]


def test_the_main_module_has_one_name_in_all_processes(monkeypatch):
    monkeypatch.setattr(maker, "__module__", "__main__")
    here = canonical_text(maker)
    monkeypatch.setattr(maker, "__module__", "__mp_main__")
    assert canonical_text(maker) == here
