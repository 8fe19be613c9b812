"""Whole steps as CUDA graphs: one launch a step instead of hundreds, so that small networks do not wait for Python.

The step that is captured is the one that runs elsewhere. It may then neither read a value back nor change which tensors
it works on: what varies from step to step, the examples and the learning rate, is copied into buffers that stay.

Written and tested on a CPU, where the same step runs over the same buffers without a capture; the capture itself has
not been run on a GPU yet.
"""

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from lth.training.population import Population
from lth.training.stacking import STACKINGS, Stacking

GRAPHED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
"""Optimizers whose fused step takes its learning rate from the device."""

WARM_UP = 3
"""Steps before a capture: libraries and the optimizer make their state in the first ones. They count as any other."""

T = TypeVar("T")


class WholeStep:
    """Calls an update over buffers that stay where they are; on a CUDA device, after a few steps, as one graph."""

    def __init__(self, optimizer: torch.optim.Optimizer, indices: Tensor, dtype: torch.dtype) -> None:
        """Takes over the optimizer's learning rate.

        Args:
            optimizer: what the update steps with; it must be one that `can_be_graphed`.
            indices: of the shape, type and device of those of every step.
            dtype: of the learning rate: that of the parameters (the fused kernels on a GPU take float32 alone).
        """
        self._optimizer = optimizer
        self._indices = torch.zeros_like(indices)
        self._lr = torch.zeros((), dtype=dtype, device=indices.device)
        for group in optimizer.param_groups:
            group["lr"] = self._lr
        self._stream = _new_stream(indices.device) if indices.device.type == "cuda" else None
        self._can_capture = self._stream is not None
        self.forget()

    def forget(self) -> None:
        """Drops the graph: call this where tensors that the update uses, as masks, have been replaced by others."""
        self._graph: torch.cuda.CUDAGraph | None = None
        self._losses: Tensor | None = None
        self._num_done = 0

    def __call__(self, update: Callable[[Tensor], Tensor], indices: Tensor, lr: float) -> Tensor:
        """One update with these examples and this learning rate: the losses, in a tensor of their own.

        Args:
            update: one whole update, indices of examples -> losses: the same one at every call, but that what it does
                besides may change at the first call after `forget`.
            indices: of this step's examples.
            lr: of this step.
        """
        self._indices.copy_(indices)
        self._lr.fill_(lr)
        if self._can_capture and self._graph is None and self._num_done >= WARM_UP:
            self._capture(update)
        if self._graph is not None and self._losses is not None:
            self._graph.replay()
            return self._losses.clone()
        self._num_done += 1
        return on_stream(self._stream, lambda: update(self._indices)).clone()

    def _capture(self, update: Callable[[Tensor], Tensor]) -> None:
        assert self._stream is not None
        graph = torch.cuda.CUDAGraph()
        capturable = [group for group in self._optimizer.param_groups if "capturable" in group]
        try:
            # Only while it is captured: outside of a capture the optimizers warn of it.
            for group in capturable:
                group["capturable"] = True
            with torch.cuda.graph(graph, stream=self._stream):
                self._losses = update(self._indices)
            self._graph = graph
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._can_capture, self._losses = False, None
            warnings.warn(
                f"this network's step cannot be captured as a CUDA graph ({str(error).splitlines()[0]}): it runs step "
                "by step, which is slower. A forward pass that reads values back (`.item()`) is the usual cause",
                stacklevel=2,
            )
        finally:
            for group in capturable:
                group["capturable"] = False


def can_be_graphed(optimizer: torch.optim.Optimizer) -> bool:
    """Whether this optimizer's step can be part of a graph; with the others every operation is launched by itself."""
    return type(optimizer) in GRAPHED and all(group.get("fused") for group in optimizer.param_groups)


def on_stream(stream: torch.cuda.Stream | None, call: Callable[[], T]) -> T:
    """What a call gives, done on this stream, in its turn; captures want their warm-up on a stream of its own."""
    if stream is None:
        return call()
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        result = call()
    current.wait_stream(stream)
    return result


def faster_stacking(population: Population, inputs: Tensor, labels: Tensor) -> Stacking:
    """How the forward and backward pass of this stack is faster on its CUDA device: in the loop, or under `vmap`.

    Timed as graphs, as they will run: launched one by one, the loop would look slow whatever its kernels take. `vmap`
    if the loop is not a fifth faster, so that the choice rarely changes from one time to the next. Passes that will be
    compiled are timed as they are before.

    Not run on a GPU yet.
    """
    parameters = list(population.parameters.values())
    seconds: dict[Stacking, float] = {}
    for way in STACKINGS:
        with population.trying(way):
            seconds[way] = _seconds(
                lambda: torch.autograd.grad(population.losses(inputs, labels).sum(), parameters, allow_unused=True),
                population.device,
            )
    return "loop" if seconds["loop"] * 1.2 < seconds["vmap"] else "vmap"


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    stream = _new_stream(device)
    for _ in range(WARM_UP):
        on_stream(stream, run)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            run()
        again: Callable[[], object] = graph.replay
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:
        again = run
    times: list[float] = []
    for _ in range(7):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        began.record()
        again()
        ended.record()
        ended.synchronize()
        times.append(began.elapsed_time(ended) / 1000)
    return min(times)


def _new_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
