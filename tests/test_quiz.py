"""The quiz as text: it is read, faults are said with file and line, and the library gives the numbers of its right choices."""

import math
import re

import numpy as np
import pytest

from scoredm import VESDE, dsm_floor, exact_score, initial_distribution, language, quiz, sample, targets
from scoredm.lessons import LessonError
from scoredm.modes import merge_time
from scoredm.quiz import parse
from tests.common import generator

QUESTIONS = quiz.read(language.prose_file("home/quiz"))
WHOLE = "## Why?\n\n- Because\n  No.\n+ Therefore\n  Yes,\n  indeed.\n"


def right(part: str) -> str:
    """The right choice of the one question with these words."""
    (found,) = [question for question in QUESTIONS if part in question.text]
    return next(option.text for option in found.options if option.right)


def wrong(part: str) -> list[str]:
    (found,) = [question for question in QUESTIONS if part in question.text]
    return [option.text for option in found.options if not option.right]


def test_a_quiz_is_read_as_it_is_written():
    (question,) = parse(WHOLE, "quiz.md")
    assert question.text == "Why?"
    assert [(option.text, option.right, option.word) for option in question.options] == [
        ("Because", False, "No."),
        ("Therefore", True, "Yes, indeed."),
    ]


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("", 1, "there is no question"),
        ("Why?\n", 1, "a question starts with ##"),
        (WHOLE.replace("+ ", "- "), 1, "here 0 do"),
        (WHOLE.replace("- ", "+ "), 1, "here 2 do"),
        ("## Why?\n+ Therefore\n  Yes.\n", 1, "two choices or more"),
        (WHOLE.replace("  No.\n", ""), 1, "no word on the choice “Because”"),
        (WHOLE.replace("  No.", "No."), 4, "two spaces"),
        (WHOLE.replace("- Because\n", ""), 3, "a line here starts with"),
        (WHOLE + "\n## And?\n", 9, "two choices or more"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_fault(text, line, fault):
    with pytest.raises(LessonError) as error:
        parse(text, "quiz.md")
    assert (error.value.file, error.value.line) == ("quiz.md", line) and fault in str(error.value)


def test_there_are_eight_questions_and_each_wrong_choice_gets_its_own_word():
    assert len(QUESTIONS) == 8
    for question in QUESTIONS:
        words = [option.word for option in question.options]
        assert len(set(words)) == len(words) and len({option.text for option in question.options}) == len(words)
        assert all(len(word.split()) >= 5 for word in words)


def test_the_right_choice_does_not_always_stand_in_one_place():
    places = [[option.right for option in question.options].index(True) for question in QUESTIONS]
    assert max(places.count(place) for place in set(places)) <= 5


def test_the_numbers_of_the_choices():
    pair, sde = targets.mixture("two-modes"), VESDE(25.0)
    x = pair.means.new_tensor([[2.0]])
    own = pair.component_scores(x)[0, :, 0].tolist()
    assert float(right("score at x = 2")) == pytest.approx(float(pair.score(x)), abs=1e-6)
    assert [float(text.replace("−", "-")) for text in wrong("score at x = 2")] == pytest.approx([sum(own) / 2, min(own)])
    variance = float(sde.sigma(1.0)) ** 2
    assert float(right("variance of the noise")) == pytest.approx(variance, abs=0.05)
    assert [float(text) for text in wrong("variance of the noise")] == pytest.approx([25, 25**2 - 1, variance**0.5], abs=0.005)
    assert f"t = {merge_time(pair, sde):.3f}" in right("merge, with λ = 25")
    forgot = math.log(1 + 2 * math.log(25) * 25) / (2 * math.log(25))
    assert f"t = {forgot:.3f}" in wrong("merge, with λ = 25")[0]


def test_the_score_is_zero_halfway_between_two_equal_modes():
    tight = targets.mixture("tight")
    middle = tight.means.mean(0, keepdim=True)
    assert float(tight.score(middle).norm()) == pytest.approx(0, abs=1e-9) and right("halfway") == "Zero."
    (power,) = {int(found) for found in re.findall(r"10\^\{(-\d+)\}", QUESTIONS[0].options[2].word)}
    assert math.floor(float(tight.log_prob(middle)) / math.log(10)) == power


def test_the_loss_of_a_perfect_network_is_the_floor():
    nodes, weights = np.polynomial.legendre.leggauss(12)
    times = 0.01 + 0.99 * (nodes + 1) / 2
    mixture = targets.mixture("tutorial")
    mean = sum(w / 2 * float(dsm_floor(mixture, VESDE(25.0), float(t))) for t, w in zip(times, weights, strict=True))
    assert float(right("perfect network")) == pytest.approx(mean, abs=0.005)
    assert wrong("perfect network") == ["0", str(mixture.dim)]


def test_a_start_that_ignores_the_mean_costs_as_much_as_the_quiz_says():
    mixture, sde = targets.mixture("tutorial"), VESDE(5.0)
    score, found = exact_score(mixture, sde), {}
    for name in ("zero", "exact"):
        prior = initial_distribution(name, mixture, sde)
        found[name] = float(sample(sde, score, 20_000, steps=200, prior=prior, generator=generator()).end[:, 0].mean())
    (question,) = [question.text for question in QUESTIONS if "With λ = 5" in question.text]
    (ends,) = re.findall(r"ends near (\d\.\d+)", question)
    assert found["zero"] == pytest.approx(float(ends), abs=0.03)
    assert found["exact"] == pytest.approx(1, abs=0.03)
