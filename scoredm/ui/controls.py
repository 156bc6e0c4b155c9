"""Widgets over the address table: bounded, kept in the link, with a plain message where a link asked for something not allowed.

Streamlit's own binding fills a widget from the link and drops what it cannot use without a word. Here the value is read first:
what is out of range becomes the nearest allowed value, what cannot be read becomes the default, and the page says so.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.scriptrunner import get_script_run_ctx

from scoredm.address import PAGES, SHARED, TABLE, Link, parameters, write_link
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.parameters import Choice, Number, Parameter, Several, Switch, Text, plain, shortened
from scoredm.ui import received

NOTICES = "_notices"  # session state: name -> (message, the value that is used instead)
PAGE = "_page"  # session state: the page of the last run
KEPT = "_kept"  # session state: (page or "" for all, name) -> value, for when the reader comes back to a page
BACK = "_back"  # session state: whether the run before this one was the browser's Back or Forward
NEXT = "_next"  # session state: the page that a button leads to
CHANGED = "_changed"  # session state: what the last preset changed

Widget = Literal["slider", "input", "segmented", "selectbox", "radio"]


@dataclass
class _Run:
    """What one run of a page knows of its widgets; every run has a thread of its own."""

    page: str = "home"
    shared: bool = True  # whether the widgets being drawn are on every page
    arrived: bool = False  # whether the reader has just come from another page
    back: bool = False  # whether the browser's Back or Forward led here
    values: dict[str, tuple[Parameter, Any]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    notices: Any = None
    shows_link: bool = False  # whether the page has the link on it, or what is made of it


_thread = threading.local()


def _run() -> _Run:
    return _thread.run


def begin(page: str) -> None:
    """Start a run of a page: keep a place for messages, and notice when the reader has come from another page.

    In a run that the browser's Back or Forward asked for, Streamlit sets what the address does not say to its default. It often
    leaves an address without the page's values, so the page is run again as any other, and its widgets follow the address by
    themselves: what the address says counts, and the rest keeps its value.
    """
    if went_back():
        st.session_state[BACK] = True
        st.rerun()
    state = st.session_state
    _thread.run = _Run(page, arrived=state.get(PAGE) not in (None, page), back=state.pop(BACK, False), notices=st.empty())
    state[PAGE] = page
    say_refused()


def say_refused() -> None:
    """Say that something the browser sent was not used, if there was anything."""
    if received.take_refused():
        _say(_("Your browser sent a value that no control of this page can have. The control keeps the value it had."))


def enter_page() -> None:
    """From here on the widgets are the page's own; those before are on every page."""
    _run().shared = False


def part(draw: Callable[[], None]) -> None:
    """Draw a part of the page whose widgets draw this part alone again, in a fraction of the time of the whole page.

    Nothing outside may depend on its widgets. While the link is on screen, the whole page is drawn after it.

    Args:
        draw: draws the part.
    """
    run, times = _run(), count()

    def look() -> None:
        if not next(times):
            draw()
            return
        _thread.run, before = run, dict(run.values)
        run.arrived = run.back = False
        say_refused()
        draw()
        if run.shows_link and run.values != before:
            st.rerun()

    st.fragment(look)()


def page() -> str:
    """The page that is being drawn."""
    return _run().page


def link() -> str:
    """The link to this screen: every widget of this run whose value differs from its default, such as `forward?lam=5`."""
    _run().shows_link = True
    return write_link(_run().page, _run().values.values())


def query() -> str:
    """What follows the question mark in `link`."""
    return link().partition("?")[2]


def shared_query() -> str:
    """What a link to another page needs to show the same experiment, in the same language."""
    names = {parameter.name for part in SHARED for parameter in TABLE[part].values()}
    values = [(parameter, value) for parameter, value in _run().values.values() if parameter.name in names]
    return write_link("", values).partition("?")[2]


def chosen(name: str) -> Any:
    """The value of a parameter whose widget this run has drawn, by its name in a link."""
    return _run().values[name][1]


def carry(parameter: Parameter, value: Any) -> None:
    """Keep a value in the address and in the link, though no widget shows it, and say where the address asks for another."""
    _run().values[parameter.name] = parameter, value
    if complaint := _complaint(parameter):
        _say(notice(parameter, complaint, parameter.write(value)))
    if value != parameter.default and parameter.name not in st.query_params:
        st.query_params[parameter.name] = parameter.write(value)


def _complaint(parameter: Parameter) -> str | None:
    """What is wrong with what the address says of a parameter; None where nothing is."""
    asked = st.query_params.get_all(parameter.name)
    return parameter.read_all(asked).complaint if asked else None


def keep(parameter: Parameter, value: Any) -> None:
    """Write a value that a widget of our own shows into the address and the link; a default takes it out."""
    _run().values[parameter.name] = parameter, value
    name, text = parameter.name, parameter.write(value)
    if value == parameter.default:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def take(screen: str, name: str) -> None:
    """Read a choice that all pages share, from the link or from earlier in the visit; `switch` draws its control."""
    parameter = TABLE[screen][name]
    kept: dict[tuple[str, str], Any] = st.session_state.setdefault(KEPT, {})
    if parameter.name in st.query_params and (("", parameter.name) not in kept or _run().back):
        value, complaint = parameter.read_all(st.query_params.get_all(parameter.name))
        kept["", parameter.name] = value
        if complaint:
            _complain(parameter, complaint, value, parameter.write)
    value = kept.get(("", parameter.name), parameter.default)
    keep(parameter, value)
    _show_notice(parameter.name, value)


def switch(screen: str, name: str) -> None:
    """Draw the control of a choice that `take` has read."""
    parameter = TABLE[screen][name]
    assert isinstance(parameter, Choice)
    st.session_state[_switched(parameter)] = chosen(parameter.name)
    st.segmented_control(
        _(parameter.label),
        list(parameter.titles),
        required=True,
        format_func=lambda option: _(parameter.titles[option]),
        help=_(parameter.help) or None,
        key=_switched(parameter),
        on_change=_switch_over,
        args=(parameter,),
    )


def _switched(parameter: Parameter) -> str:
    """Where the session keeps what the control of a switched choice shows."""
    return f"switch-{parameter.name}"


def _switch_over(parameter: Parameter) -> None:
    st.session_state.setdefault(KEPT, {})["", parameter.name] = st.session_state[_switched(parameter)]


def go(page: str, values: Mapping[str, Any]) -> None:
    """Go to another page, as the next run begins, and give its widgets these values, {name in a link: value}."""
    st.session_state.setdefault(KEPT, {}).update({(page, name): value for name, value in values.items()})
    st.session_state[NEXT] = page


def next_page() -> str | None:
    """The page that a button asked for in this run, once."""
    return st.session_state.pop(NEXT, None)


def choose(
    screen: str,
    name: str,
    widget: Widget | None = None,
    *,
    only: Mapping[str, str] | None = None,
    unavailable: str = "",
    **options: Any,
) -> Any:
    """Draw the widget of a parameter, kept in the link, and return its value.

    Args:
        screen: a name from the address table.
        name: of the parameter in that part of the table.
        widget: the kind of widget; by default a slider for a number and a segmented control for a choice.
        only: the options of a choice that are offered here, {name: title}; all by default.
        unavailable: why the widget cannot be used here, in the reader's language: it is then greyed and says so on hover.
        options: of the Streamlit widget, such as `disabled` or `width`; for a number also `label` and a lower `high`.

    Returns:
        An int or float within its range, the name of an option, a tuple of names, a bool or a text.
    """
    parameter = TABLE[screen][name]
    if unavailable:
        parameter, options = replace(parameter, help=unavailable), {**options, "disabled": True}
    options = {"label_visibility": "visible", **options}
    match parameter:
        case Number():
            return _number(parameter, widget or "slider", options)
        case Choice():
            return _choice(parameter, widget or "segmented", only or parameter.titles, options)
        case Several():
            return _several(parameter, options)
        case Switch():
            return _switch(parameter, options)
        case Text():
            return _text(parameter, options)
    raise TypeError(f"there is no widget for a {type(parameter).__name__}")


def _number(parameter: Number, widget: Widget, options: dict[str, Any]) -> Any:
    _reconcile(parameter, parameter.default, str)
    make = st.number_input if widget == "input" else st.slider
    value: Any = make(
        options.pop("label", _(parameter.label)),
        parameter.low,
        options.pop("high", parameter.high),
        parameter.default,
        step=parameter.step,
        help=_(parameter.help) or None,
        format=parameter.format,
        key=parameter.name,
        bind="query-params",
        **options,
    )
    return _remember(parameter, int(value) if parameter.whole else float(value))


def _choice(parameter: Choice, widget: Widget, titles: Mapping[str, str], options: dict[str, Any]) -> str:
    every, parameter = parameter.titles, replace(parameter, options=titles)
    shown = {name: _(title) for name, title in titles.items()}
    names = list(titles)
    default = parameter.default if parameter.default in names else names[0]
    present = st.session_state.get(parameter.name, default)
    if present not in titles:  # it was offered for another experiment
        value, complaint = parameter.read(_(every.get(present, present)))
        if complaint:
            _complain(parameter, complaint, value, shown.__getitem__)
        st.session_state[parameter.name] = value
    _reconcile(parameter, default, shown.__getitem__)
    common: dict[str, Any] = {
        "format_func": shown.__getitem__,
        "key": parameter.name,
        "bind": "query-params",
        "help": _(parameter.help) or None,
        **options,
    }
    if widget == "segmented":
        name = st.segmented_control(_(parameter.label), names, default=default, required=True, **common)
    else:
        make = st.radio if widget == "radio" else st.selectbox
        name = make(_(parameter.label), names, index=names.index(default), **common)
    return _remember(parameter, name)


def _several(parameter: Several, options: dict[str, Any]) -> tuple[str, ...]:
    shown = {name: _(title) for name, title in parameter.titles.items()}
    default = list(parameter.default)
    _reconcile(parameter, default, lambda names: [shown[name] for name in names], repeated=True)
    chosen = st.multiselect(
        _(parameter.label),
        list(shown),
        default,
        format_func=shown.__getitem__,
        key=parameter.name,
        bind="query-params",
        help=options.pop("help", _(parameter.help) or None),
        **options,
    )
    if not chosen:  # nothing chosen would be a dead end: the page stays as it was
        chosen = st.session_state.get(KEPT, {}).get((_place(), parameter.name), parameter.default)
        names = ", ".join(shown[name] for name in chosen)
        st.caption(
            _("{label}: choose at least one. Until then the page shows {names}.").format(label=_(parameter.label), names=names)
        )
    return _remember(parameter, tuple(name for name in shown if name in chosen))


def _switch(parameter: Switch, options: dict[str, Any]) -> bool:
    _reconcile(parameter, parameter.default, parameter.write)
    on = st.toggle(
        _(parameter.label), parameter.default, key=parameter.name, bind="query-params", help=_(parameter.help) or None, **options
    )
    return _remember(parameter, on)


def _text(parameter: Text, options: dict[str, Any]) -> str:
    _reconcile(parameter, parameter.default, str)
    found = st.text_input(
        _(parameter.label),
        parameter.default,
        parameter.longest,
        key=parameter.name,
        bind="query-params",
        help=_(parameter.help) or None,
        **options,
    )
    return _remember(parameter, found)


def _reconcile(parameter: Parameter, default: Any, written: Callable[[Any], Any], *, repeated: bool = False) -> None:
    """Before a widget is first made, put what the link asks for within bounds, and say so if that changed it.

    A link that is corrected is read again from the top, so that Streamlit fills the widget from good values only. After the
    browser's Back or Forward a widget that is there already takes the address's value.

    Args:
        parameter: whose widget comes next.
        default: its value here where the link says nothing.
        written: a value as Streamlit itself writes it in a link.
        repeated: whether Streamlit repeats the name for each of several values.
    """
    name, state, run = parameter.name, st.session_state, _run()
    if name in st.query_params and (name not in state or run.back):
        asked = st.query_params.get_all(name)
        value, complaint = parameter.read_all(asked)
        if isinstance(value, tuple):
            value = list(value)
        if complaint:
            _complain(parameter, complaint, value, written)
        right = written(value) if repeated else [written(value)]
        if name in state:
            state[name] = value
        elif complaint or not _same(parameter, asked, right):
            st.query_params[name] = right if repeated else right[0]
            state[BACK] = run.back
            st.rerun()
    elif name not in st.query_params and (run.arrived or name not in state or run.back):
        _find_again(parameter, default, written)
    _show_notice(name, st.session_state.get(name))


def _complain(parameter: Parameter, complaint: str, value: Any, written: Callable[[Any], Any]) -> None:
    """Keep what is said of a link: what was wrong, and the value in use."""
    st.session_state.setdefault(NOTICES, {})[parameter.name] = (notice(parameter, complaint, _in_words(value, written)), value)


def notice(parameter: Parameter, complaint: str, value: str) -> str:
    """What is said of a bad value, in Markdown.

    Args:
        parameter: that it is for.
        complaint: what is wrong with it, which may repeat it.
        value: what is used instead, in words.
    """
    message = _("{label}: {complaint}. Using {value} instead.")
    return message.format(label=_(parameter.label), complaint=as_text(complaint), value=as_text(value))


def _same(parameter: Parameter, asked: list[str], right: list[str]) -> bool:
    """Whether a link's text already says a value as Streamlit can read it."""
    return asked == right or (isinstance(parameter, Number) and len(asked) == 1)


def _in_words(value: Any, written: Callable[[Any], Any]) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return plain(value)
    shown = written(value)
    return ", ".join(shown) if isinstance(shown, list) else shown


def _show_notice(name: str, present: Any) -> None:
    """Say what was refused, for as long as the value used instead stands; present: None before the widget is first made."""
    notices = st.session_state.get(NOTICES, {})
    if name not in notices:
        return
    message, stand_in = notices[name]
    if present is None or present == stand_in:
        _say(message)
    else:
        del notices[name]


def _say(message: str) -> None:
    """Add a message, in Markdown, to those at the top of the page."""
    _run().messages.append(message)
    _run().notices.warning("  \n".join(_run().messages), icon=":material/info:")


def _find_again(parameter: Parameter, default: Any, written: Callable[[Any], Any]) -> None:
    """Give a widget the value it had when the reader left the page, or the value that another page's widget of its name has."""
    name, state = parameter.name, st.session_state
    present = state.get(name, default)
    value = state.get(KEPT, {}).get((_place(), name), present)
    if isinstance(parameter, Choice) and not parameter.accepts(value):  # it was offered for another experiment
        value = default
    if isinstance(value, tuple):
        value = list(value)
    if not value == present == default:  # set it even where it is present: Streamlit forgets one that came by the link untouched
        state[name] = value
    if value == default:
        return
    with suppress(StreamlitAPIException):  # Streamlit still writes that name itself for the page that was left
        st.query_params[name] = written(value)


def went_back() -> bool:
    """Whether the browser's Back or Forward asked for this run."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _place() -> str:
    return "" if _run().shared else _run().page


def _remember(parameter: Parameter, value: Any) -> Any:
    """Note a value for the link, and for when the reader comes back: Streamlit forgets a page that is left."""
    st.session_state.setdefault(KEPT, {})[_place(), parameter.name] = value
    _run().values[parameter.name] = parameter, value
    return value


def camera(screen: str, **options: Any) -> str:
    """How the stage's axes behave: "follow" the spread of p_t, or stay "fixed"."""
    return choose(screen, "camera", **options)


def preset(label: str, values: Mapping[str, Any], **options: Any) -> None:
    """A button that sets several parameters at once; the page then says what changed and offers Undo.

    Args:
        label: of the button, in the reader's language.
        values: {name in a link: value}.
        options: of the button.
    """
    st.button(label, on_click=apply, args=(label, dict(values)), **options)


def open_screen(link: Link) -> None:
    """Set everything that a screen has, before the widgets are drawn: what the link does not say gets its default.

    Args:
        link: to a screen, on this page or on another.
    """
    kept = st.session_state.setdefault(KEPT, {})
    shared = {parameter.name for part in SHARED for parameter in TABLE[part].values()}
    for parameter in parameters(link.page, link.screen):
        name = parameter.name
        if parameter in TABLE["reader"].values() and name not in link.values:
            continue  # the reader's own, such as the language
        value = link.values.get(name, parameter.default)
        kept["" if name in shared else link.page, name] = value
        if name in st.session_state and (name in shared or link.page == st.session_state.get(PAGE)):
            st.session_state[name] = list(value) if isinstance(value, tuple) else value
        elif name in st.query_params:  # of the link that led here, and of no widget since
            del st.query_params[name]
    st.session_state[CHANGED] = None
    st.session_state[NEXT] = link.page


@dataclass(frozen=True)
class Change:
    """What a preset changed: {name in a link: (value before, value after)}."""

    label: str
    values: Mapping[str, tuple[Any, Any]]


def apply(label: str, values: Mapping[str, Any]) -> None:
    """Set several parameters at once, as a preset does, before the widgets are drawn.

    Args:
        label: what the page calls this when it says what changed, in the reader's language.
        values: {name in a link: value}.
    """
    known = {parameter.name: parameter for table in TABLE.values() for parameter in table.values()}
    before = {name: _present(known[name]) for name in values}
    changed = {name: (before[name], value) for name, value in values.items() if before[name] != value}
    _put(values)
    st.session_state[CHANGED] = Change(label, changed) if changed else None


def _present(parameter: Parameter) -> Any:
    """The value of a parameter whose widget may not be on this page."""
    kept = st.session_state.get(KEPT, {})
    places = [(st.session_state.get(PAGE, ""), parameter.name), ("", parameter.name)]
    value = next((kept[place] for place in places if place in kept), parameter.default)
    return st.session_state.get(parameter.name, value)


def _put(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in st.session_state:  # Streamlit writes only the values of widgets that it has seen into the link
            st.query_params[name] = str(value)
        st.session_state[name] = value


def show_change() -> None:
    """Say what the last preset changed on every screen, with a button that takes it back, until something else is changed."""
    change: Change | None = st.session_state.get(CHANGED)
    if change is None:
        return
    if any(_present(_shared()[name]) != after for name, (_before, after) in change.values.items() if name in _shared()):
        st.session_state[CHANGED] = None
        return
    shared = {name: both for name, both in change.values.items() if name in _shared()}
    if not shared:
        return
    parts = [
        _("{label}: {before} → {after}").format(
            label=_(_shared()[name].label), before=_value_in_words(name, before), after=_value_in_words(name, after)
        )
        for name, (before, after) in shared.items()
    ]
    with st.container(horizontal=True, vertical_alignment="center", key="changed"):
        message = _("*{preset}* changed the experiment for every screen. {changes}")
        st.caption(message.format(preset=change.label, changes=" · ".join(parts)))
        st.button(_("Undo"), icon=":material/undo:", on_click=_take_back, key="undo-preset", type="tertiary")


def _shared() -> Mapping[str, Parameter]:
    return {parameter.name: parameter for parameter in TABLE["experiment"].values()}


def _value_in_words(name: str, value: Any) -> str:
    parameter = _shared()[name]
    return _(parameter.titles[value]) if isinstance(parameter, Choice) else as_text(shortened(parameter.write(value)))


def _take_back() -> None:
    change: Change | None = st.session_state.pop(CHANGED, None)
    if change is not None:
        _put({name: before for name, (before, _after) in change.values.items()})


def title(page: str) -> str:
    """The title of a page in the reader's language."""
    return _(PAGES[page].title)
