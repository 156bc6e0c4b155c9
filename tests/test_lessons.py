"""Lessons as text: they are read, faults are said with file, line and fault, and their numbers are right."""

import math
import re
from pathlib import Path

import pytest

from scoredm import VESDE, exact_score, language, lessons, screens, targets
from scoredm.address import PAGES, experiment_from, settings_from
from scoredm.lessons import HIDABLE, LessonError, parse
from scoredm.modes import merge_time

FOLDER = Path(__file__).parents[1] / "lessons"
FILES = sorted(FOLDER.glob("*/*.md"))
WHOLE = """# A lesson

audience: everybody

## The first stop

link: http://127.0.0.1:8501/forward?target=two-modes&steps=100
minutes: 12.5
think: 2
talk: 10
hide: lead, sections

Look at the picture,
and press play.

question: When do the modes
merge?

answer: At t = 0.784.
teacher: Wait.

## The second stop

link: home
minutes: 1

Look again.
question: Why?
"""


def test_a_lesson_is_read_as_it_is_written():
    lesson = parse(WHOLE, "mine.md")
    assert (lesson.name, lesson.title, lesson.audience, lesson.minutes) == ("mine", "A lesson", "everybody", 13.5)
    first, second = lesson.stops
    assert (first.link.page, dict(first.link.values)) == ("forward", {"target": "two-modes", "steps": 100})
    assert (first.minutes, first.think, first.talk, first.hide) == (12.5, 2, 10, ("lead", "sections"))
    assert (first.text, first.question) == ("Look at the picture, and press play.", "When do the modes merge?")
    assert (first.answer, first.teacher) == ("At t = 0.784.", "Wait.")
    assert (second.title, second.link.page, second.answer, second.hide) == ("The second stop", "home", "", ())
    assert second.text == "Look again."


@pytest.mark.parametrize(
    ("was", "is_", "line", "fault"),
    [
        (WHOLE, "", 1, "the file is empty"),
        ("# A lesson", "A lesson", 1, "starts with its title"),
        ("# A lesson", "## A lesson", 1, "starts with its title"),
        ("# A lesson", "#", 1, "a heading has no words"),
        ("audience: everybody", "", 1, "“A lesson” has no audience:"),
        ("audience: everybody", "audience:", 3, "audience: has no text"),
        ("audience: everybody", "minutes: 3", 3, "there is no field “minutes” here; choose from audience"),
        ("audience: everybody", "For everybody", 3, "these words stand before the first stop"),
        ("## The first stop", "### The first stop", 5, "a stop starts with ##, not with ###"),
        ("## The second stop", "# The second stop", 22, "a stop starts with ##, not with #"),
        ("minutes: 12.5", "minutes: soon", 8, "“soon” is not a number of minutes"),
        ("minutes: 12.5", "minutes: -1", 8, "“-1” is not a number of minutes above 0 and up to 90"),
        ("minutes: 12.5", "minutes: nan", 8, "“nan” is not a number of minutes"),
        ("minutes: 12.5", "minutes: 11", 8, "the stop takes 11 minutes, but think and talk take 12 together"),
        ("minutes: 12.5", "", 5, "“The first stop” has no minutes:"),
        ("hide: lead, sections", "hide: lead, everything", 11, "“everything” cannot be hidden; choose from experiment"),
        ("hide: lead, sections", "talk: 10", 11, "talk: is here twice"),
        ("hide: lead, sections", "colour: red", 11, "there is no field “colour” here"),
        ("Look at the picture,\nand press play.", "", 5, "“The first stop” has no sentences"),
        ("merge?\n", "merge?\n\nOne more.\n", 19, "a second paragraph of sentences"),
        ("question: Why?", "question:", 28, "question: has no text"),
        ("forward?target=two-modes", "forward?target=none", 7, "target is 'none'; it must be one of"),
        ("steps=100", "lambda=100", 7, "'lambda' is not a parameter of forward"),
        ("link: home", "link: nowhere", 24, "there is no page 'nowhere'"),
        ("link: home", "link: home?lesson=class", 24, "the link of a stop cannot set lesson"),
        ("link: home", "link: home?target=own&mixture=m1q", 24, "'q'"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_fault(was, is_, line, fault):
    assert was in WHOLE
    with pytest.raises(LessonError) as error:
        parse(WHOLE.replace(was, is_, 1), "mine.md")
    assert (error.value.file, error.value.line) == ("mine.md", line), str(error.value)
    assert fault in error.value.fault and str(error.value).startswith(f"mine.md, line {line}: ")


def test_a_lesson_without_stops_or_with_too_many_is_refused():
    head, _stops = WHOLE.split("## The first stop")
    with pytest.raises(LessonError, match="mine.md, line 1: this lesson has no stops"):
        parse(head, "mine.md")
    stop = "\n## Stop\nlink: home\nminutes: 1\n\nText.\n\nquestion: Why?\n"
    assert len(parse(head + 100 * stop, "mine.md").stops) == 100
    with pytest.raises(LessonError, match="a lesson has at most 100 stops"):
        parse(head + 101 * stop, "mine.md")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "mine.md"
    path.write_bytes(b"# A lesson\n\naudience: \xff\n")
    with pytest.raises(LessonError, match="mine.md, line 3: this is not text in UTF-8"):
        lessons.read(path)


def test_a_file_that_was_taken_away_is_said_like_any_other_fault(tmp_path):
    with pytest.raises(LessonError, match="mine.md, line 1: the file cannot be opened"):
        lessons.read(tmp_path / "mine.md")


def test_a_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "mine.md"
    path.write_text(WHOLE, encoding="utf-8")
    assert lessons.read(path).title == "A lesson"
    path.write_text(WHOLE.replace("# A lesson", "# Another", 1), encoding="utf-8")
    assert lessons.read(path).title == "Another"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_lesson_can_be_read_and_every_stop_is_a_legal_screen(path):
    lesson = lessons.read(path)
    for stop in lesson.stops:
        assert stop.link.page in PAGES and set(stop.hide) <= set(HIDABLE)
        experiment_from(stop.link.values)
        settings_from(stop.link.screen, getattr(screens, stop.link.screen).Settings, stop.link.values)
        assert len(re.findall(r"[.!](?= |$)", stop.text)) <= 3, stop.title


def test_the_format_that_is_described_is_the_one_that_is_read():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    example = re.findall(r"^```\n(# .*?)^```", text, flags=re.MULTILINE | re.DOTALL)[0]
    whole = parse(example.partition("## The title of the next stop")[0], "example.md")
    assert whole.stops[0].talk == 10 and whole.stops[0].answer
    for name in (*lessons.OF_A_LESSON, *lessons.OF_A_STOP):
        assert f"`{name}:`" in text, name
    for name in HIDABLE:
        assert f"`{name}`" in text, name


def test_there_are_a_class_and_two_short_lessons():
    found = {name: lessons.read(language.lesson_file(name)) for name in language.lesson_names()}
    assert list(found) == ["class", "one-dimension", "why-memorise"]
    assert found["class"].minutes == 45 and found["one-dimension"].minutes == 5
    discussions = [stop for stop in found["class"].stops if stop.talk]
    assert [(stop.think, stop.talk) for stop in discussions] == [(2, 10), (2, 10)]
    assert all(stop.answer for stop in discussions)


# Numbers that the answers state


def said(name: str, number: int) -> str:
    stop = lessons.read(language.lesson_file(name)).stops[number - 1]
    return " ".join([stop.text, stop.question, stop.answer, stop.teacher])


def test_numbers_of_the_forward_stops():
    sde, mixture = VESDE(25.0), targets.mixture("tutorial")
    variance = float(mixture.covariance[0, 0])
    added = float(sde.sigma(1.0)) ** 2
    assert f"From {variance:.1f} to {variance + added:.1f}" in said("class", 2) and f"= {added:.1f}$" in said("class", 2)
    pair = targets.mixture("two-modes")
    merged = merge_time(pair, sde)
    assert f"t = {merged:.3f} with λ = 25" in said("class", 3) and f"t = {merged:.3f} on" in said("one-dimension", 1)
    assert merge_time(pair, VESDE(3.0)) == math.inf
    own_side = 0.5 * (1 + math.erf(5 / math.sqrt(2 * (1 + added))))
    assert f"{100 * own_side:.0f} % of the particles" in said("one-dimension", 1)


def test_numbers_of_the_score_stops():
    pair, sde = targets.mixture("two-modes"), VESDE(25.0)
    x = pair.means.new_tensor([[2.0]])
    score = exact_score(pair, sde)
    values = [float(score(x, t)) for t in (0.5, 0.85)]
    assert float(pair.score(x)) == pytest.approx(3, abs=1e-6)
    assert f"{values[0]:.3f}" in said("one-dimension", 3) and f"{float(sde.sigma(0.5)):.2f}" in said("one-dimension", 3)
    shares = pair.diffuse(1.0, float(sde.sigma(0.85))).responsibilities(x)[0]
    assert f"−{-values[1]:.4f}" in said("one-dimension", 4)
    assert "{:.3f} and {:.3f}".format(*shares.tolist()) in said("one-dimension", 4)


def test_numbers_of_the_probe():
    mixture = targets.mixture("tutorial")
    x = mixture.means.new_tensor([[1.0, 0.0]])
    shares = mixture.responsibilities(x)[0]
    parts = shares[:, None] * mixture.component_scores(x)[0]
    lengths = parts.norm(dim=-1)
    text = said("class", 5)
    assert "lengths {:.2f} and {:.2f}".format(*lengths.tolist()) in text
    assert f"only {float(parts.sum(0).norm()):.2f} long" in text
    for vector in (*parts, parts.sum(0)):
        assert "({:.3f}, {:.3f})".format(*vector.tolist()).replace("-", "−") in text
    assert "{:.3f} and {:.3f}".format(*shares.tolist()) in text
    tight = targets.mixture("tight")
    middle = tight.means.new_tensor([[0.0, 0.0]])
    contribution = 0.5 * tight.component_scores(middle)[0].norm(dim=-1)
    assert f"length {float(contribution[0]):.0f} each" in said("class", 6)
    assert f"10^{{{math.floor(float(tight.log_prob(middle)) / math.log(10))}}}" in said("class", 6)
