"""What a network costs on this machine: parameters, operations, bytes and time."""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True)
class RealCost:
    """What a network costs as it stands; zeros in its weights cost as much as other numbers.

    Attributes:
        parameters: numbers that are trained; a shared one counts once.
        flops: floating-point operations for one example, two for a multiply-add, of matrix products, convolutions and
            attention, as `torch.utils.flop_counter` counts them.
        bytes: of the state dict: parameters and buffers.
        milliseconds: for one batch; median over turns.
        turns: milliseconds of each turn.
    """

    parameters: int
    flops: int
    bytes: int
    milliseconds: float
    turns: tuple[float, ...]


def real_costs(
    networks: Mapping[str, nn.Module], batch: tuple[Tensor, ...], *, turns: int = 11, seconds: float = 0.02
) -> dict[str, RealCost]:
    """Return the costs of several networks, by name, in evaluation mode.

    Times are of one CPU thread, and measured in turns, so that a noisy machine troubles all networks alike: compare
    them turn by turn. Modules keep their mode.

    Args:
        networks: what to compare; all take the same inputs.
        batch: inputs, examples along the first axis of each.
        turns: how often each network is timed.
        seconds: how long a turn runs at least.
    Raises:
        ValueError: if there are no inputs or no turns.
    """
    if not batch or not len(batch[0]) or turns < 1:
        raise ValueError("give inputs of at least one example, and at least one turn")
    with _still(networks):
        flops = {name: _flops(network, batch) for name, network in networks.items()}
        repeats = {name: _repeats(network, batch, seconds) for name, network in networks.items()}
        times: dict[str, list[float]] = {name: [] for name in networks}
        for _ in range(turns):
            for name, network in networks.items():
                times[name].append(_milliseconds(network, batch, repeats[name]))
    return {
        name: RealCost(
            parameters=sum(value.numel() for value in network.parameters()),
            flops=flops[name],
            bytes=sum(value.nbytes for value in network.state_dict().values()),
            milliseconds=statistics.median(times[name]),
            turns=tuple(times[name]),
        )
        for name, network in networks.items()
    }


@contextmanager
def _still(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Hold evaluation mode, no gradients and one thread; put everything back afterwards."""
    modes = [(layer, layer.training) for network in networks.values() for layer in network.modules()]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        for network in networks.values():
            network.eval()
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        for layer, mode in modes:
            layer.training = mode


def _flops(network: nn.Module, batch: tuple[Tensor, ...]) -> int:
    # Fused attention is one operation that the counter does not know, so it is spelled out here.
    is_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network(*(tensor[:1] for tensor in batch))
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fused)
    return int(counter.get_total_flops())


def _repeats(network: nn.Module, batch: tuple[Tensor, ...], seconds: float) -> int:
    network(*batch)  # the first run warms up
    return max(1, int(seconds * 1000 / max(1e-6, _milliseconds(network, batch, 1))))


def _milliseconds(network: nn.Module, batch: tuple[Tensor, ...], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        network(*batch)
    return 1000 * (time.perf_counter() - began) / repeats
