"""What the views of the samplers page share: choices, the button and the line of a study, and its table."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from scoredm.experiment import Experiment
from scoredm.ui import controls
from scoredm.ui.samplers import measuring, studying
from scoredm.ui.samplers.studying import Study

if TYPE_CHECKING:
    import pandas as pd

POLL_SECONDS = 0.5


def choose_score(screen: str) -> bool:
    """Whether to sample with the learned score."""
    return controls.choose(screen, "score", width="stretch") == "learned"


def choose_metric(screen: str, experiment: Experiment) -> str:
    """What quality is measured in."""
    names = measuring.metrics(experiment)
    return controls.choose(screen, "metric", "selectbox", only=names, help=measuring.metric_help(names))


def button(asked: Study, label: str) -> None:
    """Start, Stop or Continue."""
    if studying.wanted(asked):
        st.button("Stop", icon=":material/stop:", on_click=studying.stop, args=(asked,), key="stop", width="stretch")
    else:
        words = "Continue" if asked.rows and not asked.done else label
        look = {"icon": ":material/play_arrow:", "type": "primary", "width": "stretch", "disabled": asked.done}
        st.button(words, on_click=studying.start, args=(asked,), key="start", **look)


def status(asked: Study, live: bool, label: str, about: Callable[[], str]) -> None:
    """One line: what to press and about how long it takes, or how far it is."""
    arrived, total = len(asked.rows), len(asked.jobs)
    if asked.done:
        text = f"**Done**, {total} runs."
    elif live and not arrived and any(job.recipe for job in asked.jobs):
        text = f"**Training the network first**, then {total} runs; about {about()}."
    elif live:
        text = f"**Running**, {arrived} of {total} runs; about {about()} more."
    elif arrived:
        text = f"**Stopped** at {arrived} of {total} runs. Press Continue: about {about()} more."
    else:
        text = f"**Press {label}**: {total} runs, about {about()} on this machine."
    st.progress(arrived / total, text)


def every_run(study: Study, name: str) -> None:
    """The whole table, and files of it."""
    from scoredm.studies import table

    rows = table(study.rows)
    with st.expander(f"Every run: {len(rows)} rows"):
        st.dataframe(rows.drop(columns=["key", "metrics", "own"]), hide_index=True, height=240)
        with st.container(horizontal=True):
            downloads(rows, name)


def downloads(rows: "pd.DataFrame", name: str) -> None:
    """Buttons for the table as CSV and as Parquet."""
    files = {"CSV": ("text/csv", _csv), "Parquet": ("application/vnd.apache.parquet", _parquet)}
    for title, (mime, write) in files.items():
        st.download_button(
            f"Download {title}",
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
