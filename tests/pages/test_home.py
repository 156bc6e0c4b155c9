"""The home page: the story of the current experiment, its figures, and the feedback kept in the session."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from scoredm import VESDE, VPSDE, targets
from scoredm.charts import pictures
from scoredm.experiment import Experiment
from scoredm.screens import home as story
from scoredm.ui import cache, feedback

OpenPage = Callable[..., AppTest]


def settled(at: AppTest) -> AppTest:
    """A browser knows the page's name after the first run; AppTest needs a second to know it."""
    return at.run()


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in at.markdown)


def facts(at: AppTest) -> dict[str, str]:
    (table,) = [m.value.partition("\n\n")[2] for m in at.markdown if "\n| Target" in m.value]
    return {name.strip(): value.strip() for name, value in re.findall(r"^\| ([^|]+)\| ([^|]+)\|$", table, flags=re.MULTILINE)}


def images(at: AppTest) -> list[str]:
    return [picture.url for element in at.main.get("image") for picture in element.proto.imgs]


def test_the_story_links_to_the_four_screens(open_page: OpenPage) -> None:
    at = settled(open_page("home"))
    assert not at.exception
    links = [link.proto.page for link in at.get("page_link")]
    assert links == ["forward", "score", "reverse", "training", "forward"]  # the last: Next
    assert len(images(at)) == 5
    for address in ("a9uLb8Pf4pM", "qDXPZqYm-1g", "osf.io/j89qg"):
        assert address in words(at)
    assert not at.get("iframe") and not at.get("video")  # nothing is loaded from another host


def test_facts_follow_the_experiment(open_page: OpenPage) -> None:
    at = settled(open_page("home", target="two-modes", lam=25, predict="off"))
    assert facts(at)["Variance"] == "26"
    assert facts(at)["Modes"] == "one from t = 0.784 on"
    sigma = math.sqrt(624 / (2 * math.log(25)))
    assert facts(at)["Noise at t = 1"] == f"σ₁ = {sigma:.2f}, {sigma / math.sqrt(26):.2f} × the standard deviation of the data"
    at.slider(key="lam").set_value(3.0).run()
    assert facts(at)["Modes"] == "still more than one at t = 1"
    at.selectbox(key="target").set_value("tutorial").run()
    assert not at.exception
    assert facts(at)["Mean"] == "(1, 0)"
    assert "2.5 & −0.75" in facts(at)["Covariance"]
    at.selectbox(key="target").set_value("ring").run()
    assert "Modes" not in facts(at)  # nobody counts the modes of eight components in the plane


def test_facts_of_an_sde_that_shrinks_the_data(open_page: OpenPage) -> None:
    at = settled(open_page("home", target="two-modes", sde="vp", bmax=10, predict="off"))
    assert facts(at)["SDE"] == "VP, β 0.1 to 10"
    alpha = math.exp(-10.1 / 4)
    sigma = math.sqrt(1 - alpha**2)
    assert facts(at)["Noise at t = 1"] == f"σ₁ = {sigma:.3f}, {sigma / alpha / math.sqrt(26):.2f} × what is left of the data"


@pytest.mark.parametrize("target", ["tutorial", "three-modes"])
def test_pictures_change_with_lambda_and_seed(open_page: OpenPage, target: str) -> None:
    at = settled(open_page("home", target=target))
    before = images(at)
    at.number_input(key="seed").set_value(7).run()
    seeded = images(at)
    assert seeded[0] != before[0] and seeded[4] == before[4]  # other draws, the same target
    at.slider(key="lam").set_value(2.0).run()
    assert images(at)[1] != seeded[1]


def test_a_mixture_of_200_components_and_one_of_one(open_page: OpenPage) -> None:
    many = "".join(f"m{i % 20}_{i // 20}s0.3" for i in range(200))
    for text in (many, "m3s0.5"):
        at = settled(open_page("home", target="own", mixture=text))
        assert not at.exception and not at.error
        assert len(images(at)) == 5


def test_bad_links_give_a_page_and_a_message(open_page: OpenPage) -> None:
    at = settled(open_page("home", target="nothing", lam="0", seed="x"))
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == 3


def told(name: str, lam: float = 25.0) -> story.Story:
    draws = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    return story.tell(targets.mixture(name), VESDE(lam), *draws)


def test_the_story_ends_where_it_began() -> None:
    """Forward starts at data; reverse ends at data. Both lie where the data are, and spread at t = 1 as p_1 does."""
    mixture, seen = targets.mixture("ring"), told("ring")
    for points in (seen.forward[0], seen.reverse[0]):
        nearest = np.linalg.norm(points[:, None] - mixture.means.numpy(), axis=-1).min(1)
        assert np.quantile(nearest, 0.9) < 1.0  # modes have std 0.3
    exact = float(mixture.covariance[0, 0]) + VESDE(25.0).sigma(1.0) ** 2
    for points in (seen.forward[-1], seen.reverse[-1]):
        assert points.var() == pytest.approx(exact, rel=0.5)


def test_the_arrow_to_the_best_guess_is_the_score_in_every_sde() -> None:
    mixture, sde = targets.mixture("ring"), VPSDE()
    noisy = story.tell(mixture, sde, *(torch.Generator().manual_seed(seed) for seed in (1, 2))).noisy
    alpha, sigma = float(sde.alpha(noisy.t)), float(sde.sigma(noisy.t))
    assert alpha < 0.8
    score = mixture.diffuse(alpha, sigma).score(torch.tensor(noisy.noisy * alpha))
    assert np.allclose(noisy.guess - noisy.noisy, sigma**2 / alpha * score.numpy(), atol=1e-4)
    low, high = noisy.window.reshape(2, 2).T
    assert ((noisy.noisy > low) & (noisy.noisy < high)).mean() > 0.9


def test_the_curve_of_best_guesses_is_the_score_too() -> None:
    mixture, sde = targets.mixture("two-modes"), VPSDE()
    noisy = story.tell(mixture, sde, *(torch.Generator().manual_seed(seed) for seed in (1, 2))).noisy
    alpha, sigma = float(sde.alpha(noisy.t)), float(sde.sigma(noisy.t))
    x, guess = noisy.curve.T
    score = mixture.diffuse(alpha, sigma).score(torch.tensor(x[:, None])).numpy()[:, 0]
    np.testing.assert_allclose(guess - x / alpha, sigma**2 / alpha * score, atol=1e-9)


def test_the_cards_speak_of_the_picture_that_is_there(open_page: OpenPage) -> None:
    plane, line = (words(settled(open_page("home", target=target))) for target in ("tutorial", "two-modes"))
    assert "The arrow leads to the best guess of the clean point" in plane and "this tile is" in plane
    assert "The curve is the best guess" in line and "arrow leads" not in line and "tile" not in line


def test_tiles_tell_their_scale() -> None:
    seen = told("tutorial")
    growth = math.sqrt((2.5 + VESDE(25.0).sigma(1.0) ** 2) / 2.5)
    for draw in (pictures.forward_step, pictures.reverse_step):
        notes = re.findall(r"<text [^>]*>([^<]+)</text>", draw(seen, "light"))
        assert {"t = 0", f"t = 1 · ×{growth:.2g}"} < set(notes) and len(notes) == 4
    assert "×" not in pictures.forward_step(told("two-modes"), "light")


def test_the_best_guess_is_nearer_than_the_noisy_point() -> None:
    for name in ("grid", "two-modes", "tutorial"):
        noisy = told(name).noisy
        assert ((noisy.guess - noisy.clean) ** 2).mean() < 0.9 * ((noisy.noisy - noisy.clean) ** 2).mean()


@pytest.mark.parametrize("name", ["tutorial", "spike"])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pictures_are_whole_svg_without_outside_references(name: str, mode: str) -> None:
    seen = told(name)
    drawn = [
        draw(seen, mode) for draw in (pictures.forward_step, pictures.score_step, pictures.reverse_step, pictures.learn_step)
    ]
    drawn.append(cache.thumbnail(name, mode))
    for svg in drawn:
        assert svg.startswith("<svg ") and svg.endswith("</svg>")
        assert "nan" not in svg
        assert set(re.findall(r'href="([^:"]+):', svg)) <= {"data"}


def test_a_panel_places_corners_and_points_upwards() -> None:
    picture = pictures.Picture(100, 50, "light")
    panel = picture.panel((-1.0, 1.0, 0.0, 10.0), (10, 5, 80, 40))
    corners = panel.place(np.array([[-1.0, 0.0], [1.0, 10.0], [0.0, 5.0]]))
    assert corners.tolist() == [[10, 45], [90, 5], [50, 25]]


def test_feedback_is_kept_only_in_the_session_and_comes_out_as_a_file() -> None:
    def page() -> None:
        from scoredm.ui.feedback import feedback

        feedback("score")
        feedback("reverse")

    at = AppTest.from_function(page).run()
    assert not at.exception and not at.text_area, "a form that nobody opened is not there"
    for name in ("score", "reverse"):
        at.session_state[f"feedback-place-{name}"] = True
    at.run()
    at.session_state["feedback-place-score"] = False
    at.run()
    assert not at.get("download_button")
    at.text_area(key="words-score").set_value("Größer bitte")  # closed again, it keeps what is typed
    _press(at, 0)
    at.text_area(key="words-reverse").set_value("  ")
    _press(at, 1)  # nothing was said: nothing is kept
    kept: dict[str, Any] = at.session_state[feedback.KEPT]
    assert set(kept) == {"score"}
    assert kept["score"]["words"] == "Größer bitte"
    assert json.loads(feedback.as_file(kept))["pages"]["score"]["stars"] is None
    assert at.get("download_button")
    at.text_area(key="words-score").set_value("")
    _press(at, 0)
    assert not at.session_state[feedback.KEPT]


def _press(at: AppTest, index: int) -> None:
    at.button[index].click().run()
    assert not at.exception


def test_the_four_pictures_are_kept_for_each_experiment_and_theme() -> None:
    for experiment in (Experiment("two-modes"), Experiment("tutorial")):
        told = cache.home(experiment, story.Settings()).story
        for mode in ("light", "dark"):
            drawn = {page: draw(told, mode) for page, draw in pictures.STEPS.items()}
            assert cache.step_pictures(experiment, mode) == drawn
        assert cache.step_pictures(experiment, "light") != cache.step_pictures(experiment, "dark")
