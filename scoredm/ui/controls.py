"""Bounded widgets that live in the URL, and a plain message where the URL asked for something out of bounds.

Streamlit's own binding seeds a widget from the URL and drops what it cannot use without a word. Here the value is read
first: what is out of range becomes the nearest allowed value, what cannot be read becomes the default, and the page says so.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import streamlit as st

NOTICES = "_notices"  # session state: key -> (message, the value put in its place)
PAGE = "_page"  # session state: the page of the last run
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
            return Reading(value, str(value), f"{text[:SHOWN]} is outside {self.low:g} to {self.high:g}")
        return Reading(value, text)


def number(control: Number, widget: Literal["slider", "input"] = "slider", **options: Any) -> Any:
    """A slider or number field for a Number, bound to the URL; returns an int or a float within its range."""
    _reconcile(control.key, control.label, control.default, control.read)
    make = st.slider if widget == "slider" else st.number_input
    return make(
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
        return st.segmented_control(label, names, default=default, required=True, **common)
    make = st.selectbox if widget == "selectbox" else st.radio
    return make(label, names, index=names.index(default), **common)


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
    return [name for name in options if name in chosen]


def toggle(key: str, label: str, default: bool = False, **extra: Any) -> bool:
    """A switch, bound to the URL."""

    def read(text: str) -> Reading:
        if text.lower() in ("true", "false"):
            return Reading(text.lower() == "true", text)
        return Reading(default, str(default).lower(), f"“{text[:SHOWN]}” is not true or false")

    _reconcile(key, label, default, read, lambda on: str(on).lower())
    return st.toggle(label, default, key=key, bind="query-params", **extra)


def text(key: str, label: str, default: str, max_chars: int, **extra: Any) -> str:
    """A line of text, bound to the URL."""

    def read(raw: str) -> Reading:
        if len(raw) > max_chars:
            return Reading(default, default, f"the text has {len(raw)} characters; at most {max_chars} are read")
        return Reading(raw, raw)

    _reconcile(key, label, default, read)
    return st.text_input(label, default, max_chars, key=key, bind="query-params", **extra)


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
    _page.notices = st.container()
    _page.arrived = st.session_state.get(PAGE) not in (None, page)
    st.session_state[PAGE] = page


def _show_notice(key: str) -> None:
    """Show what was refused of a control, for as long as its replacement stands."""
    notices = st.session_state.get(NOTICES, {})
    if key not in notices:
        return
    message, stand_in = notices[key]
    if st.session_state.get(key, stand_in) == stand_in:
        _page.notices.warning(message, icon=":material/info:")
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
    if key in st.session_state:
        _keep_on_arrival(key, default, write)
    elif key in st.query_params:
        asked = (ask or st.query_params.__getitem__)(key)
        value, written, complaint = read(asked)
        if complaint:
            shown = f"{value:g}" if isinstance(value, float) else ", ".join(value) if isinstance(value, list) else value
            st.session_state.setdefault(NOTICES, {})[key] = (f"{label}: {complaint}. Using {shown} instead.", value)
        if written != asked:
            st.query_params[key] = written
            st.rerun()
    _show_notice(key)


def _keep_on_arrival(key: str, default: Any, write: Callable[[Any], str]) -> None:
    """Carry a value over from another page: Streamlit forgets one that came by the URL and was never touched."""
    value = st.session_state[key]
    if _page.arrived and key not in st.query_params and value != default:
        st.session_state[key] = value
        st.query_params[key] = write(value)
