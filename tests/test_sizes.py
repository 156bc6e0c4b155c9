"""What a value holds in memory, counted once, with all that it is a view of."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from scoredm.networks import ScoreNet
from scoredm.sde import VESDE
from scoredm.sizes import held_bytes


@dataclass(frozen=True, eq=False)
class Result:
    points: np.ndarray
    parts: tuple
    name: str = "result"


def array(megabytes: float) -> np.ndarray:
    return np.zeros(int(megabytes * 1e6 / 8))


@pytest.mark.parametrize("value", [array(2), [array(1), array(1)], {"a": array(2)}, Result(array(1), (array(0.5), array(0.5)))])
def test_arrays_are_found_wherever_they_are(value):
    assert held_bytes(value) == pytest.approx(2e6, rel=0.01)


def test_a_view_counts_as_what_it_is_a_view_of():
    whole = array(4)
    assert held_bytes(whole[:8]) == held_bytes(whole.reshape(2, -1)[0, ::7]) == 4_000_000
    assert held_bytes(torch.zeros(1000, 1000)[0]) == 4_000_000
    assert held_bytes(torch.from_numpy(whole)[:2]) == 4_000_000


def test_what_is_there_twice_counts_once():
    one = array(1)
    assert held_bytes(Result(one, (one, one, one[:3]))) == pytest.approx(1e6, rel=0.01)


def test_texts_networks_and_small_things():
    assert held_bytes("x" * 100_000) == pytest.approx(100_000, rel=0.01)
    network = ScoreNet(VESDE())
    parameters = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    assert held_bytes(network) == pytest.approx(parameters, rel=0.05)
    assert held_bytes(None) < 100 and held_bytes(3.5) < 100
