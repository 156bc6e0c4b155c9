"""What the verified page shows: the table of checks with what they found, its summary, and the same as a file."""

import csv
import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from scoredm import screens
from scoredm.address import TABLE
from scoredm.experiment import Experiment
from scoredm.language import _, ngettext
from scoredm.markdown import as_text
from scoredm.parameters import Choice
from scoredm.ui import background, show

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.checks import Check
    from scoredm.screens.verified import CheckKey, Outcome
    from scoredm.tasks import Checks

    MyChecks = Checks[CheckKey, Outcome]

CSV_COLUMNS = (
    *("check", "topic", "statement", "target", "sde", "seed"),
    *("expected", "found", "tolerance", "verdict", "seconds", "source"),
)
NUMBER_WIDTH, VERDICT_WIDTH, BUTTON_WIDTH, GAP = 88, 80, 72, 8

# Where there is room the rows line up as a table; on a phone each is a card, and its numbers are labelled one by one.
STYLE = """<style>
[class*="st-key-check-"] p, .st-key-checks-head p {{font-size: 0.875rem;}}
.numbers {{display: flex; gap: {gap}px; font-size: 0.875rem; font-variant-numeric: tabular-nums;}}
.numbers > span {{width: {number}px; white-space: pre-line;}}
.st-key-checks-head .numbers {{font-weight: 600;}}
[class*="st-key-check-"] {{border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); padding-top: 0.35rem;}}
@media (min-width: 641px) {{
  [class*="st-key-check-"], .st-key-checks-head {{flex-wrap: nowrap !important;}}
  :is([class*="st-key-check-"], .st-key-checks-head) > :nth-child(1) {{flex: 1 1 0 !important; min-width: 0 !important;}}
  [class*="st-key-check-"] > :nth-child(n+2), .st-key-checks-head > :nth-child(n+2) {{flex-shrink: 0 !important;}}
}}
@media (max-width: 640px) {{
  .st-key-checks-head > :nth-child(-n+3) {{display: none !important;}}
  [class*="st-key-check-"] > :nth-child(1) {{min-width: 100% !important;}}
  [class*="st-key-check-"] .numbers > :nth-child(1)::before {{content: "{expected}";}}
  [class*="st-key-check-"] .numbers > :nth-child(2)::before {{content: "{found}";}}
  [class*="st-key-check-"] .numbers > :nth-child(3)::before {{content: "{tolerance}";}}
  [class*="st-key-check-"] .numbers > ::before {{display: block; font-size: 0.75rem; opacity: 0.7;}}
}}
</style>"""


def titles() -> dict[str, str]:
    """The titles of the groups, in the reader's language."""
    groups = TABLE["verified"]["group"]
    return {name: _(title) for name, title in groups.titles.items()} if isinstance(groups, Choice) else {}


def mine() -> "MyChecks":
    """This reader's list of checks."""
    return background.checks(screens.verified.perform)


def draw(listed: "MyChecks", experiment: Experiment, group: str) -> None:
    """Draw the summary and the checks of a group as they are now."""
    listed.keep(lambda key: key.experiment in (experiment, None))
    _summary(listed, experiment)
    labels = {"expected": _("expected"), "found": _("found"), "tolerance": _("tolerance")}
    st.html(STYLE.format(**labels, gap=GAP, number=NUMBER_WIDTH))
    chosen = screens.verified.checks_of(group)
    keys = [screens.verified.key_of(check, experiment) for check in chosen]
    with st.container(gap="small"):
        row = _row("checks-head", _("**Check**"), [_("Expected"), _("Found"), _("Tolerance")], _("**Verdict**"))
        label = _("Run {n}").format(n=len(keys))
        help_text = ngettext("Run this check", "Run these {n} checks", len(keys)).format(n=len(keys))
        _run_button(row, label, "run-these", listed, keys, help=help_text)
        for check in chosen:
            _check_row(listed, check, experiment)


def _summary(listed: "MyChecks", experiment: Experiment) -> None:
    """One line: what to do, how far it is, or how it came out; and the button that goes with it."""
    every = screens.verified.checks_of()
    keys = [screens.verified.key_of(check, experiment) for check in every]
    with st.container(horizontal=True, vertical_alignment="center"):
        if listed.done:
            st.button(
                _("Run all"),
                icon=":material/play_arrow:",
                type="primary",
                on_click=background.run_checks,
                args=(listed, keys),
                key="run-all",
                width=120,
            )
        else:
            st.button(_("Stop"), icon=":material/stop:", on_click=_stop, args=(listed,), key="stop", width=120)
        ended = sum(key in listed.outcomes for key in keys)
        share = ended / len(keys) if listed.done else listed.share
        st.progress(share, _summary_words(listed, experiment, every), width="stretch")


def _stop(listed: "MyChecks") -> None:
    """Drop what waits; the check that runs still ends."""
    listed.keep(lambda _key: False)


def _summary_words(listed: "MyChecks", experiment: Experiment, every: "Sequence[Check]") -> str:
    if listed.current is not None:
        topic = next(check.group for check in every if check.name == listed.current.name)
        words = _("**Running** a check of *{topic}*: {done} of {total} done.")
        return words.format(topic=titles()[topic], done=listed.finished, total=listed.asked)
    outcomes = {check: listed.outcomes.get(screens.verified.key_of(check, experiment)) for check in every}
    ran = {check: outcome for check, outcome in outcomes.items() if outcome is not None}
    if not ran:
        words = _("**Press Run all: {n} checks.** Most take a fraction of a second, a few take seconds.")
        return words.format(n=len(every))
    seconds = sum(outcome.seconds for outcome in ran.values())
    failed = [f"{check.claim.rstrip('.')} ({titles()[check.group]})" for check, outcome in ran.items() if not outcome.passed]
    if failed:
        words = _("**{failed} of {ran} fail** on this machine: {names}. Not run: {left}.")
    elif len(ran) < len(every):
        words = _("**{ran} of {ran} pass** on this machine, in {seconds:.1f} s. Not run: {left}.")
    else:
        words = _("**{ran} of {ran} pass** on this machine, in {seconds:.1f} s.")
    left = len(every) - len(ran)
    return words.format(failed=len(failed), ran=len(ran), names=", ".join(failed), seconds=seconds, left=left)


def _row(key: str, claim: str, numbers: Sequence[str], verdict: str, source: str | None = None) -> "DeltaGenerator":
    """A claim, three numbers in one element, as each costs time, and the verdict, on one line where there is room."""
    row = st.container(horizontal=True, vertical_alignment="center", key=key, gap="small")
    row.markdown(claim, width="stretch", help=source)
    cells = "".join(f"<span>{html.escape(number)}</span>" for number in numbers)
    row.html(f'<div class="numbers">{cells}</div>', width=3 * NUMBER_WIDTH + 2 * GAP)
    row.markdown(verdict, width=VERDICT_WIDTH)
    return row


def _run_button(row: "DeltaGenerator", label: str, key: str, listed: "MyChecks", keys: "list[CheckKey]", **more: Any) -> None:
    row.button(label, key=key, on_click=background.run_checks, args=(listed, keys), width=BUTTON_WIDTH, **more)


def _check_row(listed: "MyChecks", check: "Check", experiment: Experiment) -> None:
    key = screens.verified.key_of(check, experiment)
    outcome = listed.outcomes.get(key)
    source = _("Source: {source}").format(source=_(check.source))
    row = _row(f"check-{check.name}", check.claim, _cells(outcome), _verdict(listed, key, check.slow), source)
    waits = listed.waits(key) or listed.current == key
    _run_button(row, _("Run"), f"run-{check.name}", listed, [key], disabled=waits)
    if outcome is not None and outcome.reason:
        st.caption(_("This check could not be finished: {reason}.").format(reason=as_text(outcome.reason)))


def _verdict(listed: "MyChecks", key: "CheckKey", slow: bool) -> str:
    if listed.current == key:
        return _("… runs")
    if listed.waits(key):
        return _("waits")
    outcome = listed.outcomes.get(key)
    if outcome is None:
        return _("not run  \n:small[takes seconds]") if slow else _("not run")
    verdict = _("✓ pass") if outcome.passed else _(":red[**✗ fail**]")
    return f"{verdict}  \n:small[{_duration(outcome.seconds)}]"


def _duration(seconds: float) -> str:
    return _("{seconds:.2f} s").format(seconds=seconds) if seconds >= 0.005 else _("under 0.01 s")


def _cells(outcome: "Outcome | None") -> list[str]:
    """Expected, found and tolerance, to the digits that the tolerance asks for."""
    if outcome is None or not outcome.expected:
        return ["–"] * 3
    allowed = outcome.tolerance if len(outcome.tolerance) > 1 else outcome.tolerance * len(outcome.expected)
    sides = [
        "\n".join(shown(value, tolerance) for value, tolerance in zip(side, allowed, strict=True))
        for side in (outcome.expected, outcome.found)
    ]
    at_most = "≤ " if outcome.at_most else ""
    return [at_most + sides[0], sides[1], "\n".join(f"± {show.number(tolerance, 2)}" for tolerance in outcome.tolerance)]


def shown(value: float, tolerance: float) -> str:
    """A number with one digit more than its tolerance; where those digits are all 0, two significant digits."""
    if not np.isfinite(value):
        return "–"
    decimals = max(0, 1 - int(np.floor(np.log10(tolerance))))
    if round(value, decimals) == 0 or decimals > show.DECIMALS:
        return show.number(value, 2 if abs(value) < tolerance else 3)
    return show.fixed(value, decimals)


def table(listed: "MyChecks", experiment: Experiment) -> str:
    """Every check as CSV, those that have not run among them; its words are English, as files for programs are."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(CSV_COLUMNS)
    for check in screens.verified.checks_of():
        outcome = listed.outcomes.get(screens.verified.key_of(check, experiment))
        about = ["", "", ""] if check.fixed else [experiment.target, experiment.sde_label, experiment.seed]
        rows.writerow([check.name, titles()[check.group], check.claim, *about, *_csv_cells(outcome), check.source])
    return out.getvalue()


def _csv_cells(outcome: "Outcome | None") -> list[str]:
    """Expected, found, tolerance, verdict and seconds, with spaces between several numbers."""
    if outcome is None:
        return ["", "", "", "not run", ""]
    seconds = f"{outcome.seconds:.3f}"
    if outcome.reason:
        return ["", "", "", f"fail: {outcome.reason}", seconds]
    sides = [" ".join(repr(v) for v in side) for side in (outcome.expected, outcome.found, outcome.tolerance)]
    return [("at most " if outcome.at_most else "") + sides[0], *sides[1:], "pass" if outcome.passed else "fail", seconds]
