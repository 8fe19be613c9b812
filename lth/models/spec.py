"""What a model is, for the record: a name, its arguments, and how to make it under a seed."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lth.config.arguments import parameters_of
from lth.config.errors import SettingsError
from lth.config.supermask import SupermaskSettings
from lth.models.check import first_line
from lth.models.dropout import InputDropout, with_dropout
from lth.models.hugging_face import CHECKPOINTS
from lth.models.imports import resolve_function
from lth.models.lazy import finish, is_unfinished
from lth.models.seeding import seeded
from lth.models.structure import named_tensors, structure_digest
from lth.models.supermask import Supermask
from lth.models.table import MODELS, split_model

Factory = Callable[..., nn.Module]
"""Whatever makes a `torch.nn.Module`, given facts of the data that its parameters name."""


class ModelSpec(BaseModel):
    """What determines a freshly made model, apart from its seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="entry of the MODELS table, or the name of a user's model")
    arguments: dict[str, Any] = Field(default={}, description="keyword arguments of the factory")
    version: str = Field(default="1", description="raised by the user when the model's code changes its results")
    structure: str = Field(default="", description="digest of the module's layers, parameter names and shapes")
    draw: str = Field(default="", description="digest of the weights of seed 0, for a user's model: how it initialises")
    first_call: dict[str, tuple[str, tuple[int, ...]]] = Field(
        default={}, description="of a model that infers sizes at its first call: type and shape of what it is given"
    )
    supermask: SupermaskSettings | None = Field(
        default=None, description="masks are learned, and the weights stay as drawn; the other fields tell of those"
    )
    dropout: InputDropout | None = Field(default=None, description="inputs of layers are dropped while it trains")


def plain(value: Any) -> Any:
    """Return a value with lists in place of tuples, as it comes back from JSON."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def resolve_factory(name: str) -> Factory:
    """Return the function that makes a model: an entry of MODELS, or an importable `package.module:function`.

    Args:
        name: arguments behind it, as in `gpt2:n_embd=64`, are left to `describe`.
    Raises:
        ValueError: if the name is neither.
    """
    name, _ = split_model(name)
    if ":" not in name:
        try:
            return MODELS.pick(name).make
        except SettingsError as error:
            raise SettingsError(
                f"{error}, a model of your own as `package.module:function`, or one of transformers as a folder with "
                f"config.json, hub:OWNER/NAME, or {', '.join(CHECKPOINTS)}"
            ) from None
    return resolve_function(name, "model")


def make_model(spec: ModelSpec, factory: Factory, seed: int, device: torch.device | str | None = None) -> nn.Module:
    """Return a fresh module whose random draws depend on `seed` alone.

    The global generators of torch, numpy and python are seeded for the factory, and left as they were; a factory with
    an argument `seed` is given it. A supermask has the very weights that the plain model has under this seed.

    Args:
        spec: what is made.
        factory: what makes it.
        seed: of the weights.
        device: where the module goes after it was drawn; None leaves it where the factory puts it.
    Raises:
        ValueError: if the factory fails, returns something else than a module, or its structure differs from the
            spec's.
    """
    with seeded(seed):
        module = _made(spec, factory, seed)
        if any(value.is_meta for _, value in named_tensors(module)):
            raise ValueError(f"the model {spec.name!r} has tensors without values (device meta): give them values")
        return module if device is None else module.to(device)


def skeleton(spec: ModelSpec, factory: Factory) -> nn.Module:
    """Return a module for names and shapes, without values where the factory allows it.

    It is kept for later calls: leave it as it is.

    Raises:
        ValueError: as `make_model`.
    """
    try:
        return _skeleton(spec.model_dump_json(), factory)
    except TypeError:  # a factory, or an argument, that cannot be kept in a table
        return _bare(spec, factory)


@functools.lru_cache(maxsize=16)
def _skeleton(document: str, factory: Factory) -> nn.Module:
    return _bare(ModelSpec.model_validate_json(document), factory)


def _bare(spec: ModelSpec, factory: Factory) -> nn.Module:
    try:
        with torch.device("meta"), _Undrawn(), seeded(0), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = _made(spec, factory, 0)
        if all(value.is_meta for _, value in named_tensors(module)):
            return module
    except Exception:  # a factory that reads values needs real ones
        pass
    return make_model(spec, factory, 0)


class _Undrawn(TorchFunctionMode):
    """Draw nothing into tensors without values: for those PyTorch would load its compiler, which takes a second."""

    draws = frozenset({Tensor.normal_, Tensor.uniform_})

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in self.draws and args[0].is_meta:
            return args[0]
        return function(*args, **(kwargs or {}))


def _made(spec: ModelSpec, factory: Factory, seed: int) -> nn.Module:
    takes_seed = "seed" in parameters_of(factory)[0]
    try:
        module = factory(**spec.arguments, **({"seed": seed} if takes_seed else {}))
        if isinstance(module, nn.Module) and spec.first_call and is_unfinished(module):
            finish(module, spec.first_call)
    except Exception as error:  # whatever the user's factory raises
        raise ValueError(
            f"cannot make the model {spec.name!r} with arguments {spec.arguments}: {first_line(error)}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"{spec.name!r} made a {type(module).__name__}; a torch.nn.Module is needed")
    if spec.structure and structure_digest(module) != spec.structure:
        raise ValueError(
            f"the model {spec.name!r} no longer has the structure that this result was made with: its layers or "
            "shapes have changed. Use the code of that time, or start a new study"
        )
    if spec.dropout is not None:
        module = with_dropout(module, spec.dropout)
    return module if spec.supermask is None else Supermask(module, spec.supermask)
