"""Judge an answer to an exercise: by its numbers on several mixtures, SDEs and times, never by its text."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, final

import numpy as np
import torch

from scoredm.exercises import cases, effects
from scoredm.exercises.arrays import UNFINISHED, Array, Meter, Refusal, ShapeError, tidy
from scoredm.exercises.cases import Case, Given
from scoredm.exercises.interpreter import Function, read
from scoredm.exercises.slips import FORMULAS, Slip
from scoredm.exercises.texts import EXERCISES
from scoredm.language import N_, _

CLOSE = 1e-4  # of the right answer's size: float32's rounding, in a function from a notebook, is less
LARGEST = 1e300

Run = Callable[[Case], Any]

CASES: Mapping[str, Callable[[], tuple[Case, ...]]] = {
    "sigma": cases.sigma_cases,
    "mixture-score": cases.score_cases,
    "reverse-sde": cases.step_cases,
    "probability-flow": cases.step_cases,
    "tweedie": cases.tweedie_cases,
    "dsm-loss": cases.loss_cases,
}


@final
@dataclass(frozen=True)
class Verdict:
    """What a check says.

    Attributes:
        passed: whether the answer is right.
        slip: the name of the slip that was made, or None: the answer is right, or could not be run.
        message: what looks wrong, and its measured effect.
        evidence: the numbers of the message, by name.
    """

    passed: bool
    slip: str | None
    message: str
    evidence: Mapping[str, float] = field(default_factory=dict)


def check(name: str, code: str) -> Verdict:
    """Check code: an expression or a few assignments.

    Args:
        name: of the exercise, a key of `EXERCISES`.
        code: what was written; it is interpreted over a list of allowed words, never given to Python.

    Returns:
        The verdict; it has a message for whatever the code is, and nothing is raised for it.

    Raises:
        ValueError: there is no such exercise.
    """
    _known(name)
    meter = Meter()
    try:
        program = read(code)
        return _judge(name, lambda case: program.run(scope(case), meter))
    except ShapeError as error:
        return Verdict(False, "shape", str(error))
    except Refusal as refusal:
        return Verdict(False, None, str(refusal))
    except RecursionError:
        return Verdict(False, None, _("This is nested too deeply."))


def check_function(name: str, fn: Callable[..., Any]) -> Verdict:
    """Check a function, as in a notebook.

    Its arguments are found by their names, which are those in scope of the exercise, in any order and as few as it needs. It is
    given torch tensors, or NumPy arrays where it cannot take tensors. For `dsm-loss` it may draw t and z itself, as in the
    notebook, `loss_fn(model, x, sigma_t_fun, eps)`: the time first, by `torch.rand`, then the noise, by `torch.randn_like`.

    Args:
        name: of the exercise, a key of `EXERCISES`.
        fn: the function; what it raises is raised.

    Returns:
        The verdict.

    Raises:
        ValueError: there is no such exercise.
    """
    _known(name)
    try:
        arguments = _arguments(name, fn)
        return _judge(name, lambda case: _call(fn, arguments, case))
    except Refusal as refusal:
        return Verdict(False, None, str(refusal))


def _known(name: str) -> None:
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")


def scope(case: Case) -> dict[str, Any]:
    """The names that code finds on a case, as `Program.run` takes them: arrays and numbers as they are, functions wrapped.

    Args:
        case: such as `cases.step_case` makes.
    """
    named = {word: value for word, value in case.items() if not word.startswith("_")}
    return {word: Function(word, value.metered) if isinstance(value, Given) else value for word, value in named.items()}


# A function from a notebook

NOTEBOOK_NAMES = {"sigma_t_fun": "sigma", "Lambda": "lam", "lamda": "lam", "score_fn": "model"}


def _arguments(name: str, fn: Callable[..., Any]) -> dict[str, str]:
    """The name in scope for each argument of a function that needs one."""
    known = [*EXERCISES[name].scope, *(["eps"] if name == "dsm-loss" else [])]
    found = {}
    for word, parameter in inspect.signature(fn).parameters.items():
        meaning = word if word in known else NOTEBOOK_NAMES.get(word, word)
        if meaning in known and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            found[word] = meaning
        elif parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            text = _("The function has an argument “{word}”, which is not known here. Known names: {names}.")
            raise Refusal(text.format(word=word, names=", ".join(known)))
    return found


def _call(fn: Callable[..., Any], arguments: Mapping[str, str], case: Case) -> Any:
    """Call a function in the first of three spellings that it can take."""
    given = {"eps": cases.SMALLEST_TIME, **case}
    with torch.random.fork_rng(devices=[]):
        for convert in (_tensor_unless_number, _tensor):
            try:
                torch.manual_seed(case.get("_seed", 0))
                return _plain(fn(**{word: convert(given[meaning]) for word, meaning in arguments.items()}))
            except (TypeError, AttributeError):  # torch.sqrt takes no float, and np.sum no tensor
                continue
        torch.manual_seed(case.get("_seed", 0))
        return _plain(fn(**{word: _array(given[meaning]) for word, meaning in arguments.items()}))


def _array(value: Any) -> Any:
    """A value as NumPy has it; the function may change its own copy."""
    return value.copy() if isinstance(value, Array) else value


def _tensor_unless_number(value: Any) -> Any:
    """Arrays as tensors, and numbers as they are."""
    if isinstance(value, Given):
        return lambda *values: _tensor_unless_number(value(*map(_plain, values)))
    return _tensor(value) if isinstance(value, Array) else value


def _tensor(value: Any) -> Any:
    """Arrays and numbers as tensors; functions take and return tensors."""
    if isinstance(value, Given):
        return lambda *values: _tensor(value(*map(_plain, values)))
    return torch.tensor(value, dtype=torch.float64)


def _plain(value: Any) -> Any:
    """A float or an array of what a function gave."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, Array | np.generic | int) and not isinstance(value, bool):
        return tidy(np.asarray(value, dtype=float))
    return value


# The verdict


def _judge(name: str, run: Run) -> Verdict:
    formula, given = FORMULAS[name], CASES[name]()
    answers = [_answer(run(case)) for case in given]
    rights = [formula.value(case) for case in given]
    if _agree(answers, rights):
        return _passed(name, run, "")
    for change, remark in formula.accepted:
        if _agree(answers, [formula.value(change(case)) for case in given]):
            return _passed(name, run, remark)
    for change, slips in _likely(name, answers[-1], rights[-1]):
        if _agree(answers, [formula.value(change(case), _replaced(slips)) for case in given]):
            return _slipped(name, run, slips, _wrong_shape(name, answers, rights))
    return _unknown(name, run, answers, rights)


def _replaced(slips: tuple[Slip, ...]) -> dict[str, Any]:
    return {part: term for slip in slips for part, term in slip.replaced.items()}


Guess = tuple[Callable[[Case], Case], tuple[Slip, ...]]


class Guesses(NamedTuple):
    """What wrong answers of one shape give on the last case of an exercise.

    Attributes:
        guesses: how each is wrong.
        values: what each gives, in a row.
        sizes: of each row, a column.
    """

    guesses: list[Guess]
    values: Array
    sizes: Array


@cache
def _guesses(name: str) -> Mapping[tuple[int, ...], Guesses]:
    """Every slip and every two slips, in the right answer and in the other accepted ones, by the shape of what they give."""
    formula, last = FORMULAS[name], CASES[name]()[-1]
    changes = [_unchanged, *(change for change, _remark in formula.accepted)]
    by_shape: dict[tuple[int, ...], list[tuple[Guess, Array]]] = {}
    for slips in formula.mistakes():
        for change in changes:
            value = np.asarray(formula.value(change(last), _replaced(slips)), dtype=float)
            by_shape.setdefault(value.shape, []).append(((change, slips), value.ravel()))
    return {
        shape: Guesses([g for g, _v in found], np.stack([v for _g, v in found]), np.array([[_size(v)] for _g, v in found]))
        for shape, found in by_shape.items()
    }


def _likely(name: str, answer: float | Array, right: Any) -> list[Guess]:
    """The guesses that give this answer on the last case, all compared at once."""
    found = _guesses(name).get(np.shape(answer))
    if found is None:
        return []
    value = np.ravel(answer)
    with np.errstate(all="ignore"):
        tolerance = CLOSE * (np.maximum(found.sizes, max(_size(right), 1e-6)) + np.abs(found.values))
        near = (np.abs(found.values - value) <= tolerance) | (found.values == value) | (np.isnan(found.values) & np.isnan(value))
    return [guess for guess, all_near in zip(found.guesses, near.all(1), strict=True) if all_near]


def _unchanged(case: Case) -> Case:
    return case


def _answer(value: Any) -> float | Array:
    """The answer, if it is a number or an array."""
    if value is ...:
        raise Refusal(_(UNFINISHED))
    if value is None:
        raise Refusal(_("There is no answer: write an expression, or assign it to answer, x_next or loss."))
    if isinstance(value, Function):
        raise Refusal(_("The answer is the function “{word}” itself: call it, with brackets.").format(word=value.name))
    if isinstance(value, bool) or not isinstance(value, int | float | Array):
        raise Refusal(_("The answer must be a number or an array."))
    return value if isinstance(value, Array) else float(value)


def _close(answer: float | Array, other: Any, right: Any) -> bool:
    """Whether an answer equals another, to within rounding of their size and of the right answer's."""
    if np.shape(answer) != np.shape(other):
        return False
    with np.errstate(all="ignore"):
        tolerance = CLOSE * max(_size(right), _size(other), 1e-6)
        return bool(np.allclose(answer, other, rtol=CLOSE, atol=tolerance, equal_nan=True))


def _size(value: Any) -> float:
    """The mean absolute value of the finite numbers; 0 if there are none."""
    found = np.abs(np.asarray(value, dtype=float))
    found = found[np.isfinite(found)]
    return float(min(found.mean(), LARGEST)) if found.size else 0.0


def _agree(answers: list[Any], rights: list[Any]) -> bool:
    return all(_close(answer, right, right) for answer, right in zip(answers, rights, strict=True))


def _passed(name: str, run: Run, remark: str) -> Verdict:
    effect = effects.measure(name, run)
    return Verdict(True, None, _joined([_("Right."), _(remark), effect.sentence]), effect.evidence)


def _slipped(name: str, run: Run, slips: tuple[Slip, ...], shape: str) -> Verdict:
    effect = effects.Effect(shape, {}) if shape else effects.measure(name, run)
    first, *others = slips
    more = [_("There is a second slip. {question}").format(question=_(slip.question)) for slip in others]
    return Verdict(False, first.name, _joined([effect.sentence, _(first.question), *more]), effect.evidence)


def _joined(sentences: list[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


WRONG_PART = {
    "drift": N_("Is the score term right? It does not tend to what the equation says as dt becomes small."),
    "noise": N_("Is the noise term right? Its variance is not what the equation says as dt becomes small."),
}


def _unknown(name: str, run: Run, answers: list[Any], rights: list[Any]) -> Verdict:
    """The verdict on an answer that equals no known one."""
    shape = _wrong_shape(name, answers, rights)
    if shape:
        return Verdict(False, "shape", shape)
    if not all(np.isfinite(answer).all() for answer in answers):
        text = _(
            "The answer is not finite everywhere: is something divided by 0, or a root or logarithm taken of a negative number?"
        )
        return Verdict(False, "not-finite", text)
    if name in effects.STEPS:
        wrong = effects.inconsistent(name, run)
        if wrong is None:
            return _passed(
                name, run, N_("This is not the usual step, but it is right too: its error vanishes as dt becomes small.")
            )
        effect = effects.measure(name, run)
        return Verdict(False, f"{wrong}-term", _joined([effect.sentence, _(WRONG_PART[wrong])]), effect.evidence)
    effect = effects.measure(name, run)
    factor = _factor(answers, rights)
    if factor is not None:
        text = _("The answer is {factor} times the right one everywhere.").format(factor=f"{factor:.3g}")
        return Verdict(False, "factor", _joined([effect.sentence, text]), {**effect.evidence, "factor": factor})
    return Verdict(
        False,
        "other",
        _joined([effect.sentence, _("This is none of the known slips: compare with the formula.")]),
        effect.evidence,
    )


def _wrong_shape(name: str, answers: list[Any], rights: list[Any]) -> str:
    """What to say of an answer of a wrong shape; nothing of others."""
    for answer, right in zip(answers, rights, strict=True):
        if np.shape(answer) != np.shape(right):
            text = _("The answer has shape {found} where {right} is right: it should be {answer}.")
            return text.format(found=np.shape(answer), right=np.shape(right), answer=_(EXERCISES[name].answer))
    return ""


def _factor(answers: list[Any], rights: list[Any]) -> float | None:
    """The one number that the right answers would have to be multiplied by, if there is one."""
    found, right = (np.concatenate([np.ravel(one) for one in values]) for values in (answers, rights))
    with np.errstate(over="ignore", invalid="ignore"):  # answers may be as large as numbers get; then there is no such factor
        factor = float(found @ right / (right @ right))
    if not factor or not np.isfinite(factor):
        return None
    return factor if np.allclose(found, factor * right, rtol=CLOSE, atol=CLOSE * abs(factor)) else None
