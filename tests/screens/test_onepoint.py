"""The loss of one point: both origins make the noisy point, the loss is the library's, and the arrows lead where they should."""

import numpy as np
import pytest
import torch
from torch import Tensor

from scoredm import denoise, dsm_losses
from scoredm.experiment import Experiment
from scoredm.frames import LEARNED
from scoredm.screens import onepoint
from scoredm.screens.onepoint import GUESS, RISE, Settings
from scoredm.sde import Time


def learned(x: Tensor, t: Time, /) -> Tensor:
    """A score that is not the exact one."""
    return -x / (3 + t)


CASES = [
    (Experiment(), None, 0.25),
    (Experiment("two-modes", kind="vp"), learned, 0.4),
    (Experiment("ring", kind="cosine"), learned, 0.01),
    (Experiment("spike"), None, 1.0),
]


@pytest.mark.parametrize(("experiment", "model", "t"), CASES, ids=[case[0].target for case in CASES])
def test_both_origins_make_the_noisy_point_and_have_the_librarys_loss(experiment, model, t):
    found = onepoint.run(experiment, Settings(t, 3, True), model)
    score = model or experiment.score
    assert found.second is not None and not np.array_equal(found.first.clean, found.second.clean)
    for origin in (found.first, found.second):
        np.testing.assert_allclose(found.alpha * origin.clean + found.sigma * origin.noise, found.noisy, rtol=1e-9, atol=1e-9)
        x0, z = (torch.from_numpy(value)[None] for value in (origin.clean, origin.noise))
        assert origin.loss == pytest.approx(float(dsm_losses(experiment.sde, score, x0, t, z)), rel=1e-4)
    clean = denoise(experiment.sde, score, torch.from_numpy(found.noisy)[None], t)[0]
    np.testing.assert_allclose(found.clean_guess, clean, rtol=1e-4, atol=1e-5)
    assert found.average == (found.first.loss + found.second.loss) / 2
    assert found.least <= found.mean and (found.least == found.mean) == (model is None)


@pytest.mark.parametrize(("experiment", "model", "t"), CASES, ids=[case[0].target for case in CASES])
def test_the_points_meet_and_the_arrows_lead_to_the_guess_and_back_to_the_clean_points(experiment, model, t):
    found, y = onepoint.run(experiment, Settings(t, 5, True), model), slice(2 - experiment.dim, None)
    assert found.second is not None
    frames, ends = found.frames, [found.first.clean, found.second.clean]
    assert frames.particles is not None and frames.anchors is not None and frames.arrows is not None
    np.testing.assert_allclose(frames.particles[0, :2, y], frames.particles[0, 2:, y], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        frames.particles[RISE:, 2:, y], np.broadcast_to(found.noisy, frames.particles[RISE:, 2:, y].shape), atol=1e-9
    )
    np.testing.assert_allclose(frames.particles[-1, :2, y], np.stack(ends))
    np.testing.assert_allclose(frames.anchors[-1][:, y], np.stack([found.noisy, *[found.clean_guess] * 2]), rtol=1e-9, atol=1e-9)
    tips = (frames.anchors + frames.arrows)[-1][:, y]
    np.testing.assert_allclose(tips, np.stack([found.clean_guess, *ends]), rtol=1e-9, atol=1e-9)
    assert np.isnan(frames.arrows[:RISE]).all() and np.isnan(frames.arrows[: RISE + GUESS, 1:]).all()
    assert frames.arrow_labels is not None and frames.arrow_labels[0] == (LEARNED if model else -1)
    low, high = frames.windows[0, 0::2], frames.windows[0, 1::2]
    shown = np.concatenate([frames.particles.reshape(-1, 2), (frames.anchors + frames.arrows)[-1]])
    assert ((shown >= low) & (shown <= high)).all()


def test_a_point_has_one_second_origin_and_other_points_others():
    experiment = Experiment("two-modes")
    one, again, other = (onepoint.run(experiment, Settings(0.3, point, True)) for point in (1, 1, 2))
    assert one.second is not None and again.second is not None and other.second is not None
    assert one.second.clean == again.second.clean != other.second.clean
    alone = onepoint.run(experiment, Settings(0.3, 1, False))
    assert alone.second is None and alone.average is None and alone.first.loss == one.first.loss


def test_the_losses_of_many_points_and_of_their_second_origins_have_the_floor_as_mean():
    experiment, t, n = Experiment("two-modes", kind="vp"), 0.3, 60
    found = [onepoint.run(experiment, Settings(t, point, True), None, lambda _e, _t: 0.0) for point in range(1, n + 1)]
    floor = onepoint.lowest_loss(experiment, t)
    for losses in ([one.first.loss for one in found], [one.second.loss for one in found if one.second]):
        assert abs(np.mean(losses) - floor) < 4 * np.std(losses) / n**0.5 < floor
