"""What the score page draws: the field over the plane with its probe, the curves along the line, and the words beneath."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm import charts, screens
from scoredm.frames import ArrowScale
from scoredm.language import N_, _
from scoredm.ui import cache, predict, show
from scoredm.ui.score import probe as probes
from scoredm.ui.stage import ArrowField, sliding, stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scoredm.experiment import Experiment

STAGE = "score-stage"
LOOK = {
    "mixture": N_(
        "What to look for: every arrow crosses the steps of grey at a right angle, uphill. It is long where the steps are narrow."
    ),
    "component": N_(
        "What to look for: every arrow is the score of this component alone. Along each straight line from the component's mean "
        "the score grows in proportion to the distance, and it grows faster where the ellipse is narrow."
    ),
    "components": N_(
        "What to look for: at each point every component has a score of its own, in its colour. It crosses that component's own "
        "ellipses at a right angle, inwards, whatever the other components are."
    ),
    "weighted": N_(
        "What to look for: the coloured arrows rₖ sₖ (the three longest) add up to the uncoloured one. Where only one is seen, "
        "one component has all the responsibility."
    ),
}
FULL = {
    "mixture": N_("‖s‖ = {length} or more"),
    "component": N_("‖sₖ‖ = {length} or more"),
    "components": N_("‖sₖ‖ = {length} or more"),
    "weighted": N_("‖rₖ sₖ‖ = {length} or more"),
}
HEARD = {  # what is drawn, for those who do not see it
    "mixture": N_("The score of p_t at t = {t}, with {sde}, as arrows over the density."),
    "component": N_("The score of one component at t = {t}, with {sde}, as arrows over the density of p_t."),
    "components": N_("The score of each component at t = {t}, with {sde}, as arrows over the density of p_t."),
    "weighted": N_("The weighted score of each component at t = {t}, with {sde}, as arrows over the density of p_t."),
}
AT_PROBE = {
    "mixture": N_("The large arrows at the probe are the rₖ sₖ of the table and, uncoloured, their sum."),
    "component": N_("The large arrow at the probe is this component's sₖ."),
    "components": N_("The large arrows at the probe are the sₖ of the table."),
    "weighted": N_("The large arrows at the probe are the rₖ sₖ of the table and, uncoloured, their sum."),
}


def plane(
    experiment: "Experiment", settings: "screens.score.Settings", found: "screens.score.Probe", scale: ArrowScale | None
) -> None:
    """Draw the field of arrows over the density, with the probe; scale: of the probe's arrows."""
    field = cache.score_field(experiment, settings)
    x, y = (float(value) for value in found.x)
    stage(
        field.frames,
        key=STAGE,
        alt=_heard(experiment, settings, x, y),
        height=460,
        arrow_scale=_field_scale(field, settings.view),
        probe=True,
        probe_at=(x, y),
        probe_arrows=probes.arrows(found, settings.view),
        probe_scale=scale,
        on_probe=lambda: probes.put_where_clicked(STAGE),
        follows=sliding(experiment, settings.camera, settings.t, _arrow_field(field, settings)),
    )


def _heard(experiment: "Experiment", settings: "screens.score.Settings", x: float, y: float) -> str:
    """What the picture shows, with the probe at (x, y)."""
    drawn = _(HEARD[settings.view]) if settings.arrows != "off" else _("The density of p_t at t = {t}, with {sde}.")
    samples = _("Samples: {n}.").format(n=settings.samples) if settings.samples else ""
    probe = _("The probe is at ({x}, {y}).").format(x=show.minus(f"{x:g}"), y=show.minus(f"{y:g}"))
    return " ".join(filter(None, [drawn.format(t=f"{settings.t:g}", sde=experiment.sde_label), samples, probe]))


def _arrow_field(field: "screens.score.Field", settings: "screens.score.Settings") -> ArrowField | None:
    """What the arrows are; None where there are none."""
    if not len(field.anchors):
        return None
    score, bundle = screens.score, screens.score.BUNDLE if settings.view == "weighted" else 0
    outlined = tuple(field.outlined.tolist())
    return ArrowField(settings.view, outlined, score.across(settings), score.arrow_samples(settings), bundle)


def _field_scale(field: "screens.score.Field", view: str) -> ArrowScale | None:
    """What the longest of the arrows stand for; None where there are none."""
    if field.full_length <= 0:
        return None
    return ArrowScale(field.full_length, field.spacing, _(FULL[view]).format(length=show.number(field.full_length)))


def probe_scale(
    experiment: "Experiment", settings: "screens.score.Settings", found: "screens.score.Probe", fitted: bool
) -> ArrowScale | None:
    """The scale of the probe's arrows: one for every t, or fitted to this t alone."""
    longest = probes.longest(found, settings.view) if fitted else cache.score_longest_arrow(experiment, settings)
    return probes.scale(longest, settings.view, fitted)


def caption(
    experiment: "Experiment", settings: "screens.score.Settings", found: "screens.score.Probe", scale: ArrowScale | None
) -> None:
    """Say what to look for in the plane, and where the probe and its arrows are when they cannot be seen."""
    words = [_(LOOK[settings.view]), *_left_out(experiment, settings.view)]
    if settings.picture == "log":
        words.append(_("From one step of grey to the next the density changes by a factor of 2.7 (one nat)."))
    words.append(_("Click to move the probe."))
    if not found.inside:
        words.append(_("The probe is outside the picture now; the table still shows its numbers."))
    else:
        words.append(_(AT_PROBE[settings.view]))
        if scale is not None and probes.is_too_short(probes.longest(found, settings.view), scale):
            words.append(
                _("At this t they are too short to see on the scale for every t; *Layers* offers a scale fitted to each t.")
            )
    st.caption(" ".join(words))


def _left_out(experiment: "Experiment", view: str) -> list[str]:
    count, most = experiment.mixture.n_components, screens.score.MOST_COMPONENTS
    if view != "components" or count <= most:
        return []
    return [_("Only the {n} components with the largest weights are drawn, of {total}.").format(n=most, total=count)]


def line(experiment: "Experiment", settings: "screens.score.Settings", found: "screens.score.Probe") -> None:
    """Draw density, log density, score and responsibilities over one x axis, with the probe as a dashed line."""
    curves = cache.score_curves(experiment, settings)
    samples = curves.samples if len(curves.samples) else None
    tables = charts.score.score_tables(curves.along, float(found.x[0]), settings.view, samples)
    mode, names = show.mode(), tuple(curves.along.components.tolist())
    panels = (
        ("density", _("density"), 105, _("The density of p_t over x at t = {t}")),
        ("log", _("log density"), 105, _("The log density of p_t over x at t = {t}")),
        ("score", _("score"), 135, _("The score of p_t over x at t = {t}")),
    )
    for name, title, height, alt in panels:
        spec = charts.score.curves_spec(mode, title, names, height, nice=name != "log")
        show.chart(spec, tables[name], key=f"score-{name}", alt=alt.format(t=f"{settings.t:g}"))
    spec = charts.score.shares_spec(mode, names, 95)
    show.chart(spec, tables["shares"], key="score-shares", alt=_("Responsibilities of the components over x"))


def line_caption(found: "screens.score.Probe") -> None:
    """Say what to look for in the curves, and when the probe is not among them."""
    words = _(
        "What to look for: the score is the slope of the log density, zero at every peak and in every dip. Where one component "
        "has all the responsibility, the score is that component's straight line."
    )
    where = _("Dashed: the probe.") if found.inside else _("The probe is outside the picture; the table still shows its numbers.")
    st.caption(f"{words} {where}")


def predict_at(experiment: "Experiment", settings: "screens.score.Settings", found: "screens.score.Probe") -> None:
    """Ask for the saddle of the data, then for what becomes of the probe's responsibilities."""
    t, asked = settings.t, screens.predictions
    at = asked.Probed(experiment, t, found, cache.saddle(experiment.target) if t == 0 else None)
    if predict.ask(asked.SADDLE, at, lambda: at, about=experiment.target):
        predict.ask(asked.SHARE, at, lambda: at, about=(experiment, t, tuple(found.x.tolist())))


def equation(found: "screens.score.Probe") -> None:
    """Show the density whose score is drawn, with the numbers of this t in it."""
    part = r"\mathcal N(\alpha_t \mu_k,\ \alpha_t^2 S_k + \sigma_t^2 I)"
    alone = found.alone
    density = rf"p_t = \sum_k w_k\, {part}" if alone is None else rf"\mathcal N_k = {part}, \quad k = {alone.component + 1}"
    alpha, sigma = show.number(found.alpha), show.number(found.sigma)
    st.markdown(rf"${density}, \quad \alpha_t = {alpha}, \quad \sigma_t = {sigma}$")


def printed(experiment: "Experiment", settings: "screens.score.Settings") -> "Figure":
    """The figure to download."""
    title = _("The score of {p} at t = {t}").format(p="$p_t$", t=f"{settings.t:g}")
    if experiment.dim == 1:
        curves = cache.score_curves(experiment, settings)
        return charts.figures.score_curves(curves.along, title, settings.view in ("component", "components"))
    panels = screens.score.printed_fields(experiment, settings)
    return charts.figures.score_fields([(_panel_title(panel), panel) for panel in panels], title)


def _panel_title(panel: "screens.score.PrintedField") -> str:
    match panel.view:
        case "component":
            return _("score of component {k}").format(k=panel.component + 1)
        case "components":
            return _("scores of the components")
        case "weighted":
            return _("weighted component scores")
        case _:
            return _("score of the mixture")
