"""Samplers: how close each comes for what it costs, what causes the error that is left, and the density of the whole model."""

from scoredm.ui import budget, controls, likelihood, race, shell

VIEWS = {"race": race, "budget": budget, "likelihood": likelihood}

experiment = shell.header("samplers")
view = controls.choose("samplers", "comparison", label_visibility="collapsed")
VIEWS[view].draw(experiment)

shell.sections("samplers")
