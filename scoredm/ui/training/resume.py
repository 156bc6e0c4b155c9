"""Training that was lost with its server is started again by itself on the next one.

A run lives in the memory of one server, and a link does not say that it was started. But a browser that has lost its server
connects again by itself, to whichever server answers, and sends the values of its widgets first. So one widget, which nobody
sees, says that the run on the screen is to go on.
"""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm.language import _
from scoredm.ui import background

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.tasks import Training, TrainingTask

WANTED = "training-wanted"  # session state, and the browser's: whether the run on the screen is to go on
LOST = "_training-lost"  # session state: the task that was lost with its server, and whether others had trained it here


def follow(task: "TrainingTask", place: "DeltaGenerator") -> "Training | None":
    """The run of a task on this reader's screen; one that was lost with its server is started again, and the page says so.

    Args:
        task: what is trained.
        place: where the page says it.
    """
    run = background.training(task)
    wanted = _goes_on(run)
    if wanted or WANTED in st.session_state:
        st.session_state[WANTED] = wanted
    with place:
        remembered = st.checkbox(_("Training goes on"), key=WANTED)
        notice = st.empty()
    if remembered and not wanted:  # a new session, and the browser of an old one
        st.session_state[LOST] = task, run is not None and run.step > 0
        background.train(task)
        run = background.training(task)
    if _goes_on(run) and st.session_state.get(LOST, (None, False))[0] == task:
        notice.info(_words(begun=st.session_state[LOST][1]), icon=":material/sync:")
    return run


def _goes_on(run: "Training | None") -> bool:
    return run is not None and background.wants(run) and not run.ended


def _words(begun: bool) -> str:
    if begun:
        return _("The server that trained this network was lost. Training goes on by itself on another, which had begun it too.")
    return _(
        "The server that trained this network was lost, and its steps with it. Training has started again by itself; it will "
        "give the same network."
    )
