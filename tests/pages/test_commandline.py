"""The command line gives the numbers that a screen shows, to the last digit shown; bad links are refused in words."""

import itertools
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.address import PAGES, TABLE, VIEWS
from scoredm.commandline import main
from tests.common import wait_for_work

ROOT = Path(__file__).parents[2]

# Each screen at its defaults, and at three links with other targets, SDEs and settings.
LINKS = {
    "home": ["", "target=two-modes&sde=vp", "target=needle&lam=3&seed=5", "target=ring&sde=cosine"],
    "forward": [
        "",
        "lam=5&n=500",
        "target=two-modes&sde=vp&bmax=12&steps=20",
        "target=checkerboard&sde=geometric&seed=7&camera=fixed",
    ],
    "score": ["", "t=0.5&px=2&py=-1", "target=two-modes&px=1.5&t=0.2", "target=ring&sde=subvp&t=0.3&view=weighted"],
    "reverse": [
        "rn=500",
        "rn=500&lam=5&prior=exact",
        "rn=300&target=two-modes&sde=vp&rsteps=50&denoise=true&whatif=true&plaindt=true&wsteps=20",
        "rn=400&target=ring&sde=cosine&tmin=0.01",
    ],
    "maths": ["", "topic=dsm&share=0.5&time=0.5&sde=vp", "topic=parametrisations&target=ring&seed=3", "eta=0.5&target=two-modes"],
    "practice": [
        "exercise=reverse-sde&code=x%2Bg(t)**2*score(x,t)*dt%2Bg(t)*dt*z&lam=10",
        "exercise=dsm-loss&code=((std[:,None]*model(perturbed_x,t)-z)**2).sum(1).mean()&target=two-modes&sde=vp",
        "exercise=tweedie&code=x%2Bsigma*s&sde=vp&pt=0.4&seed=3",
    ],
    "likelihood": [
        "show=likelihood",
        "show=likelihood&target=two-modes&prior=exact&lsteps=30",
        "show=likelihood&sde=vp&prior=matched",
        "show=likelihood&target=gaussian&lam=5",
    ],
    "training": [
        "recipe=custom&iters=12&points=200&batch=64&showloss=true&second=true&lpoint=3",
        "recipe=custom&iters=20&points=100&batch=0&target=two-modes&sde=vp&look=0.5&metric=true",
        "recipe=custom&iters=15&points=100&net=notebook&output=noise&target=two-modes&lam=3&seed=5",
        "recipe=custom&iters=30&points=50&avg=ema&target=two-modes&sde=cosine",
    ],
    "race": [
        "particles=300&seeds=1&to=40",
        "target=two-modes&sde=vp&particles=300&seeds=2&to=40&samplers=ddim,heun",
        "target=ring&lam=5&particles=200&seeds=1&to=40&samplers=heun&grids=uniform,karras",
        "target=two-modes&sde=cosine&seed=3&from=10&to=40&particles=400&seeds=2&dist=covariance",
    ],
    "budget": [
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=20&tmin=0.1",
        "show=budget&bscore=exact&bn=300&bseeds=2&rsteps=20&target=two-modes&sde=vp&prior=matched&tmin=0.1",
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=10&target=two-modes&lam=3&seed=5&sampler=heun&tmin=0.1",
        "show=budget&bscore=exact&bn=400&bseeds=3&rsteps=20&target=two-modes&sde=cosine&denoise=true&dist=covariance",
    ],
    "memorisation": [
        "",
        "mnet=true&msteps=50&mn=20",
        "mnet=true&msteps=50&mn=5&target=two-modes&sde=vp",
        "mn=100&target=ring&sde=cosine&seed=3",
    ],
    "verified": [
        "",
        "checks=score&target=ring&lam=5",
        "checks=losses&target=two-modes&sde=vp&seed=3",
        "checks=samplers&sde=cosine",
    ],
}
START = {"training": "train", "race": "start", "budget": "start", "verified": "run-these"}  # the button that starts long work
NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?")
RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def opened(page: str, query: str) -> AppTest:
    at = AppTest.from_file(ROOT / "app.py", default_timeout=120)
    for name, value in parse_qsl(query):
        at.query_params[name] = value
    if page != "home":
        at.switch_page(f"pages/{page}.py")
    return at.run()


def finish(at: AppTest, screen: str) -> None:
    """Start what the screen trains, races or checks, and wait for the end."""
    if screen in START:
        at.button(key=START[screen]).click().run()
    if screen in START or screen == "memorisation":
        wait_for_work(at)
    assert all(button.key != "stop" for button in at.main.button)


def printed(capsys: pytest.CaptureFixture[str], page: str, query: str) -> dict[str, Any]:
    """What the command line prints for a link."""
    assert main([page, query] if query else [page]) == 0
    return json.loads(capsys.readouterr().out)["result"]


def every_number(value: Any) -> Iterator[float]:
    """The numbers in a result, long arrays of points and curves aside."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from every_number(part)
    elif len(value) <= 40 or not isinstance(value[0], int | float):
        for part in itertools.islice(value, 40):
            yield from every_number(part)


def shown_numbers(at: AppTest, screen: str, page: str) -> list[str]:
    """The page's own numbers, not its prose's, that have three digits or more, as they are written."""
    prose = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "pages" / "en").rglob(f"{page}*.md"))
    lines = [re.sub(r"</?span[^>]*>", "", line) for element in at.main.markdown for line in element.value.splitlines()]
    lines = [line for line in lines if line not in prose]
    if screen == "verified":
        texts = [line for line in lines if re.fullmatch(rf"(≤ |± )?{NUMBER.pattern} *", line)]
    elif screen == "memorisation":
        sentences = [*lines, *(caption.value for caption in at.main.caption)]
        texts = [text for text in sentences if "copies" in text or "loss" in text or "Median" in text or "≈" in text]
    else:
        texts = [cell for line in lines if line.startswith("|") for cell in line.strip("|").split("|")[1:]]
    plain = [re.sub(r"\$[^$]*\$|<[^>]*>", " ", text) for text in texts]
    return [text for part in plain for text in NUMBER.findall(part) if len(re.findall(r"\d", text.partition(" × ")[0])) >= 3]


def read(text: str) -> tuple[float, float]:
    """A number as it is written, and half a unit of its last digit."""
    digits, _times, power = text.replace("−", "-").replace(",", "").partition(" × 10")
    scale = 10.0 ** int(power.translate(RAISED)) if power else 1.0
    decimals = len(digits.partition(".")[2])
    return float(digits) * scale, 0.5 * 10.0**-decimals * scale


@pytest.mark.parametrize(("screen", "query"), [(screen, query) for screen, queries in LINKS.items() for query in queries])
def test_the_command_line_gives_the_numbers_on_screen(capsys, screen, query):
    page = "samplers" if screen in VIEWS else screen
    at = opened(page, query)
    finish(at, screen)
    assert not at.exception and not at.error
    shown = shown_numbers(at, screen, page)
    found = list(every_number(printed(capsys, page, query)))
    differences = {a - b for a, b in itertools.pairwise(found)} | {b - a for a, b in itertools.pairwise(found)}
    candidates = [*found, *differences, *(-value for value in found), *(100 * value for value in found)]
    if (
        screen == "score"
    ):  # its column of densities shows what the result has as logarithms, over a power of ten where they are small
        densities = [math.exp(value) for value in found if value < 20]
        candidates += [density * 10.0**power for density in densities for power in range(12)]
    for text in shown:
        value, half = read(text)
        assert any(math.isclose(value, candidate, rel_tol=1e-9, abs_tol=half * 1.001) for candidate in candidates), text
    assert shown or screen in ("home", "maths")


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
        ("forward?sde=none", "sde is 'none'; it must be one of ve, geometric, vp, subvp, cosine"),
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
