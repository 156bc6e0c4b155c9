"""Streams of random numbers: one seed, independent draws for each purpose, so that a change of one leaves the others."""

import torch

from scoredm.experiment import Experiment

STREAMS = {"data": 0, "paths": 1, "reverse": 2, "reference": 3, "metric": 4, "field": 5}


def generator(experiment: Experiment, stream: str) -> torch.Generator:
    """The random numbers of one purpose: the same seed gives the same draws, whatever else is computed.

    Args:
        experiment: whose seed is used.
        stream: a name from STREAMS.

    Returns:
        A new generator on the CPU, at the beginning of its stream.
    """
    return seeded(experiment.seed, stream)


def seeded(seed: int, stream: str) -> torch.Generator:
    """The random numbers of one purpose that a seed gives.

    Args:
        seed: of an experiment.
        stream: a name from STREAMS.

    Returns:
        A new generator on the CPU, at the beginning of its stream.
    """
    return torch.Generator().manual_seed(seed * len(STREAMS) + STREAMS[stream])
