"""One run of a network, written down: what each operation makes of the units that go in, and what it needs of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lth.sparsity.compact.units import Atoms, Units


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a PyTorch function.

    Attributes:
        name: of the function, without the underscore of those that work in place.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    def bound(self, *names: str) -> dict[str, Any]:
        """Return the arguments by name, given the names of the positional ones; those left out are None."""
        return dict.fromkeys(names) | dict(zip(names, self.args, strict=False)) | self.kwargs


Handler = Callable[["Tape", Call], bool]
"""Follows the units through one call; False if it cannot, and then all units that go in stay."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Constants that a layer takes into its bias.

    Attributes:
        weight: name of the layer's weight, (output, input, ...).
        bias: name of its bias, which may have to be made.
        known: (input,), which inputs are constant.
        value: (input,), their values.
    """

    weight: str
    bias: str
    known: Tensor
    value: Tensor


class Tape:
    """What is known of one run.

    Attributes:
        atoms: what can be removed.
        folds: the constants that readers take into their biases; complete after `settle`.
        left_alone: why something that might have gone stays, by the place in the network.
        axes: atoms of the entries of parameters and buffers, by name and axis.
        blocks: the name of the query's weight of attention blocks whose heads may go, by path.
        places: paths of the modules that run, the innermost last.
    """

    def __init__(self, module: nn.Module, uses: Mapping[int, int]) -> None:
        tensors = [*module.named_parameters(), *module.named_buffers()]
        self.atoms = Atoms()
        self.folds: list[Fold] = []
        self.left_alone: dict[str, str] = {}
        self.axes: dict[tuple[str, int], Tensor] = {}
        self.blocks: dict[str, str] = {}
        self.places: list[str] = []
        self._module = module
        self._uses = uses
        self._names = {id(value): name for name, value in tensors}
        self._tensors = dict(tensors)
        self._followed: dict[int, tuple[Tensor, Units | None]] = {}
        self._units: list[Units] = []
        self._steps: list[Callable[[], object]] = []

    @property
    def place(self) -> str:
        """Path of the module that runs."""
        return self.places[-1] if self.places and self.places[-1] else "the network"

    def name(self, tensor: object) -> str | None:
        """Return the name of this parameter or buffer, if it is one."""
        return self._names.get(id(tensor))

    def is_single_use(self, tensor: Tensor) -> bool:
        """Return whether only one call of the run takes this parameter."""
        return self._uses.get(id(tensor), 0) == 1

    def units(self, tensor: object) -> Units | None:
        """Return the units of an activation; None if it depends on the input in no way that is followed."""
        return self._followed.get(id(tensor), (None, None))[1]

    def depends_on_input(self, tensor: object) -> bool:
        """Return whether this activation was computed from the input."""
        return id(tensor) in self._followed

    def axis(self, tensor: Tensor, axis: int) -> Tensor:
        """Return atoms of the entries along an axis of a named parameter or buffer."""
        key = (self._names[id(tensor)], axis)
        if key not in self.axes:
            self.axes[key] = self.atoms.new(tensor.shape[axis])
        return self.axes[key]

    def feed(self, units: Units | None, atoms: Tensor) -> None:
        """Let a layer's input entries with these atoms go with the units that come in; from outside they all stay."""
        if units is None:
            self.atoms.keep(atoms)
        else:
            self.atoms.join(units.atoms, atoms)

    def start(self, inputs: tuple[Tensor, ...]) -> None:
        """Take these as the network's inputs, which stay as they are."""
        self._followed |= {id(tensor): (tensor, None) for tensor in inputs}

    def follow(self, output: Tensor, axis: int, atoms: Tensor, known: Tensor, value: Tensor) -> Units:
        """Return the units of a new activation."""
        value = value.detach()
        known = known & torch.isfinite(value)
        units = Units(axis, atoms, known, torch.where(known, value, 0), torch.zeros_like(known))
        self._units.append(units)
        self._followed[id(output)] = (output, units)
        return units

    def then(self, step: Callable[[], object]) -> None:
        """Note what to do on the way back, when it is known what later calls need."""
        self._steps.append(step)

    def stop(self, inputs: object, outputs: object, reason: str) -> None:
        """Keep all units that go in, parameters too; what comes out depends on the input."""
        held = 0
        came_in = [tensor for tensor in tensors_in(inputs) if self.depends_on_input(tensor)]
        for tensor in came_in:
            if (units := self.units(tensor)) is not None:
                self.then(partial(units.needed.fill_, True))
                held += int(units.known.sum())
        for tensor in tensors_in(inputs):
            if self.name(tensor) is not None:
                for axis in range(tensor.ndim):
                    self.atoms.keep(self.axis(tensor, axis))
        if came_in:
            for tensor in tensors_in(outputs):
                self._followed[id(tensor)] = (tensor, None)
        if held:
            self.leave(self.place, held, reason)

    def leave(self, place: str, held: int, reason: str) -> None:
        """Note that so many constant units stay for a reason."""
        plural = "units stay" if held > 1 else "unit stays"
        self.left_alone.setdefault(place, f"{held} constant {plural}: {reason}")

    def owner(self, tensor: Tensor) -> tuple[str, nn.Module]:
        """Return path and module that a parameter belongs to."""
        path = self._names[id(tensor)].rpartition(".")[0]
        return path, self._module.get_submodule(path)

    def settle(self) -> dict[str, dict[int, Tensor]]:
        """Go back through the run; return for each parameter and axis the (entry,) that stay."""
        for step in reversed(self._steps):
            step()
        for units in self._units:
            self.atoms.keep(units.atoms[units.needed])
        stays = self.atoms.kept(list(self.axes.values()))
        kept: dict[str, dict[int, Tensor]] = {}
        for (name, axis), atoms in self.axes.items():
            if not stays[atoms].all():
                kept.setdefault(name, {})[axis] = stays[atoms].nonzero().flatten()
        return kept


class Recorder(TorchFunctionMode):
    """Shows every PyTorch call to the handlers while the network runs, at the level at which its authors wrote it."""

    READS_VALUES = ("__bool__", "__int__", "__float__", "__index__", "item", "tolist", "numpy", "is_nonzero", "equal")

    def __init__(self, tape: Tape, handlers: Mapping[str, Handler]) -> None:
        super().__init__()
        self._tape, self._handlers, self.is_off = tape, handlers, False

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = function(*args, **kwargs)
        if self.is_off:
            return output
        name = getattr(function, "__name__", "")
        is_followed = any(map(self._tape.depends_on_input, tensors_in((args, kwargs))))
        if is_followed and name in self.READS_VALUES:
            raise ValueError(
                f"{self._tape.place} decides by the values of its activations ({name}), so one run does not show what "
                "it does: it cannot be made smaller"
            )
        changed = _changed_in_place(name, args)
        if not any(True for _ in tensors_in(output)) and not changed:
            return output  # a shape, a type: nothing flows
        call = Call(name if name.startswith("__") else name.rstrip("_"), function, args, kwargs, output)
        handler = self._handlers.get(call.name)
        if not is_followed or handler is None or not handler(self._tape, call):
            self._tape.stop((args, kwargs), (output, changed), f"{call.name} is not followed here")
        return output


class _Counter(TorchFunctionMode):
    def __init__(self, counts: Counter[int]) -> None:
        super().__init__()
        self._counts = counts

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        if any(True for _ in tensors_in(output)):
            self._counts.update({id(tensor) for tensor in tensors_in((args, kwargs))})
        return output


Leaf = Callable[[Tape, nn.Module, str, object], None]
"""What to note of a module that is not looked into: (tape, module, its path, its output)."""


def record(
    module: nn.Module, inputs: tuple[Tensor, ...], handlers: Mapping[str, Handler], leaves: Mapping[str, Leaf]
) -> Tape:
    """Return the tape of one run in evaluation mode.

    Args:
        module: the network, with zeros where it is pruned.
        inputs: example inputs.
        handlers: by function name.
        leaves: by module path: what is not looked into. Everything that goes in stays.
    Raises:
        ValueError: if the network decides by values of its activations.
    """
    counts: Counter[int] = Counter()
    with torch.no_grad(), _Counter(counts):
        module(*inputs)
    tape = Tape(module, counts)
    recorder = Recorder(tape, handlers)
    tape.start(inputs)

    def enter(path: str, _module: nn.Module, _inputs: Any) -> None:
        if not recorder.is_off:
            tape.places.append(path)
            recorder.is_off = path in leaves

    def leave(path: str, layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if tape.places[-1] != path or (recorder.is_off and path not in leaves):
            return  # inside of a leaf
        if recorder.is_off:
            tape.stop((args, kwargs), output, "its inside is not followed")
            leaves[path](tape, layer, path, output)
            recorder.is_off = False  # after the notes, whose own sums are no part of the network
        tape.places.pop()

    with ExitStack() as stack:
        for path, layer in module.named_modules():
            stack.callback(layer.register_forward_pre_hook(partial(enter, path)).remove)
            stack.callback(layer.register_forward_hook(partial(leave, path), with_kwargs=True).remove)
        stack.enter_context(torch.no_grad())
        stack.enter_context(recorder)
        output = module(*inputs)
    for tensor in tensors_in(output):
        if (units := tape.units(tensor)) is not None:
            tape.then(partial(units.needed.fill_, True))
    return tape


def tensors_in(values: object) -> Iterator[Tensor]:
    """Return all tensors in nested lists, tuples and dicts, and a module's parameters."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, nn.Module):
        yield from values.parameters()
    elif isinstance(values, Mapping):
        yield from tensors_in(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors_in(value)


def _changed_in_place(name: str, args: tuple[Any, ...]) -> list[Tensor]:
    """Return what a call like `add_` or `x[0] = 1` changes."""
    is_in_place = name == "__setitem__" or (name.endswith("_") and not name.startswith("__"))
    return [args[0]] if is_in_place and args and isinstance(args[0], Tensor) else []
