"""training."""

from scoredm.ui import shell

experiment = shell.header("training")
shell.sections("training")
