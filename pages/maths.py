"""maths."""

from scoredm.ui import shell

experiment = shell.header("maths")
shell.sections("maths")
