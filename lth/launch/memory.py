"""What a network takes in memory, found out without its values."""

from dataclasses import dataclass

from torch import nn

from lth.config import SettingsError, check_choice
from lth.launch.weights_place import weights_place
from lth.lineage.executors.workers import free_memory
from lth.lineage.foreign import hugging_face_spec
from lth.lineage.loaded import PRECISIONS
from lth.models import resolve_factory, skeleton
from lth.models.blocks import blocks_of, num_weights
from lth.superweights.protocol import Protocol
from lth.superweights.texts import AT_ONCE

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a network takes in memory, in bytes.

    Attributes:
        parameters: their number; tied ones count once.
        precision: of the weights.
        weights: of all of them.
        blocks: number of blocks.
        largest_block: weights of the largest one.
        outside: weights that stand around the blocks: embeddings, head.
        context: tokens of a forward pass.
        forward: what that pass takes beside the weights: inputs and outputs of every layer of one block, and logits.
        free: what this process may still take; None where that is not known.
    """

    parameters: int
    precision: str
    weights: int
    blocks: int
    largest_block: int
    outside: int
    context: int
    forward: int
    free: int | None

    @property
    def needed(self) -> int:
        """With all weights in memory."""
        return self.weights + self.forward

    @property
    def offloaded(self) -> int:
        """With one block at a time in memory."""
        return self.outside + self.largest_block + self.forward

    @property
    def fits(self) -> bool | None:
        """Whether all weights fit; None where that is not known."""
        return None if self.free is None else self.needed <= self.free

    def rows(self) -> list[tuple[str, str]]:
        """Return the plan for people, a name and a value a row."""
        fits = {None: "not known", True: "yes", False: "no: choose a smaller precision, or --offload"}[self.fits]
        if self.fits is False and self.free is not None and self.offloaded > self.free:
            fits = "no, and with --offload neither"
        return [
            ("parameters", f"{self.parameters:,}"),
            (f"weights in {self.precision}", in_gib(self.weights)),
            ("largest block", f"{in_gib(self.largest_block)} (of {self.blocks})"),
            ("embeddings and head", in_gib(self.outside)),
            (f"forward pass of {self.context:,} tokens", in_gib(self.forward)),
            ("all in memory", in_gib(self.needed)),
            ("with --offload", in_gib(self.offloaded)),
            ("free here", "not known" if self.free is None else in_gib(self.free)),
            ("fits", fits),
        ]


def memory_plan(module: nn.Module, precision: str = "float32", context: int = 512) -> MemoryPlan:
    """Return what a network takes in memory.

    Args:
        module: on the device meta, or any other: only shapes are looked at.
        precision: entry of PRECISIONS.
        context: tokens of a forward pass.
    Raises:
        ValueError: if it has no blocks.
    """
    size = PRECISIONS[check_choice("precision", precision, PRECISIONS)].itemsize
    parameters = num_weights(module)
    _, blocks = blocks_of(module)
    largest = max(blocks, key=num_weights)
    inside = sum(map(num_weights, blocks))
    matrices = [value.shape for value in largest.parameters() if value.ndim == 2]
    widths = sum(sum(shape) for shape in matrices)  # of what goes into each matrix and comes out of it
    embedding = max((value.shape for value in module.parameters() if value.ndim == 2), key=lambda shape: shape[0])
    logits = context * embedding[0] * size + AT_ONCE * embedding[0] * 3 * 4  # losses are taken in float32, in pieces
    return MemoryPlan(
        parameters=parameters,
        precision=precision,
        weights=parameters * size,
        blocks=len(blocks),
        largest_block=num_weights(largest) * size,
        outside=(parameters - inside) * size,
        context=context,
        forward=context * widths * size + logits,
        free=free_memory(),
    )


def memory_of(
    name: str, precision: str = "float32", protocol: str | None = None, head: str | None = None
) -> MemoryPlan:
    """Return what a model of `transformers` takes in memory; nothing but its config.json is read.

    Args:
        name: a folder, a GGUF file, or `hub:OWNER/NAME@REVISION`.
        precision: of the weights.
        protocol: of perplexity, whose context a forward pass has; by default 512 tokens.
        head: as `load_specimen` takes it.
    Raises:
        ValueError: if there is no such model, or its architecture is unknown.
    """
    path = weights_place(name, only=("config.json",))
    if not path.exists():
        raise SettingsError(f"there is no {name}: memory is planned for a folder with config.json, a GGUF file or hub:")
    spec = hugging_face_spec(path, head)
    context = Protocol.parse(protocol).context if protocol else 512
    return memory_plan(skeleton(spec, resolve_factory(spec.name)), precision, context)


def in_gib(number: int) -> str:
    """Return a number of bytes in GiB."""
    return f"{number / GIB:.2f} GiB"
