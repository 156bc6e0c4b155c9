"""Lessons: where the reader is, the strip at the top of every page, and the list on *Home*."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from scoredm import language, lessons
from scoredm.language import _, ngettext
from scoredm.lessons import Lesson, LessonError, Stop
from scoredm.markdown import as_text
from scoredm.parameters import plain
from scoredm.ui import controls, feedback, prose, reader
from scoredm.ui.lesson.timer import timer

PLACE = "_lesson"  # session state: the Place, or None
SHOWN = "_lesson_shown"  # session state: page -> the last stop that was shown there, for the browser's Back
PROBLEM = "_lesson_problem"  # session state: what was wrong with the lesson in the link

# What a stop may hide -> how, in CSS; the lead and the sections are not drawn at all.
HIDDEN: Mapping[str, str] = {
    "experiment": '.stSidebar [data-testid="stSidebarUserContent"]',
    "controls": ".stMain :is(.stSlider, .stNumberInput, .stSelectbox, .stMultiSelect, .stButtonGroup, .stCheckbox, .stTextInput)"
    ':not([data-testid="stForm"] *)',  # a prediction is no control of the screen
}
STYLE = """<style>
.st-key-lesson {border-color: var(--st-primary-color, #0072B2); padding: 0.5rem 0.9rem; margin-top: 0.4rem;}
.st-key-lesson [data-testid="stVerticalBlock"] {gap: 0.2rem;}
.st-key-lesson p {margin-bottom: 0.2rem;}
.st-key-lesson button {min-height: 1.9rem; padding-block: 0.1rem;}
</style>"""


@dataclass(frozen=True)
class Place:
    """Where a reader is: the name of a lesson, and a stop, from 1."""

    name: str
    stop: int


# What the app's frame asks


def begin(page: str) -> None:
    """Take up what the link says of a lesson, when a visit begins, and find the stop again when the reader goes back.

    Args:
        page: that was asked for.
    """
    state = st.session_state
    if state.get(controls.PAGE) not in (None, page):
        state[PROBLEM] = ""
    if PLACE not in state:
        state[PLACE] = _asked()
        if state[PLACE] and page == "home" and not set(st.query_params) - reader.names():
            _open(state[PLACE])  # a link that names a lesson and nothing else leads to the stop's own screen
    elif state[PLACE] and controls.went_back():
        there: Place = state.get(SHOWN, {}).get(page, state[PLACE])
        if there != state[PLACE] and there.name == state[PLACE].name:
            _open(there)


def note() -> None:
    """Keep the lesson and the stop in the address, and in every link of the page."""
    place: Place | None = st.session_state[PLACE]
    controls.keep(reader.LESSON, place.name if place else reader.LESSON.default)
    controls.keep(reader.STOP, place.stop if place else reader.STOP.default)
    stop = _present()
    if stop is not None and stop.link.page == controls.page():
        st.session_state.setdefault(SHOWN, {})[controls.page()] = place


def query() -> dict[str, str]:
    """What the address says of the lesson, for a page that is left."""
    return {name: st.query_params[name] for name in (reader.LESSON.name, reader.STOP.name) if name in st.query_params}


def hides(what: str) -> bool:
    """Whether the present stop hides something, on its own page.

    Args:
        what: a name from `lessons.HIDABLE`.
    """
    stop = _present()
    return stop is not None and stop.link.page == controls.page() and what in stop.hide


def running() -> bool:
    """Whether the reader is in a lesson."""
    return st.session_state.get(PLACE) is not None


def _asked() -> Place | None:
    """The lesson and stop that the link names; what is wrong with them is kept to be said."""
    read = {
        parameter: parameter.read_all(st.query_params.get_all(parameter.name))
        for parameter in (reader.LESSON, reader.STOP)
        if parameter.name in st.query_params
    }
    complaints = [
        _("{label}: {complaint}.").format(label=_(parameter.label), complaint=as_text(reading.complaint))
        for parameter, reading in read.items()
        if reading.complaint
    ]
    name = read[reader.LESSON].value if reader.LESSON in read else reader.LESSON.default
    if reader.STOP in read and reader.LESSON not in read:
        complaints.append(_("The link names a stop but no lesson."))
    st.session_state[PROBLEM] = "  \n".join(complaints)
    if name == reader.LESSON.default:
        return None
    return _within(Place(name, read[reader.STOP].value if reader.STOP in read else 1))


def _within(place: Place) -> Place:
    """The place, or the last stop of its lesson where that has fewer; then the page says so."""
    try:
        lesson = lessons.read(language.lesson_file(place.name))
    except LessonError:
        return place  # the strip says what is wrong
    last = len(lesson.stops)
    if place.stop <= last:
        return place
    words = _("The link asks for a later stop than *{lesson}* has. This is its last, stop {n}.").format(
        lesson=lesson.title, n=last
    )
    st.session_state[PROBLEM] = "  \n".join(filter(None, [st.session_state.get(PROBLEM), words]))
    return Place(place.name, last)


def _present() -> Stop | None:
    """The stop at which the reader is; None where there is none, or where its lesson cannot be read."""
    place: Place | None = st.session_state.get(PLACE)
    if place is None:
        return None
    try:
        return lessons.read(language.lesson_file(place.name)).stops[place.stop - 1]
    except (LessonError, IndexError):
        return None


# From stop to stop


def go(name: str, stop: int) -> None:
    """Go to a stop and set its whole screen, before the widgets are drawn.

    Args:
        name: of a lesson.
        stop: from 1.
    """
    st.session_state[PROBLEM] = ""
    st.session_state[PLACE] = _within(Place(name, stop))
    _open(st.session_state[PLACE])


def _open(place: Place) -> None:
    st.session_state[PLACE] = place
    stop = _present()
    if stop is not None:
        controls.open_screen(stop.link)


def leave() -> None:
    """End the lesson; the screen stays as it is."""
    st.session_state[PLACE], st.session_state[PROBLEM] = None, ""


# What readers see


def strip() -> None:
    """Draw the strip of the present stop, if the reader is in a lesson."""
    if st.session_state.get(PROBLEM):
        st.warning(st.session_state[PROBLEM], icon=":material/info:")
    place: Place | None = st.session_state[PLACE]
    if place is None:
        return
    try:
        lesson = lessons.read(language.lesson_file(place.name))
    except LessonError as error:
        st.error(_("The lesson cannot be read. {fault}").format(fault=as_text(str(error))))
        st.button(_("Leave"), on_click=leave, icon=":material/close:", key="lesson-leave")
        return
    stop = lesson.stops[min(place.stop, len(lesson.stops)) - 1]
    st.html(STYLE + "".join(f"<style>{css} {{display: none;}}</style>" for what, css in HIDDEN.items() if hides(what)))
    with st.container(border=True, key="lesson", gap="xsmall"):
        _bar(lesson, place, stop)
        prose.write(f"{stop.text}\n\n**{stop.question}**")
        _discussion(place, stop)


def _bar(lesson: Lesson, place: Place, stop: Stop) -> None:
    """Where the reader is, the time, and the ways back, on and out."""
    last = place.stop == len(lesson.stops)
    with st.container(horizontal=True, vertical_alignment="center", key="lesson-bar"):
        where = _("{lesson} · {n} of {total}").format(lesson=lesson.title, n=place.stop, total=len(lesson.stops))
        st.markdown(f":primary[{where}]  \n**{stop.title}**", width="stretch")
        timer(f"{place.name}-{place.stop}", stop)
        st.button(
            _("Back"),
            on_click=go,
            args=(place.name, place.stop - 1),
            disabled=place.stop == 1,
            icon=":material/arrow_back:",
            key="lesson-back",
        )
        if last:
            st.button(_("End the lesson"), on_click=leave, type="primary", icon=":material/flag:", key="lesson-next")
        else:
            args = place.name, place.stop + 1
            st.button(_("Next"), on_click=go, args=args, type="primary", icon=":material/arrow_forward:", key="lesson-next")
        st.button(_("Leave"), on_click=leave, icon=":material/close:", type="tertiary", key="lesson-leave")


def _discussion(place: Place, stop: Stop) -> None:
    """Write yours, one answer, what the teacher says, and the way back to the stop's own screen."""
    with st.container(horizontal=True, vertical_alignment="center", key="lesson-more"):
        with st.popover(_("Write yours"), icon=":material/edit:"):
            feedback.write_answer(place.name, place.stop, stop.question)
        if stop.answer:
            with st.popover(_("Show an answer"), icon=":material/lightbulb:"):
                prose.write(stop.answer)
        if stop.teacher:
            with st.popover(_("For the teacher"), icon=":material/school:"):
                prose.write(stop.teacher)
        help = _("Sets the screen as this stop shows it, after you changed something or went to another page")
        st.button(
            _("This stop's screen"),
            on_click=go,
            args=(place.name, place.stop),
            icon=":material/refresh:",
            type="tertiary",
            help=help,
            key="lesson-again",
        )


def offer() -> None:
    """Draw a button for each lesson, which begins it."""
    for lesson in _all():
        if isinstance(lesson, LessonError):
            st.error(_("This lesson cannot be read. {fault}").format(fault=as_text(str(lesson))))
            continue
        key = f"lesson-start-{lesson.name}"
        st.button(lesson.title, on_click=go, args=(lesson.name, 1), icon=":material/school:", key=key)


def offered() -> str:
    """What lessons are, and for whom each is and how long it takes, in Markdown."""
    about = _("**Lessons.** The app sets every screen; you look, think and press *Next*.")
    known = [_in_a_line(lesson) for lesson in _all() if isinstance(lesson, Lesson)]
    return "\n".join([about, "", *known])


def _all() -> list[Lesson | LessonError]:
    """Each lesson, or what is wrong with it."""
    found: list[Lesson | LessonError] = []
    for name in language.lesson_names():
        try:
            found.append(lessons.read(language.lesson_file(name)))
        except LessonError as error:
            found.append(error)
    return found


def _in_a_line(lesson: Lesson) -> str:
    minutes = ngettext("{n} minute", "{n} minutes", round(lesson.minutes)).format(n=plain(lesson.minutes))
    stops = ngettext("{n} stop", "{n} stops", len(lesson.stops)).format(n=len(lesson.stops))
    told = _("{minutes}, {stops}. For {audience}.").format(minutes=minutes, stops=stops, audience=lesson.audience)
    return f"- **{lesson.title}**: {told}"
