"""Training loops as others write them, and our engines, each as a way: steps -> seconds.

All start from the same weights under the same masks, see batches of the same size from a new order each epoch, and run
in one thread. What is made once (loader, optimizer, engine) is not timed. Denormals are flushed in our engines, as
workers do, and in `best`; the usual loops compute with them, as PyTorch does unless told otherwise.
"""

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from bench.cases import Case, mask_factors, tensors
from bench.machine import plain_threads
from bench.ratio import Clock, Way, timed
from lth.lineage.executors import one_thread
from lth.training import Where
from lth.training.engines import ENGINES, Engine, choose_engine

Batches = Iterator[tuple[Tensor, Tensor]]

THEIRS = {
    "usual": "usual loop",
    "prune": "torch.nn.utils.prune",
    "best": "plain PyTorch at its best",
}


def usual(case: Case, module: nn.Module, threads: int = 1, clock: Clock = time.process_time) -> Way:
    """DataLoader over tensors, default Adam, masks multiplied into the weights after each step."""
    batches = _loaded(case)
    optimizer = torch.optim.Adam(module.parameters(), lr=case.training.lr)
    masks = mask_factors(module, case.masks)

    def step() -> None:
        images, labels = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            for parameter, mask in masks:
                parameter.mul_(mask)

    return _in_plain_threads(step, threads, clock)


def with_prune(case: Case, module: nn.Module) -> Way:
    """The usual loop with PyTorch's own pruning, which multiplies by the masks in every forward pass."""
    _prune(case, module)
    batches = _loaded(case)
    optimizer = torch.optim.Adam(module.parameters(), lr=case.training.lr)

    def step() -> None:
        images, labels = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return _in_plain_threads(step)


def best(case: Case, module: nn.Module) -> Way:
    """Data in memory, batches by index from a permutation, masked gradients, fused Adam, denormals flushed."""
    masks = mask_factors(module, case.masks)

    def mask_gradients() -> None:
        for parameter, mask in masks:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)

    return _in_memory(case, module, mask_gradients)


def best_with_hooks(case: Case, module: nn.Module) -> Way:
    """`best`, with gradients masked by hooks on the parameters."""
    for parameter, mask in mask_factors(module, case.masks):
        parameter.register_hook(lambda gradient, mask=mask: gradient * mask)  # type: ignore[no-untyped-call]
    return _in_memory(case, module)


def best_with_prune(case: Case, module: nn.Module) -> Way:
    """`best`, with PyTorch's own pruning in place of masked gradients."""
    _prune(case, module)
    return _in_memory(case, module)


OPPONENTS: dict[str, Callable[[Case, nn.Module], Way]] = {"usual": usual, "prune": with_prune, "best": best}


def ours(case: Case, engine: str, members: int = 1, device: str = "cpu") -> Way:
    """One of our engines, by its name or `auto`; on a GPU with as many networks side by side as asked for."""
    running = started(case, engine, members, device)
    done = 0

    def way(steps: int) -> float:
        nonlocal done
        with one_thread():
            # Reading the losses waits for a GPU, which the processor's time does not count.
            clock = time.process_time if device == "cpu" else time.perf_counter
            seconds = timed(lambda: running.advance(done, steps).sum().item(), clock)
        done += steps
        return seconds

    return way


def our_validation(case: Case, engine: str) -> Way:
    """Evaluations of the validation examples by one of our engines."""
    running = started(case, engine)

    def way(times: int) -> float:
        with one_thread():
            return timed(lambda: _repeat(lambda: running.evaluate("validation"), times))

    return way


def usual_validation(case: Case, module: nn.Module) -> Way:
    """Evaluations as the usual loop does them: a DataLoader with batches of 1,000."""
    loader = DataLoader(TensorDataset(*tensors(case.parts["validation"])), batch_size=1000)

    def evaluate() -> None:
        loss, correct = 0.0, 0
        with torch.no_grad():
            for images, labels in loader:
                logits = module(images)
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                correct += int((logits.argmax(1) == labels).sum().item())

    return _in_plain_threads(evaluate)


def started(case: Case, engine: str, members: int = 1, device: str = "cpu") -> Engine:
    """One of our engines at the start of a training; `auto` chooses as it does in `train`."""
    place = torch.device(device)
    chosen = choose_engine(
        engine, case.make(), case.training, device=place, population=members, density=case.density
    ).name
    networks = [case.member() for _ in range(members)]
    with torch.random.fork_rng(devices=[] if device == "cpu" else [place]):
        return ENGINES[chosen].make(networks, case.make(), case.parts, case.training, Where(device=device))


def _repeat(action: Callable[[], object], times: int) -> None:
    for _ in range(times):
        action()


def _in_plain_threads(step: Callable[[], None], threads: int = 1, clock: Clock = time.process_time) -> Way:
    def way(steps: int) -> float:
        with plain_threads(threads):
            return timed(lambda: _repeat(step, steps), clock)

    return way


def _in_memory(case: Case, module: nn.Module, before_step: Callable[[], None] = lambda: None) -> Way:
    batches = _gathered(case)
    optimizer = torch.optim.Adam(module.parameters(), lr=case.training.lr, fused=True)

    def step() -> None:
        images, labels = next(batches)
        optimizer.zero_grad()
        F.cross_entropy(module(images), labels).backward()  # type: ignore[no-untyped-call]
        before_step()
        optimizer.step()

    def way(steps: int) -> float:
        with one_thread():
            return timed(lambda: _repeat(step, steps))

    return way


def _loaded(case: Case) -> Batches:
    loader = DataLoader(TensorDataset(*tensors(case.parts["train"])), batch_size=case.training.batch_size, shuffle=True)
    while True:
        yield from loader


def _gathered(case: Case) -> Batches:
    inputs, labels = tensors(case.parts["train"])
    while True:
        for chosen in torch.randperm(len(labels)).split(case.training.batch_size):  # type: ignore[no-untyped-call]
            yield inputs.index_select(0, chosen), labels.index_select(0, chosen)


def _prune(case: Case, module: nn.Module) -> None:
    """Masks by `torch.nn.utils.prune`, except for the output of PyTorch's attention.

    That matrix is used without a call of its module, so a mask on it is computed once, and the second step fails.
    """
    for name, mask in case.masks.items():
        owner, _, leaf = name.rpartition(".")
        if not owner.endswith("attention.out_proj"):
            prune.custom_from_mask(module.get_submodule(owner), leaf, mask)  # type: ignore[no-untyped-call]
