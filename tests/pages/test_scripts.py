"""A link as a script: which screens have one, and how it is written."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scoredm import address, scripts
from scoredm.commandline import main
from scoredm.experiment import KINDS
from tests.pages.links import LINKS, PAIRS, link, options

ROOT = Path(__file__).parents[2]


def test_every_screen_has_a_script_of_each_of_its_kinds():
    every = {*address.PAGES, *address.VIEWS} - {"samplers"}
    assert set(LINKS) == every == {name for name in every if scripts.has_script(name)}
    folder = Path(inspect.getfile(scripts.write)).parent
    topics = {f"maths-{topic}" for topic in options("maths", "topic")}
    assert {path.stem for path in folder.glob("*.txt")} == topics | set(LINKS) - {"maths"}


# Links whose scripts are written and not run: each kind of SDE, the networks, and values that make long lines.
OTHERS = [
    *(link("home", f"sde={kind}") for kind in KINDS),
    link("reverse", "whatif=true&plaindt=true&minus=true&weta=0.35&sde=vp&prior=exact"),
    link("score", "view=components&dots=0&camera=fixed"),
    link("score", "target=two-modes&view=components&camera=fixed"),
    link("race", "score=learned&samplers=" + ",".join(options("race", "samplers"))),
    link("budget", "show=budget&bscore=learned"),
    link("likelihood", "show=likelihood&lscore=learned&target=two-modes"),
    link("training", "recipe=ours"),
    link(
        "training",
        "recipe=custom&sched=constant&rate=0.02&points=100&batch=33&eps=0.05&output=noise&weigh=edm&avg=ema&decay=0.9",
    ),
    link("verified", "checks=values"),
    link("race", "target=own&mixture=m1,2s1"),
    link(
        "forward",
        "target=own&mixture=w0.3333333333333m-1.23456789012,0.123456789c1.123456789012,0.6123456789,1.123456789012;m0,0s1,2",
    ),
]


def test_scripts_are_short_and_written_by_the_rules_of_this_project(tmp_path):
    for i, one in enumerate([*OTHERS, *(link(*pair) for pair in PAIRS)]):
        text = scripts.write(one)
        assert text.isascii() and text.count("\n") <= 90
        assert not re.search(r"scoredm\.(screens|ui|charts)|import .*\b(screens|ui|charts)\b", text)
        (tmp_path / f"script_{i}.py").write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
        done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_command_line_prints_the_script_which_needs_neither_streamlit_nor_screens(capsys, tmp_path):
    assert main(["forward", "n=20&steps=5", "--script"]) == 0
    path = tmp_path / "forward.py"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == scripts.write("forward?n=20&steps=5")
    hidden = "['streamlit', 'altair', 'matplotlib', 'pandas', 'scoredm.screens']"
    code = f"import runpy, sys; sys.modules.update(dict.fromkeys({hidden})); runpy.run_path({str(path)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "standard error" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("bad", "words"), [("forward?lam=500", "lam is '500'"), ("reverse?target=own&mixture=m0,0,0s1", "in 3 dimensions")]
)
def test_a_bad_link_has_no_script_and_the_reason_is_said(capsys, bad, words):
    with pytest.raises(ValueError, match=words):
        scripts.write(bad)
    assert main([bad, "--script"]) == 2
    assert words in capsys.readouterr().err


def test_lines_of_a_template_are_kept_where_what_they_ask_is_so():
    template = "from scoredm import b, $one, C\n@ plane\nplane\n@ plane follow\nboth\n@\nall $n\n"
    values = {"plane": True, "follow": False, "n": 3, "one": "A_B"}
    assert scripts.fill(template, values) == "from scoredm import A_B, C, b\nplane\nall 3\n"
