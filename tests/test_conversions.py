"""Score, noise, clean data and velocity stand for each other, and the velocity is the slope of the flow."""

import pytest
import torch

from scoredm import (
    RectifiedFlow,
    clean_from_score,
    clean_from_velocity,
    ddim,
    denoise,
    exact_score,
    noise_from_score,
    score_from_clean,
    score_from_noise,
    score_from_velocity,
    targets,
    velocity_from_clean,
    velocity_from_score,
)
from tests.common import each_kind

TUTORIAL = targets.mixture("tutorial")
T = torch.tensor([0.02, 0.3, 0.6, 0.9], dtype=torch.float64)


def points(sde, dtype=torch.float64):
    x = [TUTORIAL.at(sde, t).sample(5, torch.Generator().manual_seed(i)) for i, t in enumerate(T)]
    return torch.stack(x).to(dtype)


@each_kind
def test_every_round_trip_is_the_identity(sde):
    x = points(sde)
    s = exact_score(TUTORIAL, sde)(x, T)
    v = velocity_from_score(s, x, sde, T)
    clean = clean_from_score(s, x, sde, T)
    torch.testing.assert_close(clean, denoise(sde, lambda *_: s, x, T))
    for again in (
        score_from_noise(noise_from_score(s, sde, T), sde, T),
        score_from_clean(clean, x, sde, T),
        score_from_velocity(v, x, sde, T),
    ):
        torch.testing.assert_close(again, s, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(clean_from_velocity(v, x, sde, T), clean, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(velocity_from_clean(clean, x, sde, T), v, rtol=1e-7, atol=1e-7 * float(v.abs().max()))


@each_kind
def test_the_true_noise_and_clean_point_give_the_slope_of_their_path(sde):
    g = torch.Generator().manual_seed(0)
    x0, z = (torch.randn(4, 3, 2, generator=g, dtype=torch.float64) for _ in range(2))
    h = 1e-5
    slope = (sde.perturb(x0, T + h, z) - sde.perturb(x0, T - h, z)) / (2 * h)
    x = sde.perturb(x0, T, z)
    size = float(slope.abs().max())
    torch.testing.assert_close(velocity_from_clean(x0, x, sde, T), slope, rtol=1e-5, atol=1e-6 * size)
    torch.testing.assert_close(velocity_from_score(score_from_noise(z, sde, T), x, sde, T), slope, rtol=1e-5, atol=1e-6 * size)


@each_kind
def test_the_velocity_of_the_exact_score_is_the_slope_of_the_flow(sde):
    score, t, h = exact_score(TUTORIAL, sde), 0.4, 1e-5
    x = TUTORIAL.at(sde, t).sample(6, torch.Generator().manual_seed(0)).double()
    slope = (x - ddim(sde, score, x, t, t - h, torch.empty_like(x))) / h  # one short step of another form of the flow
    velocity = velocity_from_score(score(x, t), x, sde, t)
    torch.testing.assert_close(velocity, slope, rtol=1e-3, atol=1e-3 * float(velocity.abs().max()))


def test_precision_and_shape_are_those_of_the_points():
    x = points(RectifiedFlow(), torch.float32)
    v = velocity_from_clean(torch.zeros_like(x), x, RectifiedFlow(), T)
    assert v.dtype == torch.float32
    torch.testing.assert_close(v, x / T[:, None, None].float())
    assert velocity_from_clean(x[0], x[0], RectifiedFlow(), 0.5).dtype == torch.float32


def test_where_alpha_is_0_clean_data_and_velocity_tell_each_other_and_the_score_tells_neither():
    sde, x, clean = RectifiedFlow(), torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.ones(5, 2)
    v = velocity_from_clean(clean, x, sde, 1.0)
    torch.testing.assert_close(v, x - clean)  # straight from the clean point to the noise
    torch.testing.assert_close(clean_from_velocity(v, x, sde, 1.0), clean)
    torch.testing.assert_close(score_from_velocity(v, x, sde, 1.0), -x)
    for convert in (clean_from_score, velocity_from_score):
        with pytest.raises(ValueError, match="alpha_t is 0 at t = 1: nothing of the data is left"):
            convert(-x, x, sde, torch.tensor([0.2, 0.4, 0.5, 0.6, 1.0]))


@pytest.mark.parametrize(
    "convert",
    [
        lambda sde, x: score_from_noise(sde, x, 0.5),
        lambda sde, x: noise_from_score(sde, x, 0.5),
        lambda sde, x: score_from_clean(x, sde, x, 0.5),
        lambda sde, x: clean_from_score(sde, x, x, 0.5),
        lambda sde, x: velocity_from_score(x, sde, x, 0.5),
        lambda sde, x: score_from_velocity(sde, x, x, 0.5),
        lambda sde, x: clean_from_velocity(x, sde, x, 0.5),
        lambda sde, x: velocity_from_clean(sde, x, x, 0.5),
    ],
)
def test_arguments_in_another_order_are_refused_in_words(convert):
    with pytest.raises(TypeError, match=r"got .*RectifiedFlow.* pass tensors first, then the SDE and t"):
        convert(RectifiedFlow(), torch.ones(3, 2))
