"""What the memorisation page shows: the choice of training points, the panels, the charts, the live losses, and one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

import scoredm
from scoredm import charts, screens
from scoredm.address import default
from scoredm.experiment import Experiment
from scoredm.language import N_, _, ngettext
from scoredm.markdown import as_text
from scoredm.parameters import shortened
from scoredm.ui import background, cache, controls, show

if TYPE_CHECKING:
    from scoredm.charts.samples import Panel
    from scoredm.memorisation import Points
    from scoredm.screens.memorisation import Collapse, Drawn, ExactScores
    from scoredm.tasks import Training, TrainingTask

    Samples = Mapping[str, Drawn | None]

QUICK = (10, 100, 2000)
NIL = 1e-4  # of the distance of a copy: what is nearer is a training point to within rounding
OWN = "_own_points"  # session state: the reader's last file that could be read
REFUSED = "_own_refused"  # session state: what was wrong with a later one
UPLOADS = "_own_uploads"  # session state: how often the uploader was emptied

TITLES = {"true": N_("True score"), "empirical": N_("Empirical score"), "network": N_("Network")}
VERDICTS = {
    "memorised": N_("**{share} of the network's samples are copies: it has memorised the points.**"),
    "most": N_("**{share} of the network's samples are copies: it mostly copies the points.**"),
    "some": N_("**{share} of the network's samples are copies, more than chance: it copies some of the points.**"),
    "chance": N_("**{share} of the network's samples are copies, no more than chance: the network generates new points.**"),
    "fewer": N_("**{share} of the network's samples are copies, fewer than chance.**"),
}


# Training points


@dataclass(frozen=True)
class Own:
    """The reader's own points and the name of their file."""

    name: str
    points: "Points"


def own() -> Own | None:
    """The reader's own points, if a file could be read; the session keeps them, and no link has them."""
    return st.session_state.get(OWN)


def choose_points(experiment: Experiment) -> "Points":
    """Draw the choice of N points from the target, or of the reader's own."""
    mine = own()
    fits = mine is not None and mine.points.dim == experiment.dim
    why = _("Your own points are in use. To draw points of the target, press *Back to points of the target*.") if fits else ""
    count = controls.choose("memorisation", "points", "input", unavailable=why, width=130)
    for n in QUICK:
        controls.preset(str(n), {"mn": n}, disabled=fits, help=why or None)
    with st.popover(_("Your points"), icon=":material/upload_file:"):
        _bring()
    return mine.points if mine is not None and fits else cache.training_points(experiment, count)


def mismatch(experiment: Experiment) -> None:
    """Say why the reader's own points are not in use, if they are not."""
    mine = own()
    if mine is not None and mine.points.dim != experiment.dim:
        words = _(
            "{name} has points in {own}-D and the target is in {dim}-D, so there is no true score to compare them with. They "
            "are kept: choose a {own}-D target in the sidebar. Until then the page uses N points of the target."
        )
        st.info(words.format(name=as_text(mine.name), own=mine.points.dim, dim=experiment.dim), icon=":material/info:")


def _bring() -> None:
    """Ask for a file, say what is in use, and what was wrong."""
    key = f"mfile{st.session_state.get(UPLOADS, 0)}"
    words = _("A CSV file of 1 or 2 columns, up to 5000 rows")
    st.file_uploader(words, ["csv", "txt", "tsv"], key=key, on_change=_brought, args=(key,), max_upload_size=1)
    refused, mine = st.session_state.get(REFUSED), own()
    if refused is not None:
        st.error(refused)
    if mine is not None:
        line = ngettext("**{name}**: {n} point in {dim}-D.", "**{name}**: {n} points in {dim}-D.", len(mine.points))
        st.markdown(line.format(name=as_text(mine.name), n=len(mine.points), dim=mine.points.dim))
        st.button(_("Back to points of the target"), on_click=_forget, key="mback")
    st.caption(
        _(
            "Your file stays in this visit and is not part of the link. The true score and the fresh points are still those of "
            "the target in the sidebar: write a mixture that your points could have come from. Scale your numbers to a few "
            "units, like those of the target."
        )
    )


def _brought(key: str) -> None:
    """Read a file; one taken out of the uploader, as the next one does with the last, stays in use."""
    file = st.session_state.get(key)
    if file is None:
        st.session_state.pop(REFUSED, None)
    elif isinstance(file, UploadedFile):
        _take(file.name, file.getvalue())
    else:  # the server no longer has it
        st.session_state[REFUSED] = _("The file did not arrive. Choose it again.")


def _take(name: str, content: bytes) -> None:
    """Keep the points of a file for this session; where it cannot be read, keep the last ones and what was wrong."""
    name = shortened(name)
    try:
        if len(content) > scoredm.memorisation.MAX_BYTES:
            raise ValueError(_("the file is larger than 1 MB"))
        points = scoredm.memorisation.Points.of(scoredm.memorisation.read_points(content.decode("utf-8")))
    except UnicodeDecodeError:
        words = _("{name} is not a text file. Save your table as CSV (UTF-8). The page still uses the points it had.")
        st.session_state[REFUSED] = words.format(name=as_text(name))
    except ValueError as error:
        words = _("{name}: {reason}. The page still uses the points it had.")
        st.session_state[REFUSED] = words.format(name=as_text(name), reason=as_text(str(error)))
    else:
        st.session_state[OWN] = Own(name, points)
        st.session_state.pop(REFUSED, None)


def _forget() -> None:
    """Go back to points drawn from the target, and empty the uploader."""
    st.session_state.pop(OWN, None)
    st.session_state.pop(REFUSED, None)
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1


def _unlike(experiment: Experiment, points: "Points") -> bool:
    """Whether the reader's own points do not look like draws of the target."""
    mine = own()
    if mine is None or mine.points != points or len(points) < 2:
        return False
    return not screens.memorisation.resemble(cache.compare(experiment, points))


# The network


def choose_network(experiment: Experiment, points: "Points") -> "TrainingTask | None":
    """Draw the choice of the network; its task, if the reader wants one, which is then under way."""
    wanted = controls.choose("memorisation", "network")
    why = "" if wanted else _("The number of training steps: first switch on *Train the network*.")
    steps = controls.choose("memorisation", "steps", "input", width=130, unavailable=why)
    task = screens.memorisation.task(experiment, points, steps)
    run = background.training(task)
    if wanted and not background.wants(run):
        background.train(task)
    elif run is not None and not wanted and background.wants(run):
        background.stop(run)
    return task if wanted else None


def train_on_many() -> None:
    """Train the network on as many points as the reader is asked about."""
    many = screens.predictions.MANY_POINTS
    controls.apply(_("Train on {n} points").format(n=many), {"mn": many, "mnet": True})


def samples(experiment: Experiment, points: "Points", task: "TrainingTask | None") -> "Samples":
    """Samples by each score; None for a network that is not trained yet."""
    exact, run = cache.exact_scores(experiment, points), background.training(task) if task is not None else None
    network = None
    if task is not None and run is not None and run.done and run.error is None and run.model is not None:
        network = cache.network_samples(experiment, points, exact.copy_distance, run.model, task)
    return {"true": exact.true, "empirical": exact.empirical, "network": network}


def losses(experiment: Experiment, points: "Points", task: "TrainingTask | None", drawn: "Samples") -> None:
    """Draw the losses of the run as it is now, again and again until it has ended; then the page, with the network's samples."""
    run = background.training(task) if task is not None else None

    def draw() -> None:
        if run is not None and run.done and run.error is None and drawn["network"] is None:
            st.rerun()  # it ended while the page was computing
        _losses(experiment, points, task, run)

    background.watch(draw, run)


def _losses(experiment: Experiment, points: "Points", task: "TrainingTask | None", run: "Training | None") -> None:
    steps = task.config.steps if task is not None else default("memorisation", "steps")
    lowest = cache.exact_scores(experiment, points).collapse.curve.mean_floor, cache.lowest_test_loss(experiment)
    history = [] if run is None else run.history if run.ended else run.look().history
    found = screens.memorisation.losses_of(history, lowest[1]) if history else None
    table = charts.memorisation.losses_table(found.curves if found is not None else None, steps, *lowest)
    alt = _("Training and test loss over the steps, above the lowest possible ones")
    show.chart(charts.memorisation.losses_spec(show.mode()), table, key="losses", alt=alt)
    values = {"train_floor": show.number(lowest[0]), "test_floor": show.number(lowest[1])}
    if found is None:
        words = _(
            "Lowest possible losses: {train_floor} on the training points (empirical score), {test_floor} on fresh points (true "
            "score)."
        )
    else:
        words = _("Training loss {train} (lowest possible {train_floor}), test loss {test} (lowest possible {test_floor}).")
        values |= {"train": show.number(found.train), "test": show.number(found.test)}
    st.caption(f"{_progress(run)} {words.format(**values)}")


def _progress(run: "Training | None") -> str:
    """How far the training is, in Markdown; "" where there is none or it is done."""
    if run is None or run.done:
        return ""
    if run.error is not None:
        return _("**The training stopped**: {reason}. Another number of steps may help.").format(reason=as_text(run.error))
    step, total, left = run.step, run.task.config.steps, run.seconds_left
    if left is None:
        return _("**Training**, step {step} of {total}.").format(step=step, total=total)
    words = _("**Training**, step {step} of {total}, about {time} left.")
    return words.format(step=step, total=total, time=show.duration(left))


# Pictures


def panels(experiment: Experiment, points: "Points", task: "TrainingTask | None", drawn: "Samples") -> None:
    """Draw the samples of each score over the training points, with a legend."""
    if experiment.dim == 2:
        legend = _("○ or •: training points · coloured dots: samples · lines: exact density (contours with 25, 50, 75 and 95 %)")
    else:
        legend = _("ticks below the axis: training points · coloured bars: samples · line: exact density")
    for column, (source, found) in zip(st.columns(3), drawn.items(), strict=True):
        with column:
            if found is None:
                st.markdown(f"**{_(TITLES[source])}**")
                st.info(_invitation(experiment, task), icon=":material/model_training:")
                continue
            words = _("**{score}** · copies **{share}**")
            st.markdown(words.format(score=_(TITLES[source]), share=percent(found.copies.share)))
            draw = partial(_draw, experiment, points, source, found, show.mode())
            alt = _("{score}: samples over the training points").format(score=_(TITLES[source]))
            st.image(cache.made_once(found, (source, show.mode()), draw), alt=alt)
    st.caption(legend)


def _draw(experiment: Experiment, points: "Points", source: str, found: "Drawn", mode: str) -> str:
    return charts.samples.panel(mode, _panel(experiment, points, source, found, "", mode))


def _panel(experiment: Experiment, points: "Points", source: str, found: "Drawn", title: str, mode: str) -> "Panel":
    outline, at = cache.outline(experiment, 0.0), points.array()
    colour = charts.memorisation.shades(mode)[source]
    box = screens.memorisation.window(outline.box, at)
    return charts.samples.Panel(title, found.samples, box, outline.lines, colour, marked=at)


def _invitation(experiment: Experiment, task: "TrainingTask | None") -> str:
    """What to do for samples of the network, or what it is doing."""
    if task is None:
        config = screens.memorisation.config(default("memorisation", "steps"), experiment.seed)
        about = show.duration(cache.training_pace(config, experiment.dim).seconds(config))
        return _("Switch on **Train the network**: about {time} on this machine.").format(time=about)
    run = background.training(task)
    if run is not None and run.error is not None:
        return _("There are no samples, because the training stopped.")
    return _("**Training.** The samples of the network are drawn when it is done.")


def download(experiment: Experiment, points: "Points", drawn: "Samples") -> None:
    """Offer the panels as a figure."""
    title = _("{score}: copies {share}")
    known = {source: found for source, found in drawn.items() if found is not None}
    shown = [
        _panel(
            experiment, points, source, found, title.format(score=_(TITLES[source]), share=percent(found.copies.share)), "light"
        )
        for source, found in known.items()
    ]
    show.download("memorisation", lambda: charts.figures.memorised(shown))


def distances(exact: "ExactScores", drawn: "Samples") -> None:
    """Draw how near samples come to the training points, compared with fresh data."""
    known = {source: found for source, found in drawn.items() if found is not None}
    each = {"fresh": exact.fresh} | {source: found.distances for source, found in known.items()}
    table = charts.memorisation.distances_table(each, exact.copy_distance)
    alt = _("Share of each sample within a distance of the training points, compared with fresh data")
    show.chart(charts.memorisation.distances_spec(show.mode()), table, key="distances", alt=alt)
    medians = {"fresh": float(np.median(exact.fresh))} | {source: found.copies.median for source, found in known.items()}
    shown = {source: show.number(value, 2) if value > NIL * exact.copy_distance else "0" for source, value in medians.items()}
    listed = ", ".join(f"{_(charts.memorisation.SOURCES[source])} {value}" for source, value in shown.items())
    words = _("A sample nearer than {distance} (dotted) is a copy; 5 % of fresh data are. Median distances: {medians}.")
    st.caption(words.format(distance=show.number(exact.copy_distance), medians=listed))


def collapse(found: "Collapse") -> None:
    """Draw when the empirical score collapses."""
    alt = _("Mean largest responsibility of the empirical score over t, with the time of its collapse")
    show.chart(charts.memorisation.collapse_spec(show.mode()), charts.memorisation.collapse_table(found), key="collapse", alt=alt)
    st.caption(_collapse_words(found))


def _collapse_words(found: "Collapse") -> str:
    if found.cause == "single":
        return _("With a single training point there is nothing to tell apart: the empirical score points to it at every t.")
    if found.cause == "always":
        return _("Even at t = 1 the noise does not mix these points: the empirical score points to single points at every t.")
    line = _("Below **t ≈ {t}** the empirical score points to single training points. At this t, σₜ/αₜ is {level}.")
    words = line.format(t=show.number(found.curve.time, 2), level=show.number(found.level, 2))
    if found.neighbour_time is None:
        return words
    near = _("It equals {distance}, the median distance to the nearest neighbour, at t = {t}.")
    distance, t = show.number(found.curve.neighbours, 2), show.number(found.neighbour_time, 2)
    return f"{words} {near.format(distance=distance, t=t)}"


# In words


def percent(share: float) -> str:
    """A share to two figures."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def result(experiment: Experiment, points: "Points", drawn: "Samples") -> None:
    """Say what is seen at the reader's N."""
    hint = _("A sample is a copy if it is nearer to a training point than 95 % of 20 000 fresh points of the target are.")
    st.markdown(sentence(len(points), drawn, unlike=_unlike(experiment, points)), help=hint)


def sentence(count: int, drawn: "Samples", *, unlike: bool) -> str:
    """What is seen at the reader's N, in Markdown; unlike: the points do not look like draws of the target."""
    shares = {source: percent(found.copies.share) for source, found in drawn.items() if found is not None}
    network = drawn["network"]
    if unlike:
        share_words = (
            _("Copies: {true} with the true score, {empirical} with the empirical score.")
            if network is None
            else _("Copies: {true} with the true score, {empirical} with the empirical score, {network} with the network.")
        )
        warning = _("**Your points do not look like draws of this target**, so these shares mean little.")
        return f"{share_words.format(**shares)} {warning}"
    words = ngettext(
        "With {n} training point, {empirical} of the empirical score's samples are copies, and {true} of the true score's.",
        "With {n} training points, {empirical} of the empirical score's samples are copies, and {true} of the true score's.",
        count,
    )
    exact = words.format(n=count, **shares)
    if network is None:
        return exact
    verdict = screens.memorisation.judge(network.copies, len(network.samples))
    return f"{_(VERDICTS[verdict]).format(share=shares['network'])} {exact}"
