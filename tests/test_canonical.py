"""Equal values have equal texts and fingerprints, different values different ones, and all are the same in every process."""

import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from itertools import combinations
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from scoredm import VESDE, VPSDE, GaussianMixture, Sampler, TrainConfig, euler_maruyama, exact_score, reverse_step
from scoredm.canonical import canonical_text, fingerprint

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


def test_the_main_module_has_one_name_in_all_processes(monkeypatch):
    monkeypatch.setattr(maker, "__module__", "__main__")
    here = canonical_text(maker)
    monkeypatch.setattr(maker, "__module__", "__mp_main__")
    assert canonical_text(maker) == here


# Fingerprints


def defined(source: str, name: str = "step", **given: Any) -> Callable:
    """What a source that is run on its own calls by a name."""
    namespace: dict[str, Any] = {"__name__": "users_own", "math": math, "torch": torch, **given}
    exec(source, namespace)
    return namespace[name]


SOURCE = """
RATE, OTHER = 2.0, 1

def helper(x):
    return x * RATE

class Base:
    def move(self, x): return x

class Step(Base):
    \"\"\"A step.\"\"\"
    gamma: float = 1.0
    def __call__(self, x): return self.move(x) * self.gamma

def step(x, scale=3, *, shift=0):
    \"\"\"A step.\"\"\"
    inner = lambda y: helper(y) + math.exp(0.5)
    return inner(x) * scale + shift if x not in {"a", "b", "c"} else Step()(x)
"""
CHANGED = {
    "a constant": ("0.5", "0.6"),
    "a module's number": ("RATE, OTHER = 2.0", "RATE, OTHER = 2.5"),
    "a default": ("scale=3", "scale=4"),
    "a default by keyword": ("shift=0", "shift=1"),
    "an operation": ("inner(x) * scale", "inner(x) / scale"),
    "a function that is called": ("return x * RATE", "return x + RATE"),
    "a function of a package": ("math.exp", "math.log"),
    "a class that is used": ("* self.gamma", "/ self.gamma"),
    "a number of a class": ("gamma: float = 1.0", "gamma: float = 5.0"),
    "a base class": ("return x\n\nclass Step", "return -x\n\nclass Step"),
    "an order of names": ("helper(y)", "type(y)"),
}


@pytest.mark.parametrize("change", CHANGED)
def test_changed_code_has_another_fingerprint(change):
    changed = SOURCE.replace(*CHANGED[change])
    assert changed != SOURCE
    assert fingerprint(defined(changed)) != fingerprint(defined(SOURCE))


def test_code_that_is_only_moved_or_that_nothing_uses_does_not_count():
    for same in (
        SOURCE,
        "\n\n# A comment.\n" + SOURCE,
        SOURCE.replace("OTHER = 2.0, 1", "OTHER = 2.0, 7") + "\ndef more(): pass",
    ):
        assert fingerprint(defined(same)) == fingerprint(defined(SOURCE))


def test_a_module_of_ones_own_is_read_where_it_is_used():
    own = ModuleType("own_helpers")
    exec("def shift(x): return x + 1\ndef unused(x): return x", vars(own))
    step = defined("def step(x): return own_helpers.shift(x)", own_helpers=own)
    before = fingerprint(step)
    exec("def unused(x): return -x", vars(own))
    assert fingerprint(step) == before
    exec("def shift(x): return x + 2", vars(own))
    assert fingerprint(step) != before


def kept(gamma):
    @wraps(euler_maruyama)
    def step(*args):
        return gamma, step  # it keeps itself too

    return step


class Keeping:
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


def network(seed: int = 0, width: int = 4, last: torch.nn.Module | None = None) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width), last or torch.nn.SiLU())


EYES = torch.eye(2).expand(3, 2, 2)
APART = [
    *(0, 0.5, "0", b"0", None, True, (), [], {}, set(), (1, (2,)), ((1, 2),), {"a": 1}, {"a": 2}),
    *(torch.zeros(2), torch.zeros(2, 1), torch.zeros(2, dtype=torch.int32), torch.tensor(0.0), torch.tensor([0.0, 1e-40])),
    *(np.zeros(2), np.zeros(2, dtype=np.float32), np.float64(0), np.random.default_rng(0), np.random.default_rng(1)),
    *(kept(1.0), kept(5.0), reverse_step(0.5), reverse_step(0.6), euler_maruyama, partial(kept, 1.0), partial(kept, 5.0)),
    *(Keeping(1), Keeping(2), Keeping(Keeping(1)), Keeping, re.compile("a"), re.compile("b"), torch.exp, np.exp, math.exp),
    *(network(), network(seed=1), network(width=5), network(last=torch.nn.ReLU()), network().eval(), network().double()),
    *(GaussianMixture(torch.zeros(3, 2), EYES, torch.ones(3)), GaussianMixture(torch.zeros(3, 2), EYES, [1, 1, 1 + 1e-15])),
    *(GaussianMixture(torch.zeros(3, 2), EYES + 1e-15 * torch.eye(2, dtype=torch.float64), torch.ones(3)),),
    *(exact_score(GaussianMixture.gaussian([0.0], [[1.0]]), sde) for sde in (VESDE(2.0), VESDE(3.0), VPSDE())),
]


def test_different_values_have_different_fingerprints():
    assert len({fingerprint(value) for value in APART}) == len(APART)


def test_a_copy_has_the_same_fingerprint():
    for value in (network(), *APART[-5:], Keeping([1, {"a": torch.ones(3)}]), (np.ones(3), {1, 2, "c"})):
        assert fingerprint(pickle.loads(pickle.dumps(value))) == fingerprint(value)
    compiled = torch.nn.Sequential()
    compiled._orig_mod = network()  # as torch.compile keeps it, beside much that cannot be read
    before = fingerprint(compiled)
    vars(compiled)["other"] = Lock()
    assert fingerprint(compiled) == before
    shared = [1, 2]
    assert fingerprint([shared, shared]) == fingerprint([[1, 2], [1, 2]])


def test_a_large_array_is_read_to_its_last_bit():
    values = torch.arange(100_001, dtype=torch.float64)
    before = fingerprint(values)
    for place in (0, 8191, 8192, 100_000):
        changed = values.clone()
        changed[place] = torch.nextafter(changed[place], torch.tensor(math.inf, dtype=torch.float64))
        assert fingerprint(changed) != before
    assert fingerprint(values.flip(0)) != before


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="<unlocked _thread.lock .*> cannot be read, so a change in it would go unnoticed"):
        fingerprint(Keeping(Lock()))


def test_another_process_finds_the_same_texts_and_fingerprints():
    code = "from tests.test_canonical import found; print(*found(), sep='\\n')"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.splitlines() == found()


def found() -> list[str]:
    return [*map(canonical_text, DIFFERENT), *map(fingerprint, [*APART, defined(SOURCE)])]
