"""Masks that hold in any training loop, given at the start or chosen while it runs."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lth.config.choices import check_choice
from lth.config.sparsifier import Sparsifier
from lth.sparsity.metrics import density
from lth.sparsity.types import Masks
from lth.training.guard.hold import Hold
from lth.training.guard.masks import prunable_masks
from lth.training.guard.optimizer import check_held, is_skipped, plain_optimizer
from lth.training.guard.parameters import checked_masks, parameters_of
from lth.training.guard.pruner import Pruner
from lth.training.sparsifiers import SPARSIFIERS, Application, plan_sparsifier


def guard(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    masks: Mapping[str, Tensor] | None = None,
    *,
    fill: Literal["zero", "keep"] = "zero",
    method: str | None = None,
    steps: int | None = None,
    prune_only: Sequence[str] = (),
    never_prune: Sequence[str] = (),
    steps_per_epoch: int | None = None,
    seed: int = 0,
    same_on_all_ranks: bool = True,
    **settings: Any,
) -> "Guard":
    """Keep pruned weights pruned from now on, in a training loop of any kind; with a method, prune while it runs.

    After every step of the optimizer a pruned entry is bit-equal to its fill value, whatever momentum and weight decay
    do. Its gradient is zero as soon as it arrives, so that a norm that is clipped counts kept weights alone. Only
    where a method grows weights by their gradients (`rigl`) do dense gradients pass, on the steps of its exchanges:
    a norm that is clipped there counts pruned weights too. Steps that a GradScaler skips do not count.

    Args:
        model: any module, wrapped by `DistributedDataParallel` or `torch.compile` or not.
        optimizer: a `torch.optim.Optimizer` that holds the masked parameters; wrappers of Accelerate and Lightning are
            taken off.
        masks: `torch.bool` by parameter name, True keeps. With a method: what it may prune, by default every prunable
            weight.
        fill: what pruned entries of `masks` are: `zero`, or `keep`, the values that they have now.
        method: entry of SPARSIFIERS (gradual, set, rigl, soft, noise, or your own); None keeps the masks as they are.
        steps: optimizer steps of the whole loop, for a method.
        prune_only: patterns of the parameters to prune, where no masks are given.
        never_prune: patterns of parameters that stay dense, where no masks are given.
        steps_per_epoch: for methods that change their masks every epoch (`noise`).
        seed: of what a method draws; the same on every rank.
        same_on_all_ranks: whether, under torch.distributed, every mask change is taken from rank 0.
        settings: of the method: fields of `lth.config.Sparsifier` (density, scope, criterion, begin, end,
            applications, curve, update_fraction, moments, ...).
    Raises:
        ValueError: if the masks do not fit the model, the optimizer lacks one of their parameters, or the settings do
            not fit together.

    Example:
        >>> model = nn.Linear(4, 2)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> half = guard(model, optimizer, {"weight": torch.tensor([[True, False] * 2] * 2)})
        >>> half.density
        0.5
    """
    check_choice("fill", fill, ("zero", "keep"))
    if masks is None and method is None:
        raise ValueError(f"neither masks nor a method: give masks to keep, or one of {', '.join(SPARSIFIERS)}")
    allowed = (
        prunable_masks(model, prune_only=prune_only, never_prune=never_prune)
        if masks is None
        else checked_masks(masks, model)
    )
    parameters = {name: value for name, value in parameters_of(model).items() if name in allowed}
    plain = plain_optimizer(optimizer)
    check_held(plain, parameters)
    if fill == "zero":
        with torch.no_grad():
            for name, value in parameters.items():
                value.masked_fill_(~allowed[name], 0.0)
    planned = _planned(method, steps, steps_per_epoch, settings)
    pruner = planned and Pruner(*planned, parameters, allowed, plain, seed=seed, same_on_all_ranks=same_on_all_ranks)
    return Guard(parameters, plain, allowed, pruner)


class Guard:
    """Made by `guard`; works until `remove()`, or to the end of a `with` block.

    Attributes:
        step: optimizer steps so far; counted only where a method must know.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        masks: Masks,
        pruner: Pruner | None,
    ) -> None:
        self.step = 0
        self._optimizer, self._pruner = optimizer, pruner
        self._shapes = {name: tuple(value.shape) for name, value in parameters.items()}
        self._hold = Hold(parameters)
        self._hold.set(masks)
        self._handles = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        self._change()

    @property
    def masks(self) -> Masks:
        """The masks by parameter name; with a method, those that it has chosen so far."""
        return dict(self._pruner.masks if self._pruner else self._hold.masks)

    @property
    def density(self) -> float:
        """Fraction of the masked parameters' weights that is kept."""
        return density(self.masks)

    def apply(self) -> None:
        """Put pruned entries back by hand, after an edit of the weights that no optimizer made."""
        self._hold.apply()

    def remove(self) -> None:
        """Let go of model and optimizer; the weights stay as they are."""
        self._hold.remove()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on, in copies: `step`, `settings`, and `tensors` by `role/name`."""
        tensors = {f"held/{name}": mask.clone() for name, mask in self._hold.masks.items()}
        tensors |= {f"fill/{name}": value.clone() for name, value in self._hold.fills().items()}
        tensors |= self._pruner.tensors() if self._pruner else {}
        return {"step": self.step, "settings": self._settings(), "tensors": tensors}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state_dict` was taken; model and optimizer load their own states.

        Raises:
            ValueError: if the state is of another guard: other parameters, or other settings of a method.
        """
        if state["settings"] != self._settings():
            raise ValueError(
                f"the state is of a guard with the settings {state['settings']}, this one has {self._settings()}: make "
                "it with the same"
            )
        tensors: Mapping[str, Tensor] = state["tensors"]
        held = {path.removeprefix("held/"): mask for path, mask in tensors.items() if path.startswith("held/")}
        shapes = {name: tuple(mask.shape) for name, mask in held.items()}
        if shapes != self._shapes:
            wrong = [name for name in {**shapes, **self._shapes} if shapes.get(name) != self._shapes.get(name)]
            raise ValueError(f"the state does not fit this guard: {', '.join(wrong)} differ in name or shape")
        self.step = state["step"]
        fills = {path.removeprefix("fill/"): value for path, value in tensors.items() if path.startswith("fill/")}
        devices = {name: mask.device for name, mask in self._hold.masks.items()}
        self._hold.set({name: held[name].to(devices[name], copy=True) for name in self._shapes}, fills)
        self._hold.apply()
        if self._pruner:
            self._pruner.restore(tensors, self.step)
            self._hold.is_open = self._pruner.is_due(self.step, has_gradients=True)

    def _settings(self) -> dict[str, Any] | None:
        return self._pruner.settings.model_dump() if self._pruner else None

    def _before_step(
        self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Do what needs the gradients of the step: now, or after the closure that makes them."""
        if not self._pruner or not (self._hold.is_open or self._pruner.has_sums):
            return None
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            self._read_gradients()
            return None
        if "closure" in kwargs:
            return args, kwargs | {"closure": self._reading(closure)}
        return (args[0], self._reading(closure), *args[2:]), kwargs

    def _reading(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def wrapped() -> Any:
            loss = closure()
            self._read_gradients()
            return loss

        return wrapped

    @torch.no_grad()
    def _read_gradients(self) -> None:
        assert self._pruner is not None
        if is_skipped(self._optimizer):
            return
        if self._hold.is_open:
            self._pruner.change(self.step, has_gradients=True)
            self._hold.set(self._pruner.in_force())
            self._hold.is_open = False
            self._hold.mask_gradients()
        self._pruner.add_to_sums()

    def _after_step(self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._hold.apply()
        if self._pruner and not is_skipped(optimizer):
            self.step += 1
            self._change()

    @torch.no_grad()
    def _change(self) -> None:
        """Make what is due after the steps so far; open the gradients for what waits for them."""
        if self._pruner is None:
            return
        if self._pruner.is_due(self.step, has_gradients=False):
            self._pruner.change(self.step, has_gradients=False)
            self._hold.set(self._pruner.in_force())
        self._hold.is_open = self._pruner.is_due(self.step, has_gradients=True)

    def __enter__(self) -> "Guard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    def __repr__(self) -> str:
        method = f", {self._pruner.settings.method} after {self.step} steps" if self._pruner else ""
        return f"Guard({len(self._shapes)} parameters, density {self.density:.4g}{method})"


def _planned(
    method: str | None, steps: int | None, steps_per_epoch: int | None, settings: Mapping[str, Any]
) -> tuple[Sparsifier, list[Application]] | None:
    """Return a method's settings and the changes that it makes; None without a method."""
    if method is not None:
        if steps is None:
            raise ValueError(f"method {method!r} must know how long the loop is: give steps, its optimizer steps")
        sparsifier = _sparsifier(method, settings)
        return sparsifier, plan_sparsifier(sparsifier, steps, steps_per_epoch=steps_per_epoch)
    given = {"steps": steps, "steps_per_epoch": steps_per_epoch, **settings}
    if unread := [name for name, value in given.items() if value is not None]:
        raise ValueError(
            f"{', '.join(unread)}: only a method reads these. Give one of {', '.join(SPARSIFIERS)}, or masks alone"
        )
    return None


def _sparsifier(method: str, settings: Mapping[str, Any]) -> Sparsifier:
    fields = [name for name in Sparsifier.model_fields if name != "method"]
    for name in settings:
        check_choice("setting", name, fields)
    try:
        return Sparsifier(method=method, **settings)
    except ValidationError as error:
        causes = [f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in error.errors()]
        raise ValueError(f"settings of method {method!r}: {'; '.join(causes)}") from error
