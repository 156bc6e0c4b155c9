"""Bounded widgets that live in the URL, and a plain message where the URL asked for something out of bounds.

Streamlit's own binding seeds a widget from the URL and drops what it cannot use without a word. Here the value is read
first: what is out of range becomes the nearest allowed value, what cannot be read becomes the default, and the page says so.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import streamlit as st
from streamlit.errors import StreamlitAPIException

NOTICES = "_notices"  # session state: key -> (message, the value put in its place)
PAGE = "_page"  # session state: the page of the last run
KEPT = "_kept"  # session state: (page or "" for all, key) -> value, for when the reader comes back
SHOWN = 40  # characters of a refused value that are repeated

_page = threading.local()  # where this run's page shows its notices; every script run has a thread of its own


class Reading(NamedTuple):
    """What a control makes of a text in the URL."""

    value: Any
    written: Any  # the same value as Streamlit itself would write it, or the text where that is good as it is
    complaint: str | None = None


@dataclass(frozen=True)
class Number:
    """A number the reader may choose: its name in the URL, its label and its range."""

    key: str
    label: str
    low: float
    high: float
    step: float
    default: float
    help: str | None = None
    format: str | None = None

    def read(self, text: str) -> "Reading":
        """The allowed value nearest to what a text asks for."""
        try:
            asked = float(text)
        except ValueError:
            asked = math.nan
        if math.isnan(asked):
            return Reading(self.default, str(self.default), f"“{text[:SHOWN]}” is not a number")
        value = min(max(asked, self.low), self.high)
        if value != asked:
            return Reading(value, str(value), f"{text[:SHOWN]} is outside {_plain(self.low)} to {_plain(self.high)}")
        if isinstance(self.step, int) and value != int(value):
            return Reading(round(value), str(round(value)), f"{text[:SHOWN]} is not a whole number")
        return Reading(value, text)


def _plain(value: float) -> str:
    """A number as people write it: no exponent before it has to be."""
    return f"{value:,.10g}"


def number(control: Number, widget: Literal["slider", "input"] = "slider", **options: Any) -> Any:
    """A slider or number field for a Number, bound to the URL; returns an int or a float within its range."""
    _reconcile(control.key, control.label, control.default, control.read)
    make = st.slider if widget == "slider" else st.number_input
    value = make(
        control.label,
        control.low,
        control.high,
        control.default,
        step=control.step,
        help=control.help,
        format=control.format,
        key=control.key,
        bind="query-params",
        **options,
    )
    return _remember(control.key, value, control.default, f"{value:.10g}")


def choice(
    key: str,
    label: str,
    options: Mapping[str, str],
    default: str,
    widget: Literal["selectbox", "segmented", "radio"] = "segmented",
    **extra: Any,
) -> str:
    """One of several named options, {name: title}, bound to the URL, where either the name or the title is understood."""

    def read(text: str) -> Reading:
        if text in options.values():
            return Reading(text, text)
        if text in options:
            return Reading(text, options[text])
        return Reading(default, options[default], f"“{text[:SHOWN]}” is not one of {', '.join(options)}")

    if st.session_state.get(key, default) not in options:  # another page's choice by the same name
        del st.session_state[key]
    _reconcile(key, label, default, read, options.__getitem__)
    names = list(options)
    common: dict[str, Any] = {"format_func": options.__getitem__, "key": key, "bind": "query-params", **extra}
    if widget == "segmented":
        name = st.segmented_control(label, names, default=default, required=True, **common)
    else:
        make = st.selectbox if widget == "selectbox" else st.radio
        name = make(label, names, index=names.index(default), **common)
    return _remember(key, name, default, name)


def several(key: str, label: str, options: Mapping[str, str], default: Sequence[str], **extra: Any) -> list[str]:
    """Any of several named options, {name: title}, in their own order, bound to the URL; a link may part names by commas."""

    def read(texts: list[str]) -> Reading:
        asked = [name for text in texts for name in ([text] if text in options.values() else text.split(","))]
        known = [name for name, title in options.items() if name in asked or title in asked]
        unknown = [name for name in asked if name not in options and name not in options.values()]
        complaint = f"“{unknown[0][:SHOWN]}” is not one of {', '.join(options)}" if unknown else None
        value = known or list(default)
        return Reading(value, [options[name] for name in value], complaint)

    _reconcile(key, label, list(default), read, lambda names: [options[name] for name in names], st.query_params.get_all)
    chosen = st.multiselect(
        label, list(options), list(default), format_func=options.__getitem__, key=key, bind="query-params", **extra
    )
    names = [name for name in options if name in chosen]
    return _remember(key, names, list(default), ",".join(names))


def toggle(key: str, label: str, default: bool = False, **extra: Any) -> bool:
    """A switch, bound to the URL."""

    def read(text: str) -> Reading:
        if text.lower() in ("true", "false"):
            return Reading(text.lower() == "true", text)
        return Reading(default, str(default).lower(), f"“{text[:SHOWN]}” is not true or false")

    _reconcile(key, label, default, read, lambda on: str(on).lower())
    on = st.toggle(label, default, key=key, bind="query-params", **extra)
    return _remember(key, on, default, str(on).lower())


def text(key: str, label: str, default: str, max_chars: int, **extra: Any) -> str:
    """A line of text, bound to the URL."""

    def read(raw: str) -> Reading:
        if len(raw) > max_chars:
            return Reading(default, default, f"the text has {len(raw)} characters; at most {max_chars} are read")
        return Reading(raw, raw)

    _reconcile(key, label, default, read)
    found = st.text_input(label, default, max_chars, key=key, bind="query-params", **extra)
    return _remember(key, found, default, found)


def camera(**extra: Any) -> str:
    """How the stage's axes behave: "follow" the spread of p_t, or stay "fixed"."""
    return choice("camera", "Camera", {"follow": "Follow", "fixed": "Fixed"}, "follow", **extra)


def preset(label: str, values: Mapping[str, Any], **extra: Any) -> None:
    """A button that sets several controls at once, {key: value}."""
    st.button(label, on_click=_set, args=(dict(values),), **extra)


def _set(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key not in st.session_state:  # Streamlit writes only the values of fields it has seen into the URL
            st.query_params[key] = str(value)
        st.session_state[key] = value


def begin(page: str) -> None:
    """Start a run: keep a place for what the controls have to say, and notice when the reader has come from another page."""
    _page.place, _page.address = "", {}
    _page.notices, _page.messages = st.empty(), []
    _page.arrived = st.session_state.get(PAGE) not in (None, page)
    st.session_state[PAGE] = page


def address() -> dict[str, str]:
    """What a link to this screen has to say: every control drawn in this run that differs from its default, by short names."""
    return _page.address


def enter(page: str) -> None:
    """From here on the controls are the page's own; those before are on every page."""
    _page.place = page


def _show_notice(key: str) -> None:
    """Show what was refused of a control, for as long as its replacement stands."""
    notices = st.session_state.get(NOTICES, {})
    if key not in notices:
        return
    message, stand_in = notices[key]
    if st.session_state.get(key, stand_in) == stand_in:
        _page.messages.append(message)
        _page.notices.warning("  \n".join(_page.messages), icon=":material/info:")
    else:
        del notices[key]


def _reconcile(
    key: str,
    label: str,
    default: Any,
    read: Callable[[Any], Reading],
    write: Callable[[Any], Any] = str,
    ask: Callable[[str], Any] | None = None,
) -> None:
    """Before a widget is first made, put what the URL asks for within bounds, and say so if that changed it.

    A URL that is corrected is read again from the top, so that Streamlit seeds the widget from good values only.
    """
    if key in st.query_params and key not in st.session_state:
        asked = (ask or st.query_params.__getitem__)(key)
        value, written, complaint = read(asked)
        if complaint:
            titles = written if isinstance(written, list) else [written]
            shown = _plain(value) if isinstance(value, int | float) and not isinstance(value, bool) else ", ".join(titles)
            st.session_state.setdefault(NOTICES, {})[key] = (f"{label}: {complaint}. Using {shown} instead.", value)
        if written != asked:
            st.query_params[key] = written
            st.rerun()
    elif key not in st.query_params and (_page.arrived or key not in st.session_state):
        _find_again(key, default, write)
    _show_notice(key)


def _find_again(key: str, default: Any, write: Callable[[Any], Any]) -> None:
    """Give a control the value it had when the reader left the page, or that another page's control of its name has."""
    present = st.session_state.get(key, default)
    value = st.session_state.get(KEPT, {}).get((_page.place, key), present)
    if not value == present == default:  # set it even where it is present: Streamlit forgets one that came by the URL untouched
        st.session_state[key] = value
    if value != default:
        _write_address(key, write(value))


def _write_address(key: str, written: Any) -> None:
    """Put a value into the address, unless Streamlit still writes that name itself for the page that was left."""
    with suppress(StreamlitAPIException):
        st.query_params[key] = written


def _remember(key: str, value: Any, default: Any, written: str) -> Any:
    """Note a control's value for the link, and for when the reader comes back: Streamlit forgets a page that is left."""
    st.session_state.setdefault(KEPT, {})[_page.place, key] = value
    if value != default:
        _page.address[key] = written
    return value
