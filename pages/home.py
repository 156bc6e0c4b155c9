"""home."""

from scoredm.ui import shell

experiment = shell.header("home")
shell.sections("home")
