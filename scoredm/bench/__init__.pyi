from . import analysis as analysis, report as report, running as running, suite as suite
from .running import run as run
from .suite import FULL as FULL, QUICK as QUICK, Suite as Suite, samplers as samplers
