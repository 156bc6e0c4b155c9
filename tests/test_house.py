"""The rules of the house that a linter cannot see whole."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from scoredm.charts import palette

ROOT = Path(__file__).parents[1]


def test_every_public_name_loads():
    import scoredm

    for name in dir(scoredm):
        assert getattr(scoredm, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = scoredm.nonsense  # pyrefly: ignore[missing-attribute]


def test_a_star_imports_every_public_name():
    import scoredm

    names: dict[str, object] = {}
    exec("from scoredm import *", names)
    assert {name for name in names if not name.startswith("__")} == set(dir(scoredm))
    assert names["exact_score"] is scoredm.exact_score


def test_themes_and_charts_share_one_palette():
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    assert tuple(theme["chartCategoricalColors"]) == palette.COMPONENTS
    for mode in ("light", "dark"):
        assert theme[mode]["primaryColor"] == palette.SAMPLES[mode]
        assert (theme[mode]["textColor"], theme[mode]["backgroundColor"]) == (palette.INK[mode], palette.PAPER[mode])


def linear(colour: str) -> np.ndarray:
    """Linear-light red, green and blue of a hex colour (IEC 61966-2-1)."""
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of the Web Content Accessibility Guidelines 2.2, from 1 to 21."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def apart(one: str, other: str) -> float:
    """The distance of two colours in Oklab (Ottosson 2020), where black and white are 1 apart."""
    cones = np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]])
    opponents = np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]])
    return float(np.linalg.norm(opponents @ (np.cbrt(cones @ linear(one)) - np.cbrt(cones @ linear(other)))))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_what_is_drawn_can_be_seen_and_samples_are_no_component(mode):
    paper, samples = palette.PAPER[mode], palette.SAMPLES[mode]
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21) and apart("#FFFFFF", "#000000") == pytest.approx(1, abs=1e-3)
    assert contrast(palette.INK[mode], paper) >= 7 and contrast(palette.MUTED[mode], paper) >= 4.5
    assert contrast(samples, paper) >= 4.5 and contrast(palette.LEARNED, paper) >= 3
    for other in (*palette.COMPONENTS, palette.LEARNED, palette.INK[mode], palette.MUTED[mode]):
        assert apart(samples, other) >= 0.1, other


def test_pages_stay_short_and_without_mathematics():
    for page in (ROOT / "pages").glob("*.py"):
        source = page.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 130, page.name
        for word in ("import torch", "import numpy", "import scipy"):
            assert word not in source, f"{page.name}: {word}"
