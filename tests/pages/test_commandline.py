"""The command line: links are read in three forms, bad ones are refused in words, and its help lists everything."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scoredm.address import PAGES, TABLE, VIEWS
from scoredm.commandline import main

ROOT = Path(__file__).parents[2]


def test_links_are_read_in_three_forms(capsys):
    forms = (["forward?lam=5&n=500"], ["http://127.0.0.1:8501/forward?lam=5&n=500"], ["forward", "lam=5&n=500"])
    results = []
    for form in forms:
        assert main(form) == 0
        results.append(capsys.readouterr().out)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("forward?lam=500", "lam is '500'; it must be a number from 0.5 to 50"),
        ("forward?n=3.5", "n is '3.5'; it must be a whole number from 20 to 5,000"),
        ("forward?sde=none", "sde is 'none'; it must be one of ve, geometric, vp, subvp, cosine, rectified, edm"),
        ("forward?rsteps=100", "'rsteps' is not a parameter of forward"),
        ("nowhere", "there is no page 'nowhere'; choose one of home, forward"),
        ("forward?target=own&mixture=hello", "hello"),
    ],
)
def test_a_bad_link_is_refused_with_the_value_and_what_is_allowed(capsys, link, words):
    assert main([link]) == 2
    told = capsys.readouterr()
    assert words in told.err and not told.out


def test_the_help_lists_every_screen_and_every_parameter(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for screen in (*PAGES, *VIEWS):
        assert re.search(rf"^(samplers\?show=)?{screen}$", text, re.MULTILINE), screen
    for parameters in TABLE.values():
        for parameter in parameters.values():
            assert re.search(rf"^  {parameter.name} ", text, re.MULTILINE), parameter.name


def test_the_command_line_needs_no_streamlit_and_no_charts():
    block = "import sys; sys.modules.update(dict.fromkeys(['streamlit', 'altair', 'matplotlib', 'pandas'])); "
    code = block + "from scoredm.commandline import main; sys.exit(main(['forward?n=20&steps=5']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["link"]["page"] == "forward"
