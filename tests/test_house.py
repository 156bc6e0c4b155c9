"""The rules of the house that a linter cannot see whole."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scoredm import palette

ROOT = Path(__file__).parents[1]
LIBRARY = sorted(path.stem for path in (ROOT / "scoredm").glob("*.py") if path.stem != "__init__")


def test_the_library_never_loads_streamlit():
    code = f"import sys, scoredm; [__import__('scoredm.' + m) for m in {LIBRARY}]; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_sidebar_needs_no_torch():
    code = "import sys, scoredm.ui.experiment, scoredm.ui.controls; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_public_name_loads():
    import scoredm

    for name in dir(scoredm):
        assert getattr(scoredm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = scoredm.nonsense


def test_themes_and_charts_share_one_palette():
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    assert tuple(theme["chartCategoricalColors"]) == palette.COMPONENTS
    assert theme["light"]["primaryColor"] == palette.SAMPLES
    for mode in ("light", "dark"):
        assert (theme[mode]["textColor"], theme[mode]["backgroundColor"]) == (palette.INK[mode], palette.PAPER[mode])


def test_pages_stay_short_and_without_mathematics():
    for page in (ROOT / "pages").glob("*.py"):
        source = page.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 130, page.name
        for word in ("import torch", "import numpy", "import scipy"):
            assert word not in source, f"{page.name}: {word}"
