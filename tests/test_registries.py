"""A sampler, grid or metric is one registry entry: with nothing else said of it, it is run, drawn and listed."""

import json

import pytest

from scoredm import GRIDS, METRICS, PRIORS, SAMPLERS, VESDE, Grid, NamedMetric, Sampler, euler_maruyama, noise_floor, targets
from scoredm.charts import samplers as charts
from scoredm.grids import uniform_times
from scoredm.studies import curves, perform, race


def make_dummy():
    return euler_maruyama


def dummy_times(_sde, steps, t_min):
    return uniform_times(steps, t_min)


def dummy_metric(x, mixture, _generator):
    return float((x.double().mean(0) - mixture.mean).norm())


@pytest.fixture
def dummies(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "dummy", Sampler("Dummy sampler", make_dummy, stochastic=True))
    monkeypatch.setitem(GRIDS, "dummy", Grid("Dummy grid", dummy_times))
    monkeypatch.setitem(METRICS, "dummy", NamedMetric("Dummy metric", "", "How far the mean is off.", dummy_metric))


def test_the_race_runs_and_draws_a_new_sampler_grid_and_metric(dummies):
    names, grids, sde = list(SAMPLERS), list(GRIDS), VESDE()
    jobs = race("tutorial", sde, ["heun", "dummy"], [2, 4], ["uniform", "dummy"], n=50, metrics=("dummy",))
    found = curves(map(perform, jobs), "dummy")
    assert {(curve.sampler, curve.grid) for curve in found} == {(a, b) for a in ("heun", "dummy") for b in ("uniform", "dummy")}
    titles, grid_titles = ({key: one.title for key, one in every.items()} for every in (SAMPLERS, GRIDS))
    floor = noise_floor(targets.mixture("tutorial"), 50, METRICS["dummy"], repeats=3)
    table = charts.race_table(found, floor, titles, grid_titles, (1, 10))
    assert {"Dummy sampler", titles["heun"]} <= set(table["sampler"].to_pylist())
    for mode in ("light", "dark"):
        pairs = tuple((key, titles[key]) for key in names), tuple((key, grid_titles[key]) for key in grids)
        text = json.dumps(charts.race_spec(mode, *pairs, METRICS["dummy"].title), default=str)
        assert "Dummy sampler" in text and "Dummy grid" in text and "Dummy metric" in text


def test_no_two_samplers_share_colour_and_shape_and_no_two_grids_a_dash(dummies):
    for mode in ("light", "dark"):
        looks = [(charts.colour(key, mode), charts.shape(key)) for key in SAMPLERS]
        assert len(set(looks)) == len(SAMPLERS)
        assert len({shape for _colour, shape in looks}) == len(SAMPLERS), "a reader who sees no colours tells them by shape"
    assert len({tuple(charts.dash(key)) for key in GRIDS}) == len(GRIDS)


def test_a_look_of_its_own_is_kept(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "own", Sampler("Own", make_dummy, shape="stroke", colour="#123456"))
    monkeypatch.setitem(GRIDS, "own", Grid("Own", dummy_times, dash=(9, 9)))
    assert (charts.colour("own", "dark"), charts.shape("own"), charts.dash("own")) == ("#123456", "stroke", [9, 9])


def test_every_entry_of_ours_says_what_it_is():
    for registry in (SAMPLERS, GRIDS, METRICS, PRIORS):
        for key, entry in registry.items():
            assert entry.title and entry.caption.endswith("."), key
    assert all(sampler.source for sampler in SAMPLERS.values())
