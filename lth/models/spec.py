"""What a model is, for the record: a name, its arguments, and how to make it under a seed."""

import hashlib
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from lth.config.choices import check_choice
from lth.config.supermask import SupermaskSettings
from lth.models.supermask import Supermask
from lth.models.table import MODELS

Factory = Callable[..., nn.Module]


class ModelSpec(BaseModel):
    """What determines a freshly made model, apart from its seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="entry of the MODELS table, or the name of a user's model")
    arguments: dict[str, Any] = Field(default={}, description="keyword arguments of the factory")
    version: str = Field(default="1", description="raised by the user when the model's code changes its results")
    structure: str = Field(default="", description="digest of the module's layers, parameter names and shapes")
    draw: str = Field(default="", description="digest of the weights of seed 0, for a user's model: how it initialises")
    supermask: SupermaskSettings | None = Field(
        default=None, description="masks are learned, and the weights stay as drawn; the other fields tell of those"
    )


def resolve_factory(name: str) -> Factory:
    """The function that makes the model: an entry of MODELS, or an importable `package.module:function`.

    Raises:
        ValueError: if the name is neither.
    """
    if ":" in name:
        module_name, _, attribute = name.partition(":")
        try:
            factory = getattr(importlib.import_module(module_name), attribute)
        except Exception as error:  # whatever the user's module raises
            raise ValueError(
                f"cannot import the model {name!r}: {type(error).__name__}: {error}. Give an importable "
                "`package.module:function` (the current folder is on the path)"
            ) from error
        if not callable(factory):
            raise ValueError(
                f"{name!r} is a {type(factory).__name__}; a function or class that makes a module is needed"
            )
        return factory  # type: ignore[no-any-return]
    try:
        return MODELS[check_choice("model", name, MODELS)].make
    except ValueError as error:
        raise ValueError(f"{error}, or a model of your own as `package.module:function`") from None


def describe(
    name: str, factory: Factory, input_shape: tuple[int, ...], num_classes: int, version: str = "1"
) -> ModelSpec:
    """The spec of the model that this factory makes for such data.

    A factory is given `input_shape` and `num_classes` if its signature has them. The structure digest catches most
    edits of a user's module that change its layers, the draw digest those of its initialisation; an edit that changes
    only what `forward` does needs a new `version`.

    Raises:
        ValueError: if the factory fails or returns no module.
    """
    offered: dict[str, Any] = {"input_shape": list(input_shape), "num_classes": num_classes}
    try:
        accepted = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        accepted = {}  # type: ignore[assignment]
    arguments = {key: value for key, value in offered.items() if key in accepted}
    spec = ModelSpec(name=name, arguments=arguments, version=version)
    module = make_model(spec, factory, seed=0)
    _check_outputs(name, module, input_shape, num_classes)
    return spec.model_copy(
        update={"structure": structure_digest(module), "draw": "" if name in MODELS else _draw_digest(module)}
    )


def make_model(spec: ModelSpec, factory: Factory, seed: int) -> nn.Module:
    """A fresh module whose random draws depend on `seed` alone; the global generator is left as it was.

    A supermask has the very weights that the plain model has under this seed.

    Raises:
        ValueError: if the factory fails, returns something else than a module, or its structure differs from the
            spec's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _call_factory(spec, factory)
        return module if spec.supermask is None else Supermask(module, spec.supermask)


def _call_factory(spec: ModelSpec, factory: Factory) -> nn.Module:
    try:
        module = factory(**spec.arguments)
    except Exception as error:  # whatever the user's factory raises
        raise ValueError(
            f"cannot make the model {spec.name!r} with arguments {spec.arguments}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{spec.name!r} made a {type(module).__name__}; a torch.nn.Module is needed")
    if spec.structure and structure_digest(module) != spec.structure:
        raise ValueError(
            f"the model {spec.name!r} no longer has the structure that this result was made with: its layers or "
            f"shapes have "
            "changed. Use the code of that time, or start a new study"
        )
    return module


def structure_digest(module: nn.Module) -> str:
    """16 hex digits that change with the module's layers, its parameter names, shapes or buffers."""
    tensors = [f"{name}:{tuple(value.shape)}" for name, value in module.state_dict().items()]
    return hashlib.sha256("\n".join([repr(module), *tensors]).encode()).hexdigest()[:16]


def _draw_digest(module: nn.Module) -> str:
    content = hashlib.sha256()
    for value in module.state_dict().values():
        content.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return content.hexdigest()[:16]


def _check_outputs(name: str, module: nn.Module, input_shape: tuple[int, ...], num_classes: int) -> None:
    """Runs two blank examples through the model: it must give one logit per class."""
    parameter = next(module.parameters(), torch.zeros(0))
    module.eval()
    try:
        with torch.no_grad():
            outputs = module(torch.zeros(2, *input_shape, dtype=parameter.dtype))
    except Exception as error:  # whatever the user's forward raises
        raise ValueError(
            f"the model {name!r} does not take inputs of shape {(2, *input_shape)}: {type(error).__name__}: {error}"
        ) from error
    finally:
        module.train()
    if not isinstance(outputs, torch.Tensor) or outputs.ndim != 2 or outputs.shape[1] < num_classes:
        found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ValueError(
            f"the model {name!r} gives {found} for 2 examples; logits of shape (2, {num_classes}) are needed"
        )
