"""Networks in files: the same network comes out, and what does not fit is refused in words."""

import json
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from scoredm import (
    SDE,
    VESDE,
    VPSDE,
    GeometricVESDE,
    NotebookNet,
    ScoreNet,
    SubVPSDE,
    TrainConfig,
    Trainer,
    load,
    load_recipe,
    save,
    targets,
)
from scoredm.networks import PARAMETRISATIONS
from scoredm.sde import Time
from scoredm.storage import FORMAT_VERSION, SDES

RECIPE = TrainConfig(data_size=200, batch=32, steps=12, width=8, parametrisation="noise")
Network = ScoreNet | NotebookNet


def trained(sde: SDE, recipe: TrainConfig = RECIPE) -> Network:
    trainer = Trainer(targets.mixture("tutorial"), sde, recipe, "cpu")
    list(trainer)
    return trainer.score_fn


def points(dim: int = 2) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return 2 * torch.randn(50, dim, generator=draws), 0.01 + 0.99 * torch.rand(50, generator=draws)


def same(one: Network, other: Network) -> None:
    """Every number is the same to the last bit, and so are the scores."""
    assert type(one) is type(other) and one.parametrisation == other.parametrisation and one.sizes == other.sizes
    weights, theirs = one.state_dict(), other.state_dict()
    assert weights.keys() == theirs.keys()
    assert all(weights[name].dtype == theirs[name].dtype and torch.equal(weights[name], theirs[name]) for name in weights)
    x, t = points(one.dim)
    assert torch.equal(one(x, t), other(x, t))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "score.safetensors"


@pytest.mark.parametrize("network", ["scorenet", "notebook"])
def test_a_trained_network_comes_back_bit_for_bit_with_its_recipe(network, path):
    recipe = replace(RECIPE, network=network)
    model = trained(GeometricVESDE(0.02, 8.0), recipe)
    save(path, model, recipe)
    found = load(path)
    same(found, model)
    assert found.sde == model.sde and load_recipe(path) == recipe
    save(path, model)
    assert load_recipe(path) is None


def test_a_file_may_be_read_by_whom_the_system_lets(path):
    mask = os.umask(0o022)
    try:
        save(path, ScoreNet(VPSDE()))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", SDES)
def test_every_kind_of_sde_comes_back(name, path):
    model = ScoreNet(SDES[name](), 1, width=4)
    save(path, model)
    assert load(path).sde == model.sde


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("precision", [torch.float64, torch.float16])
def test_every_shape_parametrisation_and_precision_comes_back(parametrisation, precision, path):
    draws = torch.Generator().manual_seed(3)
    root = torch.randn(5, 5, generator=draws)
    given = {"parametrisation": parametrisation, "generator": draws}
    deep = ScoreNet(VPSDE(), 5, width=7, depth=4, covariance=root @ root.T, mean=root[0], **given)
    torch.nn.init.normal_(deep.head.weight, generator=draws)
    for model in (deep, ScoreNet(VESDE(), 1, width=3, depth=1, **given), NotebookNet(VESDE(), 3, width=6, features=4, **given)):
        save(path, model.to(precision))
        same(load(path), model)


def test_a_file_says_in_words_what_it_holds(path):
    save(path, ScoreNet(VPSDE(), 3, width=6), RECIPE)
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["scoredm"])
    assert said["version"] == FORMAT_VERSION and said["network"] == "ScoreNet" and said["parametrisation"] == "own"
    assert said["sizes"] == {"dim": 3, "width": 6, "depth": 3} and said["recipe"]["steps"] == RECIPE.steps
    assert said["sde"] == "VPSDE" and said["sde_parameters"] == {"beta_min": 0.1, "beta_max": 20.0}


@dataclass(frozen=True)
class Straight(SDE):
    """An SDE of one's own: alpha_t = 1 - 0.9 t, sigma_t = speed t."""

    speed: float = 2.0

    def alpha(self, t: Time) -> Time:
        return 1 - 0.9 * t

    def sigma(self, t: Time) -> Time:
        return self.speed * t

    def drift_rate(self, t: Time) -> Time:
        return -0.9 / (1 - 0.9 * t)

    def diffusion(self, t: Time) -> Time:
        return self.speed * (2 * t + 1.8 * t * t / (1 - 0.9 * t)) ** 0.5


def test_an_sde_of_ones_own_is_passed_in_and_checked(path):
    model = ScoreNet(Straight(), 2, width=4)
    save(path, model)
    same(load(path, Straight()), model)
    with pytest.raises(ValueError, match="trained for an SDE Straight, which is not one of VESDE, .*; give it as load"):
        load(path)
    with pytest.raises(
        ValueError, match="trained for another SDE: at t = 0.25 it has alpha = 0.775 and sigma = 0.5, where Straight"
    ):
        load(path, Straight(2.1))


def test_weights_of_another_sde_are_refused():
    model = trained(VESDE(25.0))
    ScoreNet(VESDE(25.0), width=8).load_state_dict(model.state_dict())
    for other in (VPSDE(), VESDE(25.1), GeometricVESDE()):
        with pytest.raises(ValueError, match=r"another SDE: at t = 0.25 it has alpha = 1 and sigma = .*, where \w+\("):
            ScoreNet(other, width=8).load_state_dict(model.state_dict())
    with pytest.raises(ValueError, match="another SDE"):  # also as a part of another module
        torch.nn.Sequential(ScoreNet(SubVPSDE())).load_state_dict(torch.nn.Sequential(ScoreNet(VPSDE())).state_dict())


def rewritten(path: Path, **changes: Any) -> Path:
    """The file with a description that says something else."""
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["scoredm"])
    save_file(load_file(path), path, {"scoredm": json.dumps(said | changes)})
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": FORMAT_VERSION + 1}, "has version 2 of the format and this scoredm reads up to 1: use a newer scoredm"),
        ({"version": None}, "was not written by scoredm.save"),
        ({"network": "GiantNet"}, "is damaged: KeyError, 'GiantNet'"),
        ({"network": "NotebookNet"}, "is damaged: TypeError"),
        ({"sizes": {"dim": 2, "width": 9, "depth": 3}}, "is damaged: RuntimeError, .*size mismatch"),
        ({"sizes": {"dim": 2, "width": 10**6, "depth": 3}}, "does not fit the .* numbers in it"),
        ({"sizes": {"dim": 10**9, "width": 1, "depth": 1}}, "does not fit the .* numbers in it"),
        ({"sizes": {"dim": 2, "width": 1, "depth": 10**9}}, "does not fit the .* numbers in it"),
        ({"sizes": {"dim": 0, "width": 1, "depth": 1}}, "each must be 1 or more"),
        ({"sizes": 3}, "is damaged: TypeError"),
        ({"parametrisation": "velocity"}, "parametrisation is 'velocity'"),
        ({"sde": "VESDE", "sde_parameters": {"lam": -1.0}}, "lambda is -1"),
        ({"sde": "VESDE", "sde_parameters": {"rate": 5.0}}, "is damaged: TypeError"),
        ({"sde": "VESDE", "sde_parameters": {}}, "trained for another SDE"),
        ({"sde": "SDE"}, "which is not one of"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(changes, words, path):
    save(path, ScoreNet(VPSDE(), 2, width=8))
    with pytest.raises(ValueError, match=words):
        load(rewritten(path, **changes))


def test_broken_files_are_refused_in_words(path):
    save(path, ScoreNet(VPSDE(), 2, width=8))
    whole = path.read_bytes()
    for broken in (whole[:-100], whole[:50], b"", b"\x80\x04K\x05.", b"\xff" * 100):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="is damaged, or no safetensors file"):
            load(path)
    save_file({"weight": torch.ones(3)}, path)
    with pytest.raises(ValueError, match="was not written by scoredm.save"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(path.with_name("nothing"))


def test_a_file_without_some_weights_or_with_a_recipe_of_nonsense_is_refused(path):
    save(path, ScoreNet(VPSDE(), 2, width=8), RECIPE)
    with pytest.raises(ValueError, match="is damaged: .*unexpected keyword argument 'luck'"):
        load_recipe(rewritten(path, recipe={"luck": 1}))
    with safe_open(path, framework="pt") as file:
        said = file.metadata()
    save_file({name: value for name, value in load_file(path).items() if name != "head.bias"}, path, said)
    with pytest.raises(ValueError, match="is damaged: RuntimeError, .*Missing key.*head.bias"):
        load(path)


def test_only_networks_of_ours_are_saved(path):
    with pytest.raises(ValueError, match="the model is a Linear; only ScoreNet and NotebookNet can be saved"):
        save(path, torch.nn.Linear(2, 2))  # pyrefly: ignore[bad-argument-type]


def test_onnx_gives_the_same_scores_for_batches_of_any_size(path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = trained(VPSDE())
    x, t = torch.zeros(2, model.dim), torch.full((2,), 0.5)
    shapes = {"x": {0: "batch"}, "t": {0: "batch"}}
    path = path.with_suffix(".onnx")
    torch.onnx.export(model.eval(), (x, t), path, input_names=["x", "t"], dynamic_shapes=shapes, dynamo=True, verbose=False)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x, t = points()
    for n in (1, 50):
        (found,) = session.run(None, {"x": x[:n].numpy(), "t": t[:n].numpy()})
        expected = model(x[:n], t[:n]).detach()
        assert float((torch.as_tensor(found) - expected).norm() / expected.norm()) < 1e-6
