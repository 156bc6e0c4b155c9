"""The quiz on *Home*: each choice gets a word at once, and nothing is kept."""

import streamlit as st

from scoredm import language, quiz
from scoredm.language import _
from scoredm.lessons import LessonError
from scoredm.markdown import as_text
from scoredm.quiz import Question
from scoredm.ui import prose


def show() -> None:
    """Draw the questions, and how many are right so far."""
    try:
        questions = quiz.read(language.prose_file("home/quiz"))
    except LessonError as error:
        st.error(_("The quiz cannot be read. {fault}").format(fault=as_text(str(error))))
        return
    with st.container(border=True, key="quiz-questions"):
        right = [_ask(number, question) for number, question in enumerate(questions, start=1)]
        st.markdown(_("**{right} of {n} right.**").format(right=sum(right), n=len(questions)))


def _ask(number: int, question: Question) -> bool:
    """Draw a question; return whether the right choice is chosen."""
    options = [option.text for option in question.options]
    label = _("{number} · {question}").format(number=number, question=question.text)
    chosen = st.radio(label, options, index=None, key=f"quiz-{number}")
    if chosen is None:
        return False
    option = question.options[options.index(chosen)]
    icon = ":green[:material/check_circle:]" if option.right else ":red[:material/cancel:]"
    prose.write(f"{icon} {option.word}")
    return option.right
