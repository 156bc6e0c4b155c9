"""What the practice page shows: the task, the editor, the verdict, and what the reader's line does beside the right one."""

import re
from typing import TYPE_CHECKING

import streamlit as st

from scoredm import charts, screens
from scoredm.address import TABLE
from scoredm.exercises import notebook
from scoredm.exercises.texts import EXERCISES
from scoredm.frames import ArrowScale, round_size
from scoredm.language import N_, _, bound, ngettext
from scoredm.markdown import as_text
from scoredm.ui import attempts, controls, show
from scoredm.ui.editor import Written, editor, written
from scoredm.ui.show import number
from scoredm.ui.stage import stage

if TYPE_CHECKING:
    from scoredm.exercises import Verdict
    from scoredm.exercises.trials import Row

KEY = "editor"
CODE = TABLE["practice"]["code"]
LINKED = "_practice_code"  # session state: the code that this session last wrote into the address

FORMULA = re.compile(r"(\$[^$]+\$)")

ROWS = {
    "mean": N_("Mean of {x} at the end"),
    "variance": N_("Variance of {x} at the end"),
    "sigma2": N_("σₜ² at t = {t}"),
    "length": N_("Mean length of the score"),
    "distance": N_("Typical distance to the clean point"),
    "loss": N_("Loss, mean over t"),
}
LOOK = {
    "sigma": N_("What to look for: your dashed curve should lie on the black or white one at every t."),
    "mixture-score": N_(
        "What to look for: at each place your wide orange arrow should lie under the thin right one, in direction and length."
    ),
    "reverse-sde": N_(
        "What to look for: both start from the same points and get the same noise at each of 60 steps. At the end both should "
        "fill the grey density."
    ),
    "probability-flow": N_(
        "What to look for: both start from the same points and take 60 steps without noise. At the end both should fill the grey "
        "density."
    ),
    "tweedie": N_(
        "What to look for: each arrow leads from a noisy point to the mean of the clean points that it may have come from. Your "
        "wide orange arrow should lie under the thin right one."
    ),
    "dsm-loss": N_(
        "What to look for: the network here is the exact score. So the right line gives the floor at every t, up to chance, and "
        "yours should too."
    ),
}
LOOK_ON_THE_LINE = N_("What to look for: your dashed curve should lie on the black or white one at every x.")


def progress() -> None:
    """Say which exercises are passed."""
    passed, total = attempts.passed(), len(EXERCISES)
    if passed:
        titles = ", ".join(_(EXERCISES[name].title) for name in passed)
        words = ngettext("**{n} of {total}** is passed: {titles}.", "**{n} of {total}** are passed: {titles}.", len(passed))
        st.caption(words.format(n=len(passed), total=total, titles=titles))
    else:
        st.caption(_("None of the {total} is passed yet. Any order will do.").format(total=total))


def task(name: str) -> None:
    """Say what to write, and the names that it may use."""
    exercise = EXERCISES[name]
    words, names = st.columns(2, gap="medium")
    with words:
        st.markdown(_(exercise.task))
        answer = _("The answer: {answer}.").format(answer=_(exercise.answer))
        functions = _("You may use sqrt, exp, log and the like, also as np.sqrt or torch.sqrt.")
        st.caption(f"{answer} {functions}")
    with names, st.container(key="names"):
        st.markdown("\n".join(f"- `{word}`: {_(meaning)}" for word, meaning in exercise.scope.items()))


def take_link(name: str) -> None:
    """Put the code of a link that was opened into the editor; it counts as checked, so that the link shows its verdict."""
    asked = st.query_params.get_all(CODE.name)
    if not asked or asked == [st.session_state.get(LINKED)]:
        return
    text, complaint = CODE.read_all(asked)
    if complaint:
        st.warning(_("{label}: {complaint}.").format(label=_(CODE.label), complaint=as_text(complaint)))
    else:
        one = attempts.attempt(name)
        one.replace(text)
        one.checked = text


def write(name: str) -> None:
    """Draw the editor, and keep its text in the link."""
    one = attempts.attempt(name)
    code = "" if one.text == EXERCISES[name].start else one.text or " "
    controls.keep(CODE, code)
    st.session_state[LINKED] = code
    editor(
        one.text,
        key=KEY,
        exercise=name,
        revision=f"{name} {one.revision}",
        label=_("Your line: an expression or a few assignments"),
        longest=longest(),
        on_text=_keep_text,
        on_check=_check,
    )


def longest() -> int:
    """The most characters that a line may have."""
    return getattr(CODE, "longest", 0)


def _keep_text() -> None:
    _keep(written(KEY, "text"))


def _keep(sent: Written | None) -> bool:
    """Remember what was typed; whether there was anything that can be."""
    if sent is None or sent.exercise not in EXERCISES:
        return False
    attempts.attempt(sent.exercise).text = sent.text[: longest()]
    return True


def _check() -> None:
    sent = written(KEY, "check")
    if _keep(sent) and sent is not None:
        one = attempts.attempt(sent.exercise)
        one.checked = one.text
        one.tries += 1


def verdict(found: "screens.practice.Result") -> None:
    """Say whether the line is right, or what is wrong with it."""
    one = attempts.attempt(found.exercise)
    one.passed = one.passed or (found.verdict.passed and one.tries > 0)
    words = _words(found.verdict, found.refused)
    if found.verdict.passed:
        st.success(words, icon=":material/check_circle:")
    elif found.refused:
        st.error(words, icon=":material/block:")
    else:
        slip = _("Slip: {name}").format(name=f"`{found.verdict.slip}`")
        st.warning(f"{words}\n\n{slip}", icon=":material/search:")
    if one.text != one.checked:
        st.caption(_("You have changed the line since. Press **Check** again."))


def _words(said: "Verdict", refused: bool) -> str:
    """A verdict in Markdown: formulas of our own in it are drawn, and words of the reader's line are plain text."""
    if refused:
        return as_text(said.message)
    return "".join(part if FORMULA.fullmatch(part) else _escaped(part) for part in FORMULA.split(said.message))


def _escaped(text: str) -> str:
    """A text as it is, with the spaces at its ends."""
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{as_text(text)}{after}" if text.strip() else text


def aid(name: str) -> None:
    """Draw the hints that were asked for, one by one, and the solution."""
    one, exercise = attempts.attempt(name), EXERCISES[name]
    with st.container(horizontal=True):
        if one.hints < len(exercise.hints):
            label = _("Hint {n} of {total}").format(n=one.hints + 1, total=len(exercise.hints))
            st.button(label, icon=":material/lightbulb:", key=f"hint-{name}", on_click=_hint, args=(name,))
        if not one.solution:
            help_ = None if one.tried else _("You have not tried yet. The hints lead there in small steps.")
            st.button(
                _("Show the solution"), icon=":material/visibility:", key="solution", on_click=_solve, args=(name,), help=help_
            )
        st.button(_("Start again"), icon=":material/restart_alt:", key="again", on_click=_restart, args=(name,))
    st.markdown("\n".join(f"{i + 1}. {_(hint)}" for i, hint in enumerate(exercise.hints[: one.hints])))
    if one.solution:
        st.code(exercise.solution, language="python", wrap_lines=True)


def _hint(name: str) -> None:
    attempts.attempt(name).hints += 1


def _solve(name: str) -> None:
    attempts.attempt(name).solution = True


def _restart(name: str) -> None:
    one = attempts.attempt(name)
    one.replace(EXERCISES[name].start)
    one.checked = None


def effect(found: "screens.practice.Result", t: float) -> None:
    """Draw what the line does, beside the right one, and its numbers."""
    if found.effect is None:
        st.info(as_text(found.problem) or _("The line did not run, so there is nothing to show yet. Your text is kept."))
        return
    picture = found.effect.picture
    if isinstance(picture, screens.practice.Steps):
        _stages(picture)
    elif isinstance(picture, screens.practice.Arrows):
        _arrows(picture, t)
    else:
        alt = _("Your answer as a dashed curve, over the right one")
        spec = charts.practice.curves_spec(show.mode(), found.exercise)
        show.chart(spec, charts.practice.curves_table(picture), key=f"curves-{found.exercise}", alt=alt)
    if isinstance(picture, screens.practice.Curves) and charts.practice.leaves(picture):
        st.caption(_("Your curve leaves the picture: there it is drawn along the edge."))
    on_the_line = isinstance(picture, screens.practice.Curves) and found.exercise in screens.practice.TIMED
    st.caption(_(LOOK_ON_THE_LINE if on_the_line else LOOK[found.exercise]))
    _numbers(found.effect.rows, plane=found.plane)
    if found.replaced:
        words = _("The formula of this exercise does not fit the SDE in the sidebar. The picture uses the tutorial's, {sde}.")
        st.caption(words.format(sde=found.sde))


def _stages(picture: "screens.practice.Steps") -> None:
    """Both runs side by side; they play together."""
    plane = picture.right.margin is None
    sides = (("found", _("Your line"), picture.found), ("right", _("Right line"), picture.right))
    for place, (key, title, frames) in zip(st.columns(2, gap="small"), sides, strict=True):
        with place:
            st.markdown(f"**{title}**")
            stage(
                frames,
                key=f"practice-{key}-{'plane' if plane else 'line'}",
                alt=_("{title}: particles move from noise at t = 1 to t = 0, over the exact density.").format(title=title),
                height=230 if plane else 300,
                start="last",
                controls=key == "found",
                x_label="x₁" if plane else _("time t"),
                y_label="x₂" if plane else "x",
                equal_aspect=plane,
                trails=0 if plane else len(frames.times),
                group="practice",
            )


def _arrows(picture: "screens.practice.Arrows", t: float) -> None:
    size = round_size([picture.longest])
    scale = ArrowScale(size, picture.share * size / picture.longest, _("‖s‖ = {size}").format(size=f"{size:g}")) if size else None
    alt = _("Your arrows, wide and orange, and the right ones, over the density at t = {t}").format(t=f"{t:g}")
    stage(picture.frames, key="practice-arrows", alt=alt, height=360, autoplay=False, arrow_scale=scale)


def _numbers(rows: "tuple[Row, ...]", *, plane: bool) -> None:
    """A table of the numbers of both lines, with an exact value where there is one."""
    exact = [row.exact for row in rows if row.exact is not None]
    heads = [_("quantity"), _("your line"), _("right line"), *([_("exact")] if exact else [])]
    lines = [f"| {' | '.join(heads)} |", f"|:--|{'--:|' * (len(heads) - 1)}"]
    for row in rows:
        name = _(ROWS[row.name]).format(x="x₁" if plane else "x", t=f"{row.t or 0:g}")
        values = [row.found, row.right, *([] if row.exact is None else [row.exact])]
        lines.append(f"| {name} | {' | '.join(number(value) for value in values)} |")
    st.markdown("\n".join(lines))


def notebooks(name: str) -> None:
    """Offer this exercise, or all of them, as a notebook; it is made when it is asked for."""
    place = st.popover(_("As a notebook"), icon=":material/download:", key="notebooks", on_change="rerun")
    if not place.open:
        return
    with place:
        st.caption(_("A Jupyter notebook with the task, the hints and a check. It needs Python with this library."))
        offers = {name: _("This exercise"), "": _("All {n} exercises").format(n=len(EXERCISES))}
        for one, label in offers.items():
            names = [one] if one else list(EXERCISES)
            st.download_button(
                label,
                bound(lambda names=names: notebook.write(names)),
                file_name=notebook.file_name(names),
                mime="application/x-ipynb+json",
                key=f"notebook-{one or 'all'}",
                on_click="ignore",
                width="stretch",
            )
