"""Samplers: how far each gets for what it costs, and where the error that is left comes from."""

from scoredm.ui import controls, shell
from scoredm.ui.samplers import budget_view, likelihood_view, race_view

VIEWS = {
    "race": ("Race", race_view.draw),
    "budget": ("Error budget", budget_view.draw),
    "likelihood": ("Likelihood", likelihood_view.draw),
}

experiment = shell.header("samplers")
view = controls.choose("samplers", "comparison", label_visibility="collapsed")
VIEWS[view][1](experiment)

shell.sections("samplers")
