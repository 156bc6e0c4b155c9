"""The box in which a page asks its reader to predict a number, and then shows prediction and answer together.

    if predict.ask(screens.predictions.MERGING, result, lambda: result, about=experiment):
        st.markdown(forward.merging(result))

It never blocks: *Show me* shows the answer at once, and `predict=off` in the link leaves out all questions.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from scoredm import screens
from scoredm.address import TABLE
from scoredm.language import _
from scoredm.ui import controls, show

if TYPE_CHECKING:
    from scoredm.screens.predictions import Answer, Posed, Question, Value

KEPT = "_predictions"  # session state: name of a question -> the reader's response
NIL = 1e-9  # a coordinate nearer to 0 differs from it by rounding
PARAMETER = TABLE["reader"]["predict"]

Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Response:
    """What the reader did with a question.

    Args:
        posed: the question as it was asked.
        about: what the answer belongs to, such as the experiment.
        guess: the reader's prediction; None after *Show me*.
        truth: the right answer; None while it is not known.
    """

    posed: "Posed"
    about: Hashable
    guess: "Value | None"
    truth: "Value | None" = None


def wanted() -> bool:
    """Whether this reader is asked for predictions."""
    return controls.chosen(PARAMETER.name) != "off"


def ask(
    question: "Question[Given, Found]",
    given: Given,
    find: Callable[[], Found],
    *,
    about: Hashable,
    act: Callable[[], object] | None = None,
) -> bool:
    """Draw the box of a question, or the reader's prediction beside the answer.

    Args:
        question: one of `screens.predictions`.
        given: what is on screen, of which the question is made.
        find: computes what the answer is read from; it is called once, when the reader wants the answer.
        about: what the answer belongs to, such as the experiment.
        act: what the reader's press does besides, such as to start a run whose result is the answer.

    Returns:
        Whether the page may show what the question asks for.
    """
    if not wanted():
        return True
    response = _kept().get(question.name)
    if response is None or (response.truth is None and response.about != about):
        posed = question.pose(given)
        if posed is not None:
            _draw_question(question, posed, about, act)
        return posed is None
    if response.truth is None:
        with st.spinner(_("Computing the answer…"), show_time=False):
            response = replace(response, truth=question.truth(find()))
        _kept()[question.name] = response
    _draw_answer(question, response, about)
    return True


def _kept() -> dict[str, Response]:
    return st.session_state.setdefault(KEPT, {})


# The question


def _draw_question(question: "Question[Any, Any]", posed: "Posed", about: Hashable, act: Callable[[], object] | None) -> None:
    """The question over its control, and the buttons beside it; nothing is run again before a button is pressed."""
    words = _filled(question.text, posed.values)
    with st.form(f"predict-{question.name}"):
        st.markdown(_(":material/psychology_alt: **Predict first** · {question}").format(question=words))
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            _control(question, posed.answer, words)
            args = (question.name, posed, about, act)
            st.form_submit_button(_("Check"), on_click=_check, args=args, key=f"check-{question.name}", type="primary")
            st.form_submit_button(_("Show me"), on_click=_show, args=args, key=f"show-{question.name}", type="tertiary")


def _control(question: "Question[Any, Any]", answer: "Answer", label: str) -> None:
    """The widget of a prediction, whose label is heard and not seen; a place has none, the page's own probe is there."""
    kinds = screens.predictions
    named: dict[str, Any] = {"key": _key(question.name), "label_visibility": "collapsed"}
    match answer:
        case kinds.Slider(low, high, step):
            middle = low + step * round((high - low) / 2 / step)
            st.slider(label, low, high, middle, step, format=_format(step), **named)
        case kinds.Scale(numbers):
            middle = numbers[len(numbers) // 2]
            st.select_slider(label, numbers, middle, format_func=_short, **named)
        case kinds.Options(titles):
            shown = {name: _titled(title) for name, title in titles.items()}
            st.pills(label, list(shown), format_func=shown.__getitem__, wrap=True, width="stretch", **named)
        case kinds.Place(x):
            st.markdown(_("Your point: {place}").format(place=_place(x)))


def _key(name: str) -> str:
    """Where the session keeps the value of a question's widget."""
    return f"guess-{name}"


def _format(step: float) -> str:
    """The printf format that shows multiples of a step."""
    return f"%.{max(0, len(f'{step:.10f}'.rstrip('0').partition('.')[2]))}f"


def _check(name: str, posed: "Posed", about: Hashable, act: Callable[[], object] | None) -> None:
    answer = posed.answer
    guess = answer.x if isinstance(answer, screens.predictions.Place) else st.session_state.get(_key(name))
    if guess is not None:  # Check without a choice: the question stays
        _answer(name, Response(posed, about, guess), act)


def _show(name: str, posed: "Posed", about: Hashable, act: Callable[[], object] | None) -> None:
    _answer(name, Response(posed, about, None), act)


def _answer(name: str, response: Response, act: Callable[[], object] | None) -> None:
    _kept()[name] = response
    if act is not None:
        act()


# The answer


def _draw_answer(question: "Question[Any, Any]", response: Response, about: Hashable) -> None:
    """Prediction and answer together; for other settings than the present ones, with a button to predict again."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"predicted-{question.name}"):
        if response.about == about:
            st.markdown(_answered(question, response))
            return
        st.caption(_answered_before(response))
        st.button(_("Predict again"), on_click=_forget, args=(question.name,), key=f"again-{question.name}", type="tertiary")


def _forget(name: str) -> None:
    _kept().pop(name, None)


def _answered(question: "Question[Any, Any]", response: Response) -> str:
    """What is said under the settings that the question was about."""
    wait = _filled(question.wait, response.posed.values)
    match response.guess, response.truth:
        case None, None:
            return wait
        case _guess, None:
            words = _("You predict **{guess}**. {wait}")
        case None, _truth:
            words = _("Answer: **{truth}**. {because}")
        case _:
            words = _("You predicted **{guess}**, the answer is **{truth}**. {because}")
    return words.format(**_both(response), wait=wait, because=_(question.because))


def _answered_before(response: Response) -> str:
    words = (
        _("With other settings you predicted {guess}, and the answer was {truth}.")
        if response.guess is not None
        else _("With other settings the answer was {truth}.")
    )
    return words.format(**_both(response))


def _both(response: Response) -> dict[str, str]:
    """Prediction and answer in words."""
    guess, truth, posed = response.guess, response.truth, response.posed
    return {"guess": _written(guess, posed, _short), "truth": _written(truth, posed, show.number)}


def _written(value: "Value | None", posed: "Posed", number: Callable[[float], str]) -> str:
    """A prediction or an answer in the page's own units; number: writes numbers that are no titles."""
    kinds = screens.predictions
    match value, posed.answer:
        case None, _kind:
            return ""
        case str(), kinds.Options(titles):
            return _titled(titles[value])
        case tuple(), _kind:
            return _place(value)
        case float() | int(), kinds.Slider() | kinds.Scale():
            return _(posed.answer.words).format(value=number(value))
    raise TypeError(f"{value!r} does not answer with a {type(posed.answer).__name__}")


def _titled(title: str | float) -> str:
    if isinstance(title, str):
        return _(title)
    return _short(title) if title == int(title) else show.number(title)


def _short(value: float) -> str:
    """A number of a control: as it is where that is short."""
    return show.minus(f"{value:.3g}")


def _place(x: tuple[float, ...]) -> str:
    return f"({', '.join(show.number(value if abs(value) > NIL else 0) for value in x)})"


def _filled(text: str, values: "Mapping[str, float | str]") -> str:
    """A text in the reader's language with numbers in its places; whole ones without decimals."""
    shown = {
        name: value if isinstance(value, str) else str(value) if isinstance(value, int) else show.number(value)
        for name, value in values.items()
    }
    return _(text).format(**shown)
