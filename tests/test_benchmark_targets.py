"""The frozen targets: their numbers are those of their hashes, centred and scaled, and what their captions say of them is so."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scoredm import benchmark_targets, targets
from scoredm.benchmark_targets import PREFIX, TARGETS, digest, frozen_numbers, mixture

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def of(name: str):
    return mixture(PREFIX + name)


def widths(name: str) -> torch.Tensor:
    """Standard deviations of each component along its axes, rising, (K, D)."""
    return of(name).principal_axes[0].sqrt()


def distances(name: str) -> np.ndarray:
    """Between the means of any two components."""
    return torch.pdist(of(name).means).numpy()


@each_target
def test_a_target_has_mean_0_and_variance_1_and_its_own_hash(target):
    found = of(target.name)
    assert float(found.mean.abs().max()) < 1e-5
    assert float(found.covariance.diagonal().mean()) == pytest.approx(1, abs=1e-5)
    assert found.dim == int(target.name.partition("d-")[0])
    assert digest(frozen_numbers(target)) == target.sha256


@each_target
def test_the_last_digit_of_any_number_changes_the_hash(target):
    numbers = frozen_numbers(target)
    for name, values in numbers.items():
        for place in (0, values.size - 1):
            other = values.copy()
            other.flat[place] += 10.0 ** (math.floor(math.log10(abs(other.flat[place]) or 1)) - 5)
            assert digest(numbers | {name: other}) != target.sha256, name
    assert digest(numbers | {"weights": np.append(numbers["weights"], 1.0)}) != target.sha256


def test_a_changed_target_is_refused(monkeypatch):
    target = TARGETS[2]

    def moved():
        numbers = target.numbers()
        return numbers | {"means": numbers["means"] + [[0.001, 0.0]] + (np.arange(25) == 3)[:, None] * 1e-3}

    monkeypatch.setattr(benchmark_targets, "TARGETS", (replace(target, numbers=moved),))
    with pytest.raises(ValueError, match=f"the target 2d-grid has numbers with the SHA-256 .*{target.sha256}"):
        of("2d-grid")


def test_they_are_found_by_their_names_and_others_are_refused():
    assert targets.mixture_of("benchmark-1/2d-grid") is of("2d-grid")
    with pytest.raises(ValueError, match="there is no target 'benchmark-1/3d-grid' in the benchmark; choose one of .*1d-unequal"):
        targets.mixture_of("benchmark-1/3d-grid")


def test_the_captions_are_true():
    assert len(TARGETS) == 10
    assert of("1d-unequal").weights.tolist() == [0.8, 0.2]
    assert of("2d-grid").n_components == 25
    assert distances("2d-grid").min() / float(widths("2d-grid").max()) == pytest.approx(10, rel=1e-4)
    far = distances("2d-far") / float(widths("2d-far").max())
    assert far.min() > 30 and far.max() < 80
    assert of("2d-spiral").n_components == 24
    assert torch.allclose(widths("20d-octaves")[:, -1] / widths("20d-octaves")[:, 0], torch.tensor(64.0).double(), rtol=1e-4)
    for name, rank in (("50d-low-rank", 5), ("100d-low-rank", 4)):
        assert (of(name).excess_rank, of(name).n_components) == (rank, {5: 5, 4: 4}[rank])
        assert float((widths(name)[:, -rank] / widths(name)[:, 0]).min()) > 10
    assert distances("100d-isotropic").min() / float(widths("100d-isotropic").max()) > 30
    assert of("10d-correlated").excess_rank == 9


def test_the_scattered_numbers_look_normal():
    values = benchmark_targets._scattered(9, 20_000)
    assert values.mean() == pytest.approx(0, abs=0.03)
    assert values.var() == pytest.approx(1, abs=0.04)
    assert (values**4).mean() == pytest.approx(2.9, abs=0.15), "a sum of twelve has 3 - 6 / 5 / 12"
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03
