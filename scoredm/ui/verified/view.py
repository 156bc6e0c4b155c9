"""The Verified screen: the table of checks with what they found, its summary, and the same as a file.

The library is imported inside the functions, so that the page's frame is on screen before torch loads.
"""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.ui import show
from scoredm.ui.verified.bench import Bench, Key, Result

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.checks import Check
    from scoredm.checks.finding import Finding, Values

GROUPS = {
    "sde": "The SDE",
    "score": "Density and score",
    "losses": "Losses and entropy",
    "reverse": "Reverse processes",
    "samplers": "Samplers",
    "values": "Known values",
    "notebook": "The notebook",
}
NUMBER_WIDTH, VERDICT_WIDTH, BUTTON_WIDTH = 88, 80, 72
COLUMNS = ("Check", "Expected", "Found", "Tolerance", "Verdict")

# Where there is room the rows line up as a table; on a phone each is a card, and its figures say themselves what they are.
STYLE = """<style>
[class*="st-key-check-"] p, .st-key-checks-head p {font-size: 0.875rem; font-variant-numeric: tabular-nums;}
[class*="st-key-check-"] {border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); padding-top: 0.35rem;}
@media (min-width: 641px) {
  [class*="st-key-check-"], .st-key-checks-head {flex-wrap: nowrap !important;}
  [class*="st-key-check-"] > :nth-child(1), .st-key-checks-head > :nth-child(1) {flex: 1 1 0 !important; min-width: 0 !important;}
  [class*="st-key-check-"] > :nth-child(n+2), .st-key-checks-head > :nth-child(n+2) {flex-shrink: 0 !important;}
}
@media (max-width: 640px) {
  .st-key-checks-head > :nth-child(-n+5) {display: none !important;}
  [class*="st-key-check-"] > :nth-child(1) {min-width: 100% !important;}
  [class*="st-key-check-"] > :nth-child(2)::before {content: "expected";}
  [class*="st-key-check-"] > :nth-child(3)::before {content: "found";}
  [class*="st-key-check-"] > :nth-child(4)::before {content: "tolerance";}
  [class*="st-key-check-"] > ::before {font-size: 0.75rem; opacity: 0.7;}
}
</style>"""


def _checks(group: str | None = None) -> "list[Check]":
    from scoredm.checks import CHECKS

    return [check for check in CHECKS if group in (None, check.group)]


def _key(check: "Check", experiment: Experiment) -> Key:
    return Key(check.name, None if check.fixed else experiment)


def watch(mine: Bench, experiment: Experiment, group: str, live: bool) -> None:
    """Draw the summary and the checks of a group as they are now; live: this is drawn again and again."""
    mine.keep(experiment)
    if live != mine.busy:
        st.rerun()
    _summary(mine, experiment)
    st.html(STYLE)
    with st.container(gap="small"):
        checks = _checks(group)
        keys = [_key(check, experiment) for check in checks]
        with _row("checks-head", [f"**{column}**" for column in COLUMNS], None):
            words = f"Run these {len(keys)} checks"
            st.button(f"Run {len(keys)}", key="run-these", on_click=mine.ask, args=(keys,), help=words, width="stretch")
        for check in checks:
            _check_row(mine, check, experiment)


def _summary(mine: Bench, experiment: Experiment) -> None:
    """One line: what to do, how far it is, or how it came out; and the button that goes with it."""
    checks = _checks()
    with st.container(horizontal=True, vertical_alignment="center"):
        if mine.busy:
            st.button("Stop", icon=":material/stop:", on_click=mine.stop, key="stop", width=120)
        else:
            keys = [_key(check, experiment) for check in checks]
            st.button(
                "Run all", icon=":material/play_arrow:", type="primary", on_click=mine.ask, args=(keys,), key="run-all", width=120
            )
        found = [mine.results[key] for key in (_key(check, experiment) for check in checks) if key in mine.results]
        share = mine.done / mine.asked if mine.busy else len(found) / len(checks)
        st.progress(share, _summary_words(mine, experiment, checks), width="stretch")


def _summary_words(mine: Bench, experiment: Experiment, checks: "Sequence[Check]") -> str:
    if mine.current is not None:
        return f"**Running** *{mine.current.name}*, {mine.done} of {mine.asked} done."
    found = {check: mine.results.get(_key(check, experiment)) for check in checks}
    ran = {check: result for check, result in found.items() if result is not None}
    if not ran:
        return f"**Press Run all: {len(checks)} checks**, most of them a fraction of a second, a few of them seconds."
    seconds = sum(result.seconds for result in ran.values())
    left = "" if len(ran) == len(checks) else f" {len(checks) - len(ran)} have not run."
    failed = [f"*{check.name}* ({GROUPS[check.group]})" for check, result in ran.items() if not result.passed]
    if failed:
        return f"**{len(failed)} of {len(ran)} fail** on this machine: {', '.join(failed)}.{left}"
    return f"**{len(ran)} of {len(ran)} pass** on this machine, in {seconds:.1f} s.{left}"


def _row(key: str, cells: Sequence[str], check: "Check | None") -> "DeltaGenerator":
    """What is claimed, three figures and the verdict, on one line where there is room; returns the place for a button."""
    row = st.container(horizontal=True, vertical_alignment="center", key=key, gap="small")
    row.markdown(cells[0], width="stretch", help=None if check is None else f"Source: {check.source}")
    for cell in cells[1:-1]:
        row.markdown(cell, width=NUMBER_WIDTH)
    row.markdown(cells[-1], width=VERDICT_WIDTH)
    return row.container(width=BUTTON_WIDTH)


def _check_row(mine: Bench, check: "Check", experiment: Experiment) -> None:
    key = _key(check, experiment)
    result = mine.results.get(key)
    cells = [check.statement, *_figures(result.finding if result else None), _verdict(mine, key, check.slow)]
    place = _row(f"check-{check.name}", cells, check)
    with place:
        waits = mine.waits(key) or mine.current == key
        st.button("Run", key=f"run-{check.name}", on_click=mine.ask, args=([key],), disabled=waits, width="stretch")
    if result is not None and result.reason:
        st.caption(f"It broke off: {result.reason}.")


def _verdict(mine: Bench, key: Key, slow: bool) -> str:
    if mine.current == key:
        return "… runs"
    if mine.waits(key):
        return "waits"
    result = mine.results.get(key)
    if result is None:
        return "not run" + "  \n:small[takes seconds]" * slow
    return f"{'✓ pass' if result.passed else ':red[**✗ fail**]'}  \n:small[{_duration(result.seconds)}]"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.005 else "under 0.01 s"


def _figures(finding: "Finding | None") -> list[str]:
    """Expected, found and tolerance, to the digits that the tolerance asks for."""
    if finding is None:
        return ["–"] * 3
    from scoredm.checks.finding import as_tuple

    allowed = _each(finding.tolerance, len(as_tuple(finding.expected)))
    sides = [
        "  \n".join(shown(value, tolerance) for value, tolerance in zip(as_tuple(side), allowed, strict=True))
        for side in (finding.expected, finding.found)
    ]
    at_most = "≤ " if finding.at_most else ""
    tolerances = allowed if isinstance(finding.tolerance, tuple) else allowed[:1]
    return [at_most + sides[0], sides[1], "  \n".join(f"± {show.number(tolerance, 2)}" for tolerance in tolerances)]


def _each(tolerance: "Values", count: int) -> tuple[float, ...]:
    return tolerance if isinstance(tolerance, tuple) else (tolerance,) * count


def shown(value: float, tolerance: float) -> str:
    """A number with one digit more than its tolerance; where those digits are all 0, two figures."""
    if not np.isfinite(value):
        return "–"
    decimals = max(0, 1 - int(np.floor(np.log10(tolerance))))
    if round(value, decimals) == 0 or decimals > show.DECIMALS:
        return show.number(value, 2 if abs(value) < tolerance else 3)
    return show.fixed(value, decimals)


def table(mine: Bench, experiment: Experiment) -> str:
    """Every check as CSV, those that have not run among them."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(
        ["check", "topic", "statement", "target", "sde", "seed", "expected", "found", "tolerance", "verdict", "seconds", "source"]
    )
    for check in _checks():
        result = mine.results.get(_key(check, experiment))
        about = ["", "", ""] if check.fixed else [experiment.target, experiment.sde_label, experiment.seed]
        rows.writerow([check.name, GROUPS[check.group], check.statement, *about, *_csv_cells(result), check.source])
    return out.getvalue()


def _csv_cells(result: Result | None) -> list[str]:
    """Expected, found, tolerance, verdict and seconds; several figures are parted by spaces."""
    if result is None:
        return ["", "", "", "not run", ""]
    if result.finding is None:
        return ["", "", "", f"fail: {result.reason}", f"{result.seconds:.3f}"]
    from scoredm.checks.finding import as_tuple

    finding = result.finding
    sides = [" ".join(repr(v) for v in as_tuple(side)) for side in (finding.expected, finding.found, finding.tolerance)]
    return [
        ("at most " if finding.at_most else "") + sides[0],
        *sides[1:],
        "pass" if result.passed else "fail",
        f"{result.seconds:.3f}",
    ]
