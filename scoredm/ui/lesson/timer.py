"""The timer of a stop: it runs in the browser, and never asks the server."""

from pathlib import Path

from streamlit.components.v2 import component

from scoredm.language import _
from scoredm.lessons import Stop

_HERE = Path(__file__).parent
_component = component(
    "scoredm_timer",
    html='<div class="timer"><output role="timer"></output><button class="pause"></button><button class="again">↺</button></div>',
    css=(_HERE / "timer.css").read_text(encoding="utf-8"),
    js=(_HERE / "timer.js").read_text(encoding="utf-8"),
)


def timer(name: str, stop: Stop) -> None:
    """Show the minutes of a stop running down: first those to think alone, then those to talk, then the rest.

    Args:
        name: of this stop; the timer goes on where it was when the reader comes back to it.
        stop: whose minutes they are.
    """
    rest = stop.minutes - stop.think - stop.talk
    phases = [(_("Think"), stop.think), (_("Talk"), stop.talk), ("", rest)]
    view = {
        "stop": name,
        "phases": [{"label": label, "seconds": 60 * minutes} for label, minutes in phases if minutes > 0],
        "labels": {
            "name": _("Time for this stop"),
            "left": _("{time} left"),
            "phase": _("{phase}: {time} left"),
            "over": _("{time} over"),
            "pause": _("Stop the clock"),
            "resume": _("Go on"),
            "again": _("Start the clock again"),
        },
    }
    _component(key=f"timer-{name}", data={"view": view}, width="content", height="content")
