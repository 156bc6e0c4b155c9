"""The Verified screen without a browser: what it lists, one check, a topic, all of them, stopping, and what goes wrong."""

import csv
import io
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from scoredm import checks
from scoredm.checks import CHECKS, Check
from scoredm.checks.finding import Finding
from scoredm.experiment import Experiment
from scoredm.screens import verified as screen
from scoredm.ui import shell, verified
from scoredm.ui.verified import shown

OpenPage = Callable[..., AppTest]


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in at.markdown)


def status(at: AppTest) -> str:
    return at.get("progress")[0].proto.text


def listed(at: AppTest):
    """The reader's list of checks."""
    return at.session_state["_background"].checks


def sum_of(at: AppTest) -> float:
    return sum(outcome.seconds for outcome in listed(at).outcomes.values())


def rested(at: AppTest, seconds: float = 60.0) -> AppTest:
    """Rerun until nothing runs any more."""
    end = time.monotonic() + seconds
    while not listed(at).done:
        assert time.monotonic() < end, status(at)
        time.sleep(0.02)
    return at.run()


def of(group: str) -> list[Check]:
    return [check for check in CHECKS if check.group == group]


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Checks that take no time and all pass; returns the names of those that ran, in order."""
    ran = []

    def stand_in(check: Check) -> Check:
        def run(*_case) -> Finding:
            ran.append(check.name)
            return Finding(1.0, 1.0, 0.1)

        return replace(check, run=run)

    monkeypatch.setattr(checks, "CHECKS", tuple(stand_in(check) for check in CHECKS))
    return ran


def test_every_group_has_a_title_and_every_title_a_check():
    assert list(dict.fromkeys(check.group for check in CHECKS)) == list(verified.titles())
    assert set(checks.FIXED) <= set(verified.titles())


@pytest.mark.parametrize("group", verified.titles())
def test_each_topic_lists_its_checks_before_any_has_run(open_page: OpenPage, group: str):
    at = open_page("verified", checks=group).run()
    assert not at.exception
    text = words(at)
    for check in CHECKS:
        assert (check.statement in text) == (check.group == group), check.name
    assert f"Press Run all: {len(CHECKS)} checks" in status(at)
    assert text.count("not run") == len(of(group))
    assert {"How to read the table", "What is not checked"} <= {expander.label for expander in at.expander}


def test_one_check_is_run_by_its_own_button(open_page: OpenPage):
    at = open_page("verified", checks="score").run()
    at.button(key="run-tweedie").click().run()
    rested(at)
    assert not at.exception
    assert "1 of 1 pass" in status(at) and f"Not run: {len(CHECKS) - 1}." in status(at)
    assert words(at).count("✓ pass") == 1


def test_a_topic_is_run_by_its_button(open_page: OpenPage, instant: list[str]):
    at = open_page("verified", checks="losses").run()
    at.button(key="run-these").click().run()
    rested(at)
    assert instant == [check.name for check in of("losses")]
    assert words(at).count("✓ pass") == len(instant)


def test_run_all_runs_every_check_once_and_sums_up(open_page: OpenPage, instant: list[str]):
    at = open_page("verified").run()
    at.button(key="run-all").click().run()
    rested(at)
    assert not at.exception
    assert instant == [check.name for check in CHECKS]
    assert f"{len(CHECKS)} of {len(CHECKS)} pass** on this machine, in 0.0 s." in status(at)
    at.button(key="run-all").click().run()
    rested(at)
    assert len(instant) == 2 * len(CHECKS)  # run again, and not remembered


def test_results_belong_to_their_experiment_and_known_figures_to_all(open_page: OpenPage, instant: list[str]):
    at = open_page("verified").run()
    at.button(key="run-all").click().run()
    rested(at)
    at.number_input(key="seed").set_value(5).run()
    fixed = sum(check.fixed for check in CHECKS)
    assert f"{fixed} of {fixed} pass" in status(at)
    assert f"Not run: {len(CHECKS) - fixed}." in status(at)
    at.number_input(key="seed").set_value(2021).run()
    assert f"{len(CHECKS)} of {len(CHECKS)} pass" in status(at)
    at.switch_page("pages/forward.py").run()
    at.switch_page("pages/verified.py").run()
    assert f"{len(CHECKS)} of {len(CHECKS)} pass" in status(at)


def planted(monkeypatch: pytest.MonkeyPatch, name: str, run: Callable[..., Finding]) -> None:
    """Another thing to do for one check."""
    changed = tuple(replace(check, run=run) if check.name == name else check for check in CHECKS)
    monkeypatch.setattr(checks, "CHECKS", changed)


def test_a_failure_is_told_in_a_word_a_mark_and_by_name(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch):
    planted(monkeypatch, "start", lambda _case: Finding((1.0, 0.0), (1.0, 0.5), 0.1))
    at = open_page("verified").run()
    for name in ("drift", "start"):
        at.button(key=f"run-{name}").click().run()
        rested(at)
    assert "**✗ fail**" in words(at)
    claim = next(check.claim for check in CHECKS if check.name == "start").rstrip(".")
    assert f"1 of 2 fail** on this machine: {claim} (The SDE). Not run: {len(CHECKS) - 2}." in status(at)


def test_a_check_that_breaks_off_fails_with_its_reason_in_words(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch):
    def breaks(_case) -> Finding:
        raise ValueError("sigma is *-1*; it must be 0 or more")

    planted(monkeypatch, "start", breaks)
    at = open_page("verified").run()
    at.button(key="run-start").click().run()
    rested(at)
    assert not at.exception
    assert "**✗ fail**" in words(at)
    words_said = r"This check could not be finished: sigma is \*-1\*; it must be 0 or more."
    assert any(words_said in caption.value for caption in at.caption)


def test_running_says_how_far_it_is_and_can_be_stopped(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()

    def waits(_case) -> Finding:
        go_on.wait(30)
        return Finding(0.0, 0.0, 1.0)

    planted(monkeypatch, "diffusion", waits)
    at = open_page("verified").run()
    at.button(key="run-all").click().run()
    while listed(at).finished < 1:
        time.sleep(0.01)
    at.run()
    assert f"**Running** a check of *The SDE*: 1 of {len(CHECKS)} done." in status(at)
    assert "… runs" in words(at) and "waits" in words(at)
    at.button(key="stop").click().run()
    go_on.set()
    rested(at)
    assert f"2 of 2 pass** on this machine, in {sum_of(at):.1f} s. Not run: {len(CHECKS) - 2}." in status(at)


def test_another_experiment_drops_what_waits_for_the_first(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch):
    go_on = threading.Event()

    def waits(_case) -> Finding:
        go_on.wait(30)
        return Finding(0.0, 0.0, 1.0)

    planted(monkeypatch, "drift", waits)
    at = open_page("verified").run()
    at.button(key="run-these").click().run()
    at.number_input(key="seed").set_value(5).run()
    go_on.set()
    rested(at)
    assert [key.name for key in listed(at).outcomes] == ["drift"] and next(iter(listed(at).outcomes)).experiment.seed == 2021


def test_the_screen_runs_a_group_to_the_end_and_tells_its_progress():
    told = []
    result = screen.run(Experiment(), screen.Settings("sde"), progress=lambda done, total: told.append((done, total)))
    assert [row.name for row in result.rows] == [check.name for check in of("sde")]
    assert result.passed == len(result.rows) and told[-1] == (len(of("sde")), len(of("sde")))


def test_the_table_as_csv(open_page: OpenPage, instant: list[str]):
    at = open_page("verified", target="two-modes").run()
    at.button(key="run-these").click().run()
    rested(at)
    mine = listed(at)
    experiment = next(key.experiment for key in mine.outcomes)
    rows = list(csv.DictReader(io.StringIO(verified.table(mine, experiment))))
    assert [row["check"] for row in rows] == [check.name for check in CHECKS]
    first = rows[0]
    assert (first["target"], first["sde"], first["seed"]) == ("two-modes", "λ = 25", "2021")
    assert (first["expected"], first["found"], first["tolerance"], first["verdict"]) == ("1.0", "1.0", "0.1", "pass")
    assert (rows[-1]["verdict"], rows[-1]["target"]) == ("not run", "")


@pytest.mark.parametrize("target,sde", [("spike", "vp"), ("moons", "cosine"), ("own", "subvp")])
def test_one_check_in_other_experiments(open_page: OpenPage, target: str, sde: str):
    at = open_page("verified", checks="score", target=target, sde=sde).run()
    at.button(key="run-gradient").click().run()
    rested(at)
    assert "✓ pass" in words(at)


def test_bad_links_give_the_first_topic_and_a_message(open_page: OpenPage):
    at = open_page("verified", checks="everything", lam="nan").run()
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == 2
    assert of("sde")[0].statement in words(at)


@pytest.mark.parametrize(
    "value,tolerance,text",
    [
        (0.0, 1e-9, "0"),
        (3.1e-15, 1e-9, "3.1 × 10⁻¹⁵"),
        (0.27834, 0.0272, "0.278"),
        (198.43, 9.7, "198.4"),
        (-2.523245, 6e-5, "−2.523245"),
        (7.504e-7, 5e-9, "7.50 × 10⁻⁷"),
        (1.018, 0.15, "1.02"),
        (float("nan"), 0.1, "–"),
    ],
)
def test_numbers_have_the_digits_that_their_tolerance_asks_for(value: float, tolerance: float, text: str):
    assert shown(value, tolerance) == text


def test_the_page_is_in_the_navigation():
    assert list(shell.PAGES)[-1] == "verified"
