"""What the race and the error budget share on the page: choices, the button and the progress of their runs, and all results."""

import io
from typing import TYPE_CHECKING

import streamlit as st

import scoredm
from scoredm import screens
from scoredm.experiment import Experiment
from scoredm.language import N_, _, ngettext
from scoredm.ui import background, cache, controls, show

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from scoredm.grids import Grid
    from scoredm.metrics import NamedMetric
    from scoredm.samplers import Sampler
    from scoredm.tasks import Study, Training

FAILURES = 4  # failed runs that are named
HEADINGS = {
    "target": N_("target"),
    "sde": N_("SDE"),
    "sampler": N_("sampler"),
    "grid": N_("time grid"),
    "steps": N_("steps"),
    "prior": N_("start from"),
    "t_min": N_("stop at t_min"),
    "denoise": N_("Tweedie step"),
    "recipe": N_("recipe of the network"),
    "n": N_("particles"),
    "seed": N_("seed"),
    "noise_steps": N_("steps of the noise"),
    "nfe": N_("NFE"),
    "seconds": N_("seconds"),
    "error": N_("error"),
}


def choose_score(screen: str) -> str:
    """Which score is used, "exact" or "learned"."""
    return controls.choose(screen, "score", width="stretch")


def choose_metric(screen: str, experiment: Experiment) -> str:
    """What the distance to the exact distribution is measured in."""
    offered = screens.studying.offered(experiment, pathwise=screen == "race")
    named = {key: scoredm.METRICS[key] for key in offered}
    titles = {key: metric.title for key, metric in named.items()}
    return controls.choose(screen, "metric", "selectbox", only=titles, help=described(named.values()))


def described(named: "Iterable[NamedMetric | Sampler | Grid]") -> str:
    """What each of several metrics, samplers or grids is, for the help of their choice."""
    line = _("**{title}**: {caption}")
    return "\n\n".join(line.format(title=_(one.title), caption=_(one.caption)) for one in named if one.caption)


def quality(metric: str) -> str:
    """The title of an axis in a metric."""
    named = scoredm.METRICS[metric]
    return _("{title} ({unit})").format(title=_(named.title), unit=_(named.unit)) if named.unit else _(named.title)


def button(asked: "Study", label: str) -> None:
    """Draw the button Start, Stop or Continue.

    Args:
        asked: the runs.
        label: of the button before the first run.
    """
    if background.wants(asked) and not asked.ended:
        st.button(_("Stop"), icon=":material/stop:", on_click=background.stop, args=(asked,), key="stop", width="stretch")
        return
    st.button(
        _("Continue") if asked.rows and not asked.ended else label,
        icon=":material/play_arrow:",
        type="primary",
        on_click=background.start,
        args=(asked,),
        key="start",
        disabled=asked.ended,
        help=_("All runs are done. Change a setting to compare something else.") if asked.ended else None,
        width="stretch",
    )


def status(experiment: Experiment, asked: "Study", label: str) -> None:
    """Draw one line: what to press and about how long it takes, or how far the runs are."""
    training = asked.waits_for
    if training is not None and background.moving(asked):
        training_status(experiment, training)
        return
    done, total = len(asked.rows), len(asked.jobs)
    if asked.error is not None:
        text = _("**The runs stopped because of an error:** {error}").format(error=asked.error)
    elif asked.done:
        text = ngettext("**Done**: {n} run.", "**Done**: {n} runs.", total).format(n=total)
    else:
        text = _going(asked).format(n=done, total=total, label=label, time=show.duration(_seconds_left(experiment, asked)))
    st.progress(done / total, text)


def _going(asked: "Study") -> str:
    if background.moving(asked):
        return _("**Running**: {n} of {total} runs are done; about {time} left.")
    if asked.rows:
        return _("**Stopped**: {n} of {total} runs are done. Press *Continue*: about {time} more.")
    return _("**Press {label}**: {total} runs, about {time} on this machine.")


def training_status(experiment: Experiment, training: "Training") -> None:
    """Draw one line: how far the training of the network is."""
    left = training.seconds_left
    config = training.task.config
    about = show.duration(cache.training_pace(config, experiment.dim).seconds(config) if left is None else left)
    words = _("**Training the network first**: step {n} of {total}; about {time} left.")
    text = words.format(n=training.step, total=config.steps, time=about)
    st.progress(min(training.share, 1.0), text)


def _seconds_left(experiment: Experiment, asked: "Study") -> float:
    """At the pace of the runs so far; before the first, an estimate from the time that their parts take on this machine."""
    if asked.seconds_left is not None:
        return asked.seconds_left
    found = {row["key"] for row in asked.rows}
    left = [job for job in asked.jobs if job.key not in found]
    paces = {asked_of: cache.job_pace(*asked_of) for asked_of in {_pace_of(job) for job in left}}
    runs = sum(paces[_pace_of(job)].seconds(job) for job in left)
    networks = [training.task for training in asked.needs if isinstance(training, scoredm.tasks.Training)]
    training = sum(cache.training_pace(task.config, experiment.dim).seconds(task.config) for task in networks)
    return runs / asked.at_once + training


def _pace_of(job: "scoredm.studies.Job") -> tuple[str, str, str, int]:
    """What the time of a job's parts depends on: of the many jobs of a study it is nearly always the same."""
    return str(job.target), "exact" if job.recipe is None else "learned", next(iter(job.measures)), job.n


def failures(failed: "tuple[screens.studying.Failure, ...]") -> None:
    """Name the runs that failed, with the reason."""
    for failure in failed[:FAILURES]:
        name = _(scoredm.SAMPLERS[failure.sampler].title) if failure.sampler in scoredm.SAMPLERS else failure.sampler
        words = _("**{sampler}**, {steps} steps, seed {seed}: the run failed. {reason}")
        reason = _("Its points ran off to infinity.") if failure.cause == "diverged" else failure.message
        st.warning(words.format(sampler=name, steps=failure.steps, seed=failure.seed, reason=reason), icon=":material/error:")
    more = len(failed) - FAILURES
    if more > 0:
        st.caption(ngettext("{n} more run failed.", "{n} more runs failed.", more).format(n=more))


def every_run(asked: "Study", name: str) -> None:
    """Draw the table of all runs, and files of it."""
    rows = scoredm.studies.table(asked.rows)
    title = ngettext("All results: {n} run", "All results: {n} runs", len(rows)).format(n=len(rows))
    with st.expander(title):
        shown = rows.drop(columns=["key", "metrics", "own", "score"])
        st.dataframe(shown, hide_index=True, height=240, column_config={str(column): heading(str(column)) for column in shown})
        with st.container(horizontal=True):
            _downloads(rows, name)


def heading(column: str) -> str:
    """The heading of a column of results in the reader's language."""
    return _(scoredm.METRICS[column].title if column in scoredm.METRICS else HEADINGS[column])


def _downloads(rows: "pd.DataFrame", name: str) -> None:
    """Buttons for the table as CSV and as Parquet."""
    files = {"CSV": ("text/csv", _csv), "Parquet": ("application/vnd.apache.parquet", _parquet)}
    for title, (mime, write) in files.items():
        st.download_button(
            _("Download {format}").format(format=title),
            lambda write=write: write(rows),
            file_name=f"scoredm-{name}.{title.lower()}",
            mime=mime,
            key=f"download-{name}-{title}",
            icon=":material/download:",
            on_click="ignore",
        )


def _csv(rows: "pd.DataFrame") -> bytes:
    return rows.to_csv(index=False).encode()


def _parquet(rows: "pd.DataFrame") -> bytes:
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    return buffer.getvalue()
