"""Save and load networks as safetensors files, which hold numbers and text and cannot run code.

    from scoredm import VPSDE, Trainer, load, save, targets

    trainer = Trainer(targets.mixture("tutorial"), VPSDE())
    list(trainer)
    save("score.safetensors", trainer.score_fn, trainer.config)
    score_fn = load("score.safetensors")

This needs the package safetensors: `pip install "scoredm[models]"`. A file holds the weights and, under "scoredm" in its metadata
and as JSON, what else makes the network: its class and sizes, its parametrisation, its SDE, and the recipe of its training.

Other programs can evaluate a network that torch has written as ONNX, for batches of any size (this needs the packages onnx and
onnxscript):

    x, t = torch.zeros(2, score_fn.dim), torch.full((2,), 0.5)
    shapes = {"x": {0: "batch"}, "t": {0: "batch"}}
    torch.onnx.export(score_fn.eval(), (x, t), "score.onnx", input_names=["x", "t"], dynamic_shapes=shapes, dynamo=True)

References:
    https://huggingface.co/docs/safetensors for the format.
"""

import json
import os
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from scoredm import sde as sdes
from scoredm.networks import NotebookNet, ScoreNet
from scoredm.sde import SDE
from scoredm.training import TrainConfig

FORMAT_VERSION = 1

NETWORKS = {"ScoreNet": ScoreNet, "NotebookNet": NotebookNet}

# The SDEs that a file can name.
SDES: dict[str, type[SDE]] = {
    name: kind
    for name, kind in vars(sdes).items()
    if isinstance(kind, type) and issubclass(kind, SDE) and is_dataclass(kind) and not name.startswith("_")
}


def save(path: str | os.PathLike[str], model: ScoreNet | NotebookNet, recipe: TrainConfig | None = None) -> None:
    """Write a network to a file, from which `load` makes the same network again.

    Args:
        path: of the file, usually ending in .safetensors; what it held is overwritten.
        model: the network, for example a trainer's `score_fn`.
        recipe: how it was trained; `load_recipe` gives it back.

    Raises:
        ValueError: if the model is no ScoreNet or NotebookNet.
    """
    from safetensors.torch import save as to_bytes

    if NETWORKS.get(type(model).__name__) is not type(model):
        raise ValueError(f"the model is a {type(model).__name__}; only {' and '.join(NETWORKS)} can be saved")
    description = {
        "version": FORMAT_VERSION,
        "network": type(model).__name__,
        "sizes": model.sizes,
        "parametrisation": model.parametrisation,
        "sde": type(model.sde).__name__,
        "sde_parameters": _parameters(model.sde),
        "recipe": asdict(recipe) if recipe else None,
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    # Not by its save_file, whose files only their owner may read.
    Path(path).write_bytes(to_bytes(weights, {"scoredm": json.dumps(description)}))


def load(path: str | os.PathLike[str], sde: SDE | None = None) -> ScoreNet | NotebookNet:
    """Make the network that `save` has written to a file, on the CPU.

    Args:
        path: of the file.
        sde: the SDE that the network was trained for; needed only where that is of a class of your own.

    Returns:
        The network, with the same weights to the last bit.

    Raises:
        ValueError: if the file is damaged, was not written by `save`, or was written by a newer version; if its SDE is of a class
            of your own and is not given; or if the given one is not its SDE.
    """
    description, weights = _read(path)
    try:
        if sde is None:
            sde = _sde(description["sde"], description["sde_parameters"])
        sizes = description["sizes"]
        _check_sizes(sizes, weights)
        model = NETWORKS[description["network"]](sde, **sizes, parametrisation=description["parametrisation"])
        model = model.to(weights["body.0.weight"].dtype)
        model.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{os.fspath(path)} is damaged: {type(error).__name__}, {reason}") from error
    return model


def load_recipe(path: str | os.PathLike[str]) -> TrainConfig | None:
    """The recipe that a network in a file was trained by.

    Args:
        path: of the file.

    Returns:
        The recipe; None if `save` was not given it.

    Raises:
        ValueError: if the file is damaged, was not written by `save`, or was written by a newer version.
    """
    recipe = _read(path)[0].get("recipe")
    try:
        return TrainConfig(**recipe) if recipe else None
    except TypeError as error:
        raise ValueError(f"{os.fspath(path)} is damaged: {error}") from error


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the weights in a file."""
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    try:
        with safe_open(name, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get("scoredm", "null"))
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dictionary
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{name} is damaged, or no safetensors file: {error}") from error
    if not isinstance(description, dict) or not isinstance(description.get("version"), int):
        raise ValueError(f"{name} was not written by scoredm.save: it does not say which network it holds")
    if description["version"] > FORMAT_VERSION:
        raise ValueError(
            f"{name} has version {description['version']} of the format and this scoredm reads up to {FORMAT_VERSION}: "
            "use a newer scoredm"
        )
    return description, weights


def _parameters(sde: SDE) -> dict[str, float] | None:
    """What makes the SDE again; None if it is of a class that is not ours."""
    if SDES.get(type(sde).__name__) is not type(sde) or not is_dataclass(sde):
        return None
    return {field.name: getattr(sde, field.name) for field in fields(sde)}


def _sde(name: str, parameters: dict[str, float] | None) -> SDE:
    if name not in SDES or parameters is None:
        raise ValueError(
            f"the network was trained for an SDE {name}, which is not one of {', '.join(SDES)}; give it as load(path, sde=…)"
        )
    return SDES[name](**parameters)


def _check_sizes(sizes: dict[str, int], weights: dict[str, Tensor]) -> None:
    """Refuse sizes that ask for more numbers than a file has, before memory is taken for them."""
    dim, width, depth = sizes["dim"], sizes["width"], sizes.get("depth", 2)
    held = sum(value.numel() for value in weights.values())
    needed = width * (dim + width * (depth - 1)) + (dim**2 if "depth" in sizes else 0)
    if max(*sizes.values(), needed) > held:
        raise ValueError(f"the file is damaged: a network of {sizes} does not fit the {held} numbers in it")
