"""The prose of the pages: formulas that render, links that lead somewhere, words that are agreed, and exercises that work."""

import re
import textwrap
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scoredm.exercises import EXERCISES

ROOT = Path(__file__).parents[2]
PROSE = ROOT / "pages" / "en"
FILES = sorted([*PROSE.rglob("*.md"), *(ROOT / "lessons" / "en").glob("*.md")])
CLASS = ("home", "forward", "score", "reverse", "training")
MOST_WORDS = 420  # of a class page, outside "Read more"; formulas and code are not counted
READ_MORE = "Read more"
BANNED = (
    r"laws?",
    r"dress(?:es)?",
    r"ways? back",
    r"(?:held|hold) against",
    r"set beside",
    r"pull(?:s|ed|ing)?",
    r"kicks?",
    r"by heart",
    r"likelier",
    r"finite-sample zero",
    r"turned round",
    r"melts?",
    r"what no \w+ looks like",
)
BUTTON = re.compile(r"\b(?:press|choose|colour by|recipe|custom|under) \*\*([^*]+)\*\*", re.IGNORECASE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ENTRY = re.compile(r"- \*\*(?P<term>[^*]+)\*\*: (?P<words>[^\n]+)")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", " ", re.sub(r"^```.*?^```", " ", text, flags=re.DOTALL | re.MULTILINE))


def formulas(text: str) -> list[str]:
    """The formulas of a text without code: first the displayed ones, then those in a line."""
    shown = re.findall(r"\$\$(.+?)\$\$", text, flags=re.DOTALL)
    return shown + re.findall(r"\$([^$]+)\$", re.sub(r"\$\$.+?\$\$", " ", text, flags=re.DOTALL))


def words_only(text: str) -> str:
    """A text without code, formulas, addresses of links and numbers of list items."""
    bare = re.sub(r"\$\$.+?\$\$|\$[^$]+\$", " ", without_code(text), flags=re.DOTALL)
    return re.sub(r"^\d+\. ", "", re.sub(r"\]\([^)]*\)", "]", bare), flags=re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """Heading -> text of each section; the lead has the heading ""."""
    lead, *rest = re.split(r"^## +(.+)$", text, flags=re.MULTILINE)
    return {"": lead} | dict(zip(rest[::2], rest[1::2], strict=True))


def code_blocks(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", read(PROSE / f"{name}.md"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
class TestEveryFile:
    def test_a_displayed_formula_has_a_line_of_its_own(self, path: Path) -> None:
        lines = without_code(read(path)).splitlines()
        for i, line in enumerate(lines):
            if "$$" in line:
                assert re.fullmatch(r"\$\$[^$]+\$\$", line), line
                around = [lines[j] for j in (i - 1, i + 1) if 0 <= j < len(lines)]
                assert not any(other.strip() for other in around), f"no blank line around {line}"

    def test_every_formula_is_closed(self, path: Path) -> None:
        text = without_code(read(path))
        for paragraph in re.split(r"\n\s*\n|\n(?=[-|\d])", text):
            assert paragraph.count("$") % 2 == 0, paragraph
        for formula in formulas(text):
            assert "\n\n" not in formula, formula
            bare = re.sub(r"\\[{}]", "", formula)
            assert bare.count("{") == bare.count("}"), formula
            assert len(re.findall(r"\\left\b", formula)) == len(re.findall(r"\\right\b", formula)), formula
            assert re.findall(r"\\begin{(\w+)}", formula) == re.findall(r"\\end{(\w+)}", formula), formula

    def test_every_link_leads_somewhere(self, path: Path) -> None:
        for link in LINK.findall(without_code(read(path))):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                assert address.scheme == "https" and address.netloc, link
                continue
            name = address.path.removeprefix("./") or "home"
            assert (ROOT / "pages" / f"{name}.py").is_file(), link
            for topic in parse_qs(address.query).get("topic", []):
                assert (PROSE / name / f"{topic}.md").is_file(), link

    def test_no_banned_word(self, path: Path) -> None:
        found = re.search(rf"\b(?:{'|'.join(BANNED)})\b", words_only(read(path)), flags=re.IGNORECASE)
        assert not found, found and found.group()

    def test_terms_are_spelled_as_in_the_glossary(self, path: Path) -> None:
        text = " ".join(words_only(read(path)).split())
        for term in glossary():
            for found in loosely(term).findall(text):
                assert found in (term, term[0].upper() + term[1:]), f"{found!r} is {term!r} in the glossary"

    def test_every_button_that_is_named_exists(self, path: Path) -> None:
        sources = "\n".join(read(source) for folder in ("pages", "scoredm") for source in (ROOT / folder).rglob("*.py"))
        for label in BUTTON.findall(read(path)):
            assert re.search(rf"[\"']{re.escape(label)}[\"']", sources), f"no control is called {label!r}"


def loosely(term: str) -> re.Pattern[str]:
    """A pattern for a term in any spelling: hyphens, spaces, dashes, -ise or -ize, capitals."""
    joined = r"[\s\-–]?".join(re.escape(part) for part in re.split(r"[\s\-–]", term))
    spelled = joined.replace("isation", "i[sz]ation").replace("'", "['’]")
    return re.compile(rf"\b{spelled}\b", re.NOFLAG if len(term) < 3 else re.IGNORECASE)


def glossary() -> dict[str, str]:
    return {m["term"]: m["words"] for m in ENTRY.finditer(read(PROSE / "glossary.md"))}


def test_the_glossary_has_its_simple_form() -> None:
    lines = read(PROSE / "glossary.md").splitlines()
    assert all(ENTRY.fullmatch(line) for line in lines)
    terms = list(glossary())
    assert len(terms) == len(lines) >= 40
    assert terms == sorted(set(terms), key=str.casefold)
    for term, words in glossary().items():
        assert words.endswith(".") and words[0] == words[0].upper() and "$" not in words, term
        assert len(re.findall(r"[.:?](?= [A-Z]|$)", words)) <= 3 and len(words.split()) <= 35, f"{term} is not brief"


def test_a_term_is_found_in_any_spelling() -> None:
    for term, spelling in [
        ("log-SNR", "log SNR"),
        ("probability-flow ODE", "probability flow ode"),
        ("discretisation", "Discretization"),
        ("Tweedie's formula", "Tweedie’s formula"),
        ("Euler-Maruyama", "Euler-Maruyama"),
    ]:
        assert loosely(term).findall(f"by {spelling}, then") == [spelling]
    assert not loosely("ODE").findall("each mode") and not loosely("VE").findall("we've")


@pytest.mark.parametrize("name", CLASS)
def test_a_class_page_is_short(name: str) -> None:
    parts = sections(read(PROSE / f"{name}.md"))
    assert READ_MORE in parts
    kept = words_only(" ".join(f"{heading} {text}" for heading, text in parts.items() if heading != READ_MORE))
    count = sum(bool(re.search("[A-Za-z0-9]", word)) for word in kept.split())
    assert count <= MOST_WORDS, f"{name}.md has {count} words outside {READ_MORE!r}"


def test_every_class_page_leads_to_the_list_of_differences() -> None:
    differences = sections(read(PROSE / "home.md"))["Where this differs from the notebook"]
    assert len(re.findall(r"^\d+\. ", differences, flags=re.MULTILINE)) == 14
    for name in CLASS[1:]:
        assert "How this differs from the notebook: see [Home](./)." in sections(read(PROSE / f"{name}.md"))[READ_MORE]


@pytest.mark.parametrize("name", ["reverse", "training"])
def test_no_solution_stands_above_its_exercise(name: str) -> None:
    headings = list(sections(read(PROSE / f"{name}.md")))
    exercise = next(i for i, heading in enumerate(headings) if heading.startswith("Exercise: write"))
    assert headings.index("Exercise: a solution") > exercise
    above = "".join(list(sections(read(PROSE / f"{name}.md")).values())[:exercise])
    assert "```" not in above and r"\sqrt{\Delta t}" not in above


@pytest.mark.parametrize(
    ("name", "exercise", "solution"),
    [
        ("forward", "sigma", r"2 \ln \lambda"),
        ("score", "mixture-score", r"\sum_k r_k"),
        ("reverse", "reverse-sde", r"g(t) ** 2"),
        ("training", "dsm-loss", r".square()"),
        ("maths/reverse", "sigma", r"2 \ln \lambda"),
        ("maths/reverse", "reverse-sde", r"\eta\, g \sqrt{\Delta t}"),
        ("maths/parametrisations", "tweedie", r"\sigma_t^2\,s"),
    ],
)
def test_the_way_to_practice_stands_above_the_solution(name: str, exercise: str, solution: str) -> None:
    text = read(PROSE / f"{name}.md")
    assert 0 < text.find(f"practice?exercise={exercise})") < text.find(solution)


def test_every_exercise_is_led_to_from_a_class_page() -> None:
    text = "".join(read(PROSE / f"{name}.md") for name in ("forward", "score", "reverse", "training", "maths/parametrisations"))
    assert all(f"practice?exercise={name})" in text for name in EXERCISES)


def printed(name: str, line: str, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """What the exercise of a page prints when its dots are replaced by these lines."""
    exercise, _ = code_blocks(name)
    assert exercise.count("    return ...\n") == 1
    exec(exercise.replace("    return ...\n", textwrap.indent(line, "    ")), {})
    return [float(value) for value in re.findall(r"tensor\(([^)]+)\)", capsys.readouterr().out)]


@pytest.mark.parametrize(
    "right,wrong,variance,told",
    [
        ("", "", 1.00, "must be 1.00"),
        ("x + g(t) ** 2", "x - g(t) ** 2", 1.14e6, "a minus sign before the score, $10^6$"),
        ("dt**0.5", "dt", 0.0138, "`dt` in place of `dt**0.5`, 0.014"),
        ("g(t) ** 2", "g(t)", 33.9, "`g(t)` in place of `g(t) ** 2`, 34"),
    ],
)
def test_the_exercise_of_reverse_tells_mistakes_from_the_solution(
    right: str, wrong: str, variance: float, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    solution = code_blocks("reverse")[1]
    assert right in solution and told in read(PROSE / "reverse.md")
    (found,) = printed("reverse", solution.replace(right, wrong) if right else solution, capsys)
    assert found == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize(
    "right,wrong,test,value,told",
    [
        ("noise).square", "-noise).square", 0, 8, "(test 1 prints 8)"),
        ("(sigma * score_fn", "(sigma**2 * score_fn", 0, 21, "(1 prints 21)"),
        (".sum(-1).mean()", ".mean()", 1, 1, "(2 prints 1)"),
        ("x0 + sigma", "sigma", 2, 0.87, "(3 prints 0.87)"),
        (", t) +", ", torch.full_like(t, 0.5)) +", 0, 92, "(1 prints 92)"),
    ],
)
def test_the_exercise_of_training_tells_mistakes_from_the_solution(
    right: str, wrong: str, test: int, value: float, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    solution, expected = code_blocks("training")[1], (0, 2, 0.70)
    assert solution.count(right) == 1 and told in read(PROSE / "training.md")
    assert printed("training", solution, capsys) == pytest.approx(expected, abs=0.01)
    found = printed("training", solution.replace(right, wrong), capsys)
    assert found[test] == pytest.approx(value, rel=0.03)
    assert abs(found[test] - expected[test]) > 0.1
