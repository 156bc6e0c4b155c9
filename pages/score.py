"""score."""

from scoredm.ui import shell

experiment = shell.header("score")
shell.sections("score")
