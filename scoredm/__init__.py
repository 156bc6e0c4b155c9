"""Score-based diffusion models with the exact answer beside every figure.

The public names below are loaded on first use, so that `import scoredm` stays light and the app can draw before torch loads.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoredm import targets as targets
    from scoredm.checks import CHECKS as CHECKS, Check as Check
    from scoredm.checks.finding import Case as Case, Finding as Finding
    from scoredm.grids import GRIDS as GRIDS, Grid as Grid, time_of_log_snr as time_of_log_snr
    from scoredm.likelihood import (
        Encoding as Encoding,
        KLEstimate as KLEstimate,
        bits_per_dimension as bits_per_dimension,
        encode as encode,
        flow_log_prob as flow_log_prob,
        kl_divergence as kl_divergence,
    )
    from scoredm.losses import (
        dsm_floor as dsm_floor,
        dsm_loss as dsm_loss,
        dsm_losses as dsm_losses,
        notebook_score_error as notebook_score_error,
        score_error as score_error,
    )
    from scoredm.memorisation import EmpiricalScore as EmpiricalScore
    from scoredm.metrics import (
        METRICS as METRICS,
        NamedMetric as NamedMetric,
        Reference as Reference,
        compare_moments as compare_moments,
        component_weights as component_weights,
        energy_distance as energy_distance,
        fresh_range as fresh_range,
        fresh_reference as fresh_reference,
        mmd as mmd,
        mmd_bandwidth as mmd_bandwidth,
        mmd_to_mixture as mmd_to_mixture,
        sample_moments as sample_moments,
        sliced_wasserstein as sliced_wasserstein,
    )
    from scoredm.mixture import GaussianMixture as GaussianMixture
    from scoredm.networks import NotebookNet as NotebookNet, ScoreNet as ScoreNet
    from scoredm.samplers import (
        PRIORS as PRIORS,
        SAMPLERS as SAMPLERS,
        AdaptiveFlow as AdaptiveFlow,
        AnnealedLangevin as AnnealedLangevin,
        CountedScore as CountedScore,
        DPMSolver2M as DPMSolver2M,
        PredictorCorrector as PredictorCorrector,
        Prior as Prior,
        Sampler as Sampler,
        Step as Step,
        ancestral as ancestral,
        ddim as ddim,
        euler_maruyama as euler_maruyama,
        exact_prior as exact_prior,
        flow_euler as flow_euler,
        heun as heun,
        initial_distribution as initial_distribution,
        moment_matched_prior as moment_matched_prior,
        reverse_step as reverse_step,
        zero_mean_prior as zero_mean_prior,
    )
    from scoredm.score import (
        ScoreFn as ScoreFn,
        denoise as denoise,
        exact_score as exact_score,
        score_and_divergence as score_and_divergence,
    )
    from scoredm.sde import (
        SDE as SDE,
        VESDE as VESDE,
        VPSDE as VPSDE,
        CosineVPSDE as CosineVPSDE,
        GeometricVESDE as GeometricVESDE,
        SubVPSDE as SubVPSDE,
    )
    from scoredm.simulation import (
        Trajectory as Trajectory,
        coarsen as coarsen,
        forward_paths as forward_paths,
        rollout as rollout,
        sample as sample,
    )
    from scoredm.targets import (
        MixtureTextError as MixtureTextError,
        format_mixture as format_mixture,
        parse_mixture as parse_mixture,
    )
    from scoredm.training import (
        TrainConfig as TrainConfig,
        Trainer as Trainer,
        TrainMetrics as TrainMetrics,
        default_device as default_device,
    )

_HOME = {
    "GaussianMixture": "mixture",
    "SDE": "sde",
    "VESDE": "sde",
    "GeometricVESDE": "sde",
    "VPSDE": "sde",
    "SubVPSDE": "sde",
    "CosineVPSDE": "sde",
    "ScoreFn": "score",
    "denoise": "score",
    "exact_score": "score",
    "score_and_divergence": "score",
    "GRIDS": "grids",
    "Grid": "grids",
    "time_of_log_snr": "grids",
    "PRIORS": "samplers",
    "SAMPLERS": "samplers",
    "AdaptiveFlow": "samplers",
    "AnnealedLangevin": "samplers",
    "CountedScore": "samplers",
    "DPMSolver2M": "samplers",
    "PredictorCorrector": "samplers",
    "Prior": "samplers",
    "Sampler": "samplers",
    "Step": "samplers",
    "ancestral": "samplers",
    "ddim": "samplers",
    "euler_maruyama": "samplers",
    "exact_prior": "samplers",
    "flow_euler": "samplers",
    "heun": "samplers",
    "initial_distribution": "samplers",
    "moment_matched_prior": "samplers",
    "reverse_step": "samplers",
    "zero_mean_prior": "samplers",
    "Trajectory": "simulation",
    "coarsen": "simulation",
    "forward_paths": "simulation",
    "rollout": "simulation",
    "sample": "simulation",
    "NotebookNet": "networks",
    "ScoreNet": "networks",
    "dsm_floor": "losses",
    "dsm_loss": "losses",
    "dsm_losses": "losses",
    "notebook_score_error": "losses",
    "score_error": "losses",
    "EmpiricalScore": "memorisation",
    "TrainConfig": "training",
    "TrainMetrics": "training",
    "Trainer": "training",
    "default_device": "training",
    "Encoding": "likelihood",
    "KLEstimate": "likelihood",
    "bits_per_dimension": "likelihood",
    "encode": "likelihood",
    "flow_log_prob": "likelihood",
    "kl_divergence": "likelihood",
    "METRICS": "metrics",
    "NamedMetric": "metrics",
    "Reference": "metrics",
    "compare_moments": "metrics",
    "component_weights": "metrics",
    "energy_distance": "metrics",
    "fresh_range": "metrics",
    "fresh_reference": "metrics",
    "mmd": "metrics",
    "mmd_bandwidth": "metrics",
    "mmd_to_mixture": "metrics",
    "sample_moments": "metrics",
    "sliced_wasserstein": "metrics",
    "CHECKS": "checks",
    "Check": "checks",
    "Case": "checks.finding",
    "Finding": "checks.finding",
    "MixtureTextError": "targets",
    "format_mixture": "targets",
    "parse_mixture": "targets",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use; `from scoredm import *` asks for their list."""
    if name == "__all__":
        return __dir__()
    if name == "targets":
        return import_module("scoredm.targets")
    if name not in _HOME:
        raise AttributeError(f"module 'scoredm' has no attribute {name!r}")
    return getattr(import_module(f"scoredm.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*_HOME, "targets"])
