"""Values are spelled alike where they are equal, apart where they are not, and the same in every process."""

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
from scoredm.spelling import spelled

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
def test_equal_values_are_spelled_alike(values):
    assert len({spelled(value) for value in values}) == 1


def test_different_values_are_spelled_apart():
    for one, other in combinations(DIFFERENT, 2):
        assert spelled(one) != spelled(other)


@pytest.mark.parametrize("value", [Silent(), Table(Silent()), partial(print, Silent())])
def test_an_address_is_refused(value):
    with pytest.raises(ValueError, match=r"Silent object at 0x\w+>.* does not say its values; make it a frozen dataclass"):
        spelled(value)


def test_another_process_spells_alike():
    code = "from tests.test_spelling import DIFFERENT, spelled; print(*map(spelled, DIFFERENT), sep='\\n')"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.splitlines() == [spelled(value) for value in DIFFERENT]


def test_the_main_module_has_one_name_in_all_processes(monkeypatch):
    monkeypatch.setattr(maker, "__module__", "__main__")
    here = spelled(maker)
    monkeypatch.setattr(maker, "__module__", "__mp_main__")
    assert spelled(maker) == here
