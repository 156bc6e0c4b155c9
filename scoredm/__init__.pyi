from . import (
    bench as bench,
    budget as budget,
    charts as charts,
    exercises as exercises,
    learning as learning,
    peers as peers,
    screens as screens,
    scripts as scripts,
    studies as studies,
    targets as targets,
    tasks as tasks,
)
from .checking import check_sde as check_sde
from .conversions import (
    clean_from_score as clean_from_score,
    clean_from_velocity as clean_from_velocity,
    noise_from_score as noise_from_score,
    score_from_clean as score_from_clean,
    score_from_noise as score_from_noise,
    score_from_velocity as score_from_velocity,
    velocity_from_clean as velocity_from_clean,
    velocity_from_score as velocity_from_score,
)
from .coverage import (
    component_weights as component_weights,
    log_density_gap as log_density_gap,
    mean_log_density as mean_log_density,
    mode_coverage as mode_coverage,
)
from .discrepancies import (
    energy_distance as energy_distance,
    mmd as mmd,
    mmd_bandwidth as mmd_bandwidth,
    mmd_to_mixture as mmd_to_mixture,
)
from .experiment import KINDS as KINDS, Experiment as Experiment, Kind as Kind
from .grids import (
    GRIDS as GRIDS,
    Grid as Grid,
    karras_times as karras_times,
    log_snr_times as log_snr_times,
    time_of_log_snr as time_of_log_snr,
    uniform_times as uniform_times,
)
from .likelihood import (
    Encoding as Encoding,
    bits_per_dimension as bits_per_dimension,
    encode as encode,
    flow_log_prob as flow_log_prob,
    kl_divergence as kl_divergence,
)
from .losses import (
    dsm_floor as dsm_floor,
    dsm_loss as dsm_loss,
    dsm_loss_at as dsm_loss_at,
    dsm_losses as dsm_losses,
    score_error as score_error,
)
from .memorisation import EmpiricalScore as EmpiricalScore
from .metrics import (
    METRICS as METRICS,
    NamedMetric as NamedMetric,
    NoiseFloor as NoiseFloor,
    compare_moments as compare_moments,
    fresh_reference as fresh_reference,
    noise_floor as noise_floor,
    sample_moments as sample_moments,
)
from .mixture import GaussianMixture as GaussianMixture
from .multistep import DEIS as DEIS, DPMSolver2M as DPMSolver2M, DPMSolver3M as DPMSolver3M, UniPC as UniPC
from .networks import NotebookNet as NotebookNet, ScoreNet as ScoreNet
from .pathwise import flow_end_points as flow_end_points, paired_difference as paired_difference, pathwise_error as pathwise_error
from .priors import (
    PRIORS as PRIORS,
    Prior as Prior,
    exact_prior as exact_prior,
    initial_distribution as initial_distribution,
    moment_matched_prior as moment_matched_prior,
    zero_mean_prior as zero_mean_prior,
)
from .samplers import (
    SAMPLERS as SAMPLERS,
    AdaptiveFlow as AdaptiveFlow,
    AnnealedLangevin as AnnealedLangevin,
    ChurnedHeun as ChurnedHeun,
    CountedScore as CountedScore,
    PredictorCorrector as PredictorCorrector,
    Sampler as Sampler,
    Step as Step,
    ancestral as ancestral,
    ddim as ddim,
    euler_maruyama as euler_maruyama,
    flow_euler as flow_euler,
    heun as heun,
    reverse_step as reverse_step,
)
from .score import (
    ExactScore as ExactScore,
    ScoreFn as ScoreFn,
    denoise as denoise,
    exact_score as exact_score,
    score_and_divergence as score_and_divergence,
)
from .sde import (
    EDM as EDM,
    SDE as SDE,
    VESDE as VESDE,
    VPSDE as VPSDE,
    CosineVPSDE as CosineVPSDE,
    GeometricVESDE as GeometricVESDE,
    RectifiedFlow as RectifiedFlow,
    SubVPSDE as SubVPSDE,
)
from .simulation import (
    Trajectory as Trajectory,
    coarsen as coarsen,
    forward_paths as forward_paths,
    rollout as rollout,
    sample as sample,
)
from .statistics import Measurement as Measurement, standard_error as standard_error
from .storage import load as load, load_recipe as load_recipe, save as save
from .targets import MixtureTextError as MixtureTextError, format_mixture as format_mixture, parse_mixture as parse_mixture
from .training import (
    TrainConfig as TrainConfig,
    Trainer as Trainer,
    TrainMetrics as TrainMetrics,
    default_device as default_device,
)
from .two_sample import classifier_accuracy as classifier_accuracy, wasserstein_distance as wasserstein_distance
from .wasserstein import sliced_wasserstein as sliced_wasserstein, sliced_wasserstein_to_mixture as sliced_wasserstein_to_mixture

__version__: str
