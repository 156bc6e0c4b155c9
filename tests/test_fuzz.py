"""Random texts that are nearly right: links, mixtures, lessons, tables and lines of code.

Whatever they say, they are read, or refused in words that name what is wrong and what is allowed; within 2 s and 500 MB. The
same texts are tried each time; `python -m tests.faults` tries many more.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from scoredm import exercises, memorisation, quiz, screens, targets
from scoredm.address import PAGES, TABLE, VIEWS, experiment_from, read_link, settings_from
from scoredm.lessons import LessonError, parse
from scoredm.parameters import Number, Parameter, plain
from tests.faults import sizes, texts, visit
from tests.faults.limits import within_limits

EVERYWHERE = {parameter.name: parameter for table in TABLE.values() for parameter in table.values()}


def tried(times: int) -> Callable[[Any], Any]:
    """So many texts, the same each time; no deadline, as other programs may be using the machine."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=times, derandomize=True, database=None, deadline=None, suppress_health_check=checks)


def said(error: ValueError) -> str:
    """The words of a refusal; there must be some, and not too many to be read."""
    words = str(error)
    assert 10 <= len(words) <= 1200, words
    assert "Traceback" not in words and "object at 0x" not in words, words
    return words


def assert_nearest(parameter: Parameter, asked: list[str]) -> None:
    """A page shows an allowed value; where the link asks for another, it names that and what is allowed."""
    value, complaint = parameter.read_all(asked)
    assert parameter.accepts(value), (parameter.name, asked, value)
    again = parameter.read_all([parameter.write(value)])
    same = again.value == pytest.approx(value, rel=1e-9) if isinstance(parameter, Number) else again.value == value
    assert same and again.complaint is None, "what a page writes into its link, it reads back"
    if complaint is None:
        return
    last = asked[-1]
    if isinstance(parameter, Number) and len(asked) == 1 and "outside" in complaint:
        assert value == min(max(float(last), parameter.low), parameter.high)
        assert plain(parameter.low) in complaint and plain(parameter.high) in complaint
    if len(asked) == 1 and len(last) <= 40 and "characters" not in complaint:
        assert any(part.strip() in complaint for part in last.split(",")), (complaint, last)
    assert len(complaint) <= 600, complaint


def read(link: str) -> None:
    """Read a link as the command line and as a page does."""
    try:
        found = read_link(link)
        experiment_from(found.values)
        screen = getattr(screens, found.screen)
        settings_from(found.screen, screen.Settings, found.values)
    except ValueError as error:
        said(error)
    else:
        assert found.page in PAGES and found.screen in {**PAGES, **VIEWS}
    try:
        asked = parse_qs(urlsplit(link).query, keep_blank_values=True)
    except ValueError:  # it is no address at all, so that no browser sends it
        return
    for name in asked.keys() & EVERYWHERE.keys():
        assert_nearest(EVERYWHERE[name], asked[name])


@tried(sizes.LINKS)
@given(texts.links)
def test_a_link_is_read_or_refused_in_words(link):
    within_limits(lambda: read(link))


@tried(sizes.TEXTS)
@given(texts.mixtures)
def test_a_mixture_is_read_or_refused_in_words(text):
    def parsed() -> None:
        try:
            mixture = targets.parse_mixture(text)
        except ValueError as error:
            said(error)
            return
        assert 1 <= mixture.dim <= targets.MAX_DIM
        again = targets.parse_mixture(targets.format_mixture(mixture))
        assert all(np.array_equal(one, other) for one, other in zip(mixture.parameters, again.parameters, strict=True))

    within_limits(parsed)


@tried(sizes.TEXTS)
@given(texts.lessons)
def test_a_lesson_is_read_or_refused_with_file_line_and_fault(text):
    def parsed() -> None:
        try:
            lesson = parse(text, "mine.md")
        except LessonError as error:
            assert said(error).startswith(f"mine.md, line {error.line}: ")
            assert 1 <= error.line <= max(1, len(text.splitlines()))
            return
        assert lesson.title and 1 <= len(lesson.stops) <= 100
        assert all(stop.link.page in PAGES and 0 < stop.minutes <= 90 for stop in lesson.stops)

    within_limits(parsed)


@tried(sizes.TEXTS)
@given(texts.quizzes)
def test_a_quiz_is_read_or_refused_with_file_line_and_fault(text):
    def parsed() -> None:
        try:
            questions = quiz.parse(text, "quiz.md")
        except LessonError as error:
            assert said(error).startswith(f"quiz.md, line {error.line}: ")
            return
        assert questions and all(sum(option.right for option in question.options) == 1 for question in questions)

    within_limits(parsed)


@tried(sizes.TEXTS)
@given(texts.tables)
def test_a_table_is_read_or_refused_in_words(text):
    def parsed() -> None:
        try:
            points = memorisation.read_points(text)
        except ValueError as error:
            said(error)
            return
        assert points.ndim == 2 and points.shape[1] in (1, 2) and 1 <= len(points) <= memorisation.MAX_POINTS
        assert np.isfinite(points).all() and np.abs(points).max() <= memorisation.MAX_SIZE

    within_limits(parsed)


@tried(sizes.TEXTS)
@given(st.sampled_from(list(exercises.EXERCISES)), texts.lines)
def test_a_line_of_code_gets_a_verdict(name, line):
    verdict = within_limits(lambda: exercises.check(name, line))
    assert 10 <= len(verdict.message) <= 1200, verdict.message
    assert "Traceback" not in verdict.message and "object at 0x" not in verdict.message, verdict.message


@pytest.mark.parametrize("name", exercises.EXERCISES)
def test_a_right_line_still_passes(name):
    """The grammar's lines are damaged; if nothing passed, the test above would see only refusals."""
    assert exercises.check(name, exercises.EXERCISES[name].solution).passed


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_whatever_its_link_says(page):
    visit.open_page(page, {})  # loads what every visit needs
    views = tuple(VIEWS) if page == "samplers" else ()

    @tried(max(1, sizes.PAGES // len(PAGES)))
    @given(texts.queries(page, views, fewest=3))
    def opens(pairs):
        asked: dict[str, list[str]] = {}
        for name, text in pairs:
            asked.setdefault(name, []).append(text)
        at = within_limits(lambda: visit.open_page(page, asked))
        assert not at.exception, [element.value for element in at.exception]
        assert PAGES[page].title in [element.value for element in at.title]
        said = " ".join(element.value for element in (*at.warning, *at.error))
        for name in asked.keys() & EVERYWHERE.keys():
            parameter = EVERYWHERE[name]
            if name in at.session_state and parameter.read_all(asked[name]).complaint:
                assert parameter.label in said, (parameter.label, asked[name], said)

    opens()
