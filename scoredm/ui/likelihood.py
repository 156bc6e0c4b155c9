"""The likelihood on the samplers page: the map of its difference, the model against the exact density, and the numbers."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm import charts, screens
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.ui import background, cache, controls, predict, show, study

if TYPE_CHECKING:
    from scoredm.tasks import Model


def draw(experiment: Experiment) -> None:
    """Draw the whole view."""
    picture, side = st.columns([7, 4], gap="medium")
    with side:
        settings = _choose()
        network = _network(experiment) if settings.score == "learned" else None
    if settings.score == "learned" and network is None:
        picture.info(_("Here you will see the density of the model, as soon as its network is trained."), icon=":material/info:")
        return
    with side, st.spinner(_("Following the flow"), show_time=False):
        result = cache.likelihood(experiment, settings, network)
    with picture:
        (_map if experiment.dim == 2 else _curves)(experiment, result)
        predict.ask(screens.predictions.ORDER, settings, lambda: _more_steps(experiment), about=experiment)
    with side:
        st.markdown(verdict(result))
        st.markdown(table(result))
        rows = charts.samplers.scatter_table(result.fresh_exact, result.fresh_model)
        alt = _("Log density of the model against the exact one at fresh points of the data, with the line on which they agree")
        show.chart(charts.samplers.scatter_spec(show.mode()), rows, key="scatter", alt=alt)
        if settings.score == "learned":
            words = _("A network has no value at t = 0, so its density is compared with the exact one at t = {t}.")
            st.caption(words.format(t=f"{result.t_min:g}"))


def _more_steps(experiment: Experiment) -> "tuple[screens.likelihood.Result, screens.likelihood.Result]":
    """The densities that the reader is asked about: with few steps of the solver and with twice as many, all else exact."""
    few = screens.predictions.FEW_STEPS
    one, two = (
        cache.likelihood(experiment, screens.likelihood.Settings(prior="exact", steps=steps), None) for steps in (few, 2 * few)
    )
    return one, two


def _choose() -> "screens.likelihood.Settings":
    score = study.choose_score("likelihood")
    with st.container(horizontal=True):
        prior, steps = controls.choose("likelihood", "prior", "selectbox"), controls.choose("likelihood", "steps")
    return screens.likelihood.Settings(score, prior, steps)


def _network(experiment: Experiment) -> "Model | None":
    """The trained network; where there is none yet, its training starts, and the page says how far it is."""
    training = cache.workshop().networks.get(screens.studying.training_task(experiment))
    if training.done:
        return training.model
    if training.error is not None:
        st.error(_("The network could not be trained: {error}").format(error=as_text(training.error)))
        return None
    background.start(training)
    background.watch(lambda: study.training_status(experiment, training), training)
    return None


def _map(experiment: Experiment, result: "screens.likelihood.Result") -> None:
    mode, most = show.mode(), charts.samplers.rounded_up(result.usual)
    outline = cache.outline(experiment, 0.0)
    rows = charts.samplers.difference_table(result.x, result.model - result.exact, result.mass, outline.lines, most)
    alt = _("Log density of the model minus the exact one over the plane, fading where there are few data, with exact contours")
    show.chart(charts.samplers.difference_spec(mode, most), rows, key="difference", alt=alt)
    st.caption(
        _(
            "What to look for: the model puts too little density where the map is blue, and too much where it is orange. The "
            "colours fade where there are hardly any data. The contours hold 25, 50, 75 and 95 % of the data."
        )
    )


def _curves(_experiment: Experiment, result: "screens.likelihood.Result") -> None:
    rows = charts.samplers.log_curves_table(result.x[:, 0], result.exact, result.model, result.mass)
    alt = _("Log densities of the data and of the model over x")
    show.chart(charts.samplers.log_curves_spec(show.mode()), rows, key="log-curves", alt=alt)
    st.caption(
        _(
            "What to look for: where the curves differ, and by how much; 1 nat is a factor of 2.7. They are drawn where there "
            "are data, down to {n} nats below the centre of a component."
        ).format(n=f"{screens.likelihood.DEEP:g}")
    )


def table(result: "screens.likelihood.Result") -> str:
    """Bits and divergences line by line, as a table in Markdown."""

    def shown(amount: "screens.likelihood.Measurement") -> str:
        return show.with_error(amount.value, amount.error)

    rows = [
        (_("Bits per dimension, exact"), shown(result.exact_bits)),
        (_("Bits per dimension, model"), shown(result.model_bits)),
        (_("KL(data, model), nats"), shown(result.divergence)),
        (_("of which KL(p₁, prior)"), shown(result.prior_divergence)),
    ]
    if result.network_divergence is not None:
        rows.append((_("of which the network"), shown(result.network_divergence)))
    rows.append((_("Largest difference, nats"), show.number(result.worst, 2)))
    head = _("means over {n} fresh points").format(n=len(result.fresh_exact))
    return "\n".join([f"| {head} | |", "|:--|--:|", *(f"| {name} | {value} |" for name, value in rows)])


def verdict(result: "screens.likelihood.Result") -> str:
    """Which error is left in the model's density, and how large it is, in Markdown."""
    match result.cause:
        case "diverged":
            words = _(
                "**The flow of this network runs off to infinity somewhere on the map.** Choose another seed, or the exact score."
            )
        case "solver":
            words = _("**Only the error of the ODE solver is left: at most {worst} nats.** More steps make it smaller.")
        case "prior":
            words = _("**The model loses {lost} nats per point, all of it through its prior.** The exact flow loses nothing.")
        case "prior and solver":
            words = _(
                "**The model loses {prior} nats per point through its prior.** The ODE solver adds an error: take more steps."
            )
        case "network":
            words = _("**The model loses {lost} nats per point, all of it through its network.**")
        case "prior and network":
            words = _("**The model loses {lost} nats per point: {prior} through its prior and {network} through its network.**")
    network = result.network_divergence
    return words.format(
        worst=show.number(result.worst, 2),
        lost=show.number(result.divergence.value, 2),
        prior=show.number(result.prior_divergence.value, 2),
        network="" if network is None else show.with_error(network.value, network.error),
    )
