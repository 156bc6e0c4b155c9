"""reverse."""

from scoredm.ui import shell

experiment = shell.header("reverse")
shell.sections("reverse")
