"""The learner's own feedback: kept in the session only, and handed over as a file."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from scoredm.language import _, ngettext
from scoredm.ui import attempts

KEPT = "_feedback"  # session state: page name -> what the reader said about it
ANSWERS = "_feedback_answers"  # session state: (lesson, stop) -> the reader's own answer to its question
OPENED = "_feedback_opened"  # session state: the pages whose form has been open
MAX_CHARS = 2000
STARS = 5


def feedback(name: str) -> None:
    """Ask how clear a page was and what to change; name: a page's name, as in its file."""
    kept: dict[str, dict[str, Any]] = st.session_state.setdefault(KEPT, {})
    said = kept.get(name, {})
    place = st.expander(_("Your feedback"), icon=":material/rate_review:", key=f"feedback-place-{name}", on_change="rerun")
    opened: set[str] = st.session_state.setdefault(OPENED, set())
    if place.open:
        opened.add(name)
    if name not in opened:  # the form costs every rerun; once it has been open it stays, with what was typed
        return
    with place:
        st.caption(
            _(
                "The app keeps your words in memory for this visit only; they are gone when you close the tab. Keep them, "
                "download the file, and hand it to your lecturer."
            )
        )
        with st.form(f"feedback-{name}", border=False, enter_to_submit=False):
            st.markdown(_("How clear was this page?"))
            stars = st.feedback("stars", default=said.get("stars", 0) - 1 if said.get("stars") else None, key=f"stars-{name}")
            words = st.text_area(
                _("What helped, what got in the way?"),
                said.get("words", ""),
                max_chars=MAX_CHARS,
                height=100,
                key=f"words-{name}",
            )
            if st.form_submit_button(_("Keep"), icon=":material/bookmark:", key=f"keep-{name}"):
                _keep(kept, name, stars, words)
                st.success(_("Kept for this visit.") if name in kept else _("There was nothing to keep."))
        answers, done = list(st.session_state.get(ANSWERS, {}).values()), attempts.record()
        if kept or answers or done:
            n = len(kept) + len(answers) + len(done)
            label = ngettext("Download my feedback ({n} entry)", "Download my feedback ({n} entries)", n)
            st.download_button(
                label.format(n=n),
                as_file(kept, answers, done),
                file_name="scoredm-feedback.json",
                mime="application/json",
                key=f"feedback-file-{name}",
                icon=":material/download:",
                on_click="ignore",
            )


def _keep(kept: dict[str, dict[str, Any]], name: str, stars: int | None, words: str | None) -> None:
    """Remember an answer together with the link's settings it was given at; forget it where it was emptied."""
    if stars is None and not (words or "").strip():
        kept.pop(name, None)
        return
    kept[name] = {
        "stars": None if stars is None else stars + 1,
        "words": (words or "").strip(),
        "settings": st.query_params.to_dict(),
        "time": _now(),
    }


def write_answer(lesson: str, stop: int, question: str) -> None:
    """Let the reader answer the question of a stop, and keep the answer for the file.

    Args:
        lesson: its name.
        stop: from 1.
        question: as the lesson asks it.
    """
    answers: dict[tuple[str, int], dict[str, Any]] = st.session_state.setdefault(ANSWERS, {})
    said, key = answers.get((lesson, stop), {}), f"{lesson}-{stop}"
    with st.form(f"answer-{key}", border=False, enter_to_submit=False):
        words = st.text_area(_("Your answer"), said.get("answer", ""), max_chars=MAX_CHARS, height=120, key=f"answer-words-{key}")
        if st.form_submit_button(_("Keep"), icon=":material/bookmark:", key=f"answer-keep-{key}"):
            if (words or "").strip():
                asked = {"lesson": lesson, "stop": stop, "question": question}
                answers[lesson, stop] = asked | {"answer": words.strip(), "time": _now()}
                st.success(_("Kept for this visit. *Your feedback*, at the foot of every page, downloads it."))
            else:
                answers.pop((lesson, stop), None)
                st.success(_("There was nothing to keep."))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="minutes")


def as_file(
    kept: Mapping[str, Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]] = (),
    done: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The reader's words as a JSON text: one entry a page, one for each question of a lesson, and one for each exercise.

    Args:
        kept: {page: what was said about it}.
        answers: to the questions of lessons.
        done: {exercise: what was done about it}.
    """
    told = {"pages": kept, "answers": answers, "exercises": done or {}}
    content = {"feedback on": "scoredm", "stars out of": STARS, **told}
    return json.dumps(content, ensure_ascii=False, indent=2)
