"""Stopping in the middle, and going on: which of the snapshots kept a training may start from."""

from collections.abc import Collection, Sequence

from lth.training.snapshot import Snapshot
from lth.training.stacking import STACKINGS, Stacking


def choose_snapshots(
    kept: Sequence[Sequence[Snapshot]],
    signature: str,
    first_step: int,
    checkpoints: Collection[int],
    *,
    from_larger_stack: bool = False,
) -> list[Snapshot]:
    """The newest snapshots of one step that every member has; none if there is no such step.

    Those past a wanted checkpoint do not count: another study may want what the one before did not.

    Args:
        kept: the snapshots of each member.
        signature: of the engine that will go on: with another one the numbers would differ.
        first_step: where the training starts.
        checkpoints: steps that are wanted.
        from_larger_stack: whether snapshots of a larger stack count too.
    """
    limit = min((step for step in checkpoints if step > first_step), default=None)
    usable = [
        {
            (snapshot.step, snapshot.engine): snapshot
            for snapshot in of_member
            if _goes_on(snapshot.engine, signature, from_larger_stack) and (limit is None or snapshot.step < limit)
        }
        for of_member in kept
    ]
    common = set.intersection(*(set(of_member) for of_member in usable))
    return [of_member[max(common)] for of_member in usable] if common else []


def stack_of(signature: str) -> tuple[int, Stacking | None]:
    """Size and way of the stack in the torch engine's signature: 16 and `vmap` of `torch/cuda/16-vmap`; 1 and None."""
    size, _, way = signature.split("/")[2].partition("-")
    return int(size), next((known for known in STACKINGS if known == way), None)


def _goes_on(found: str, own: str, from_larger_stack: bool) -> bool:
    """Whether a training may go on from a snapshot of this signature. A stack goes on in the way that it began."""
    if found == own:
        return True
    one, other = found.split("/"), own.split("/")
    if one[0] != "torch" or [*one[:2], *one[3:]] != [*other[:2], *other[3:]]:
        return False
    (size, way), (own_size, _) = stack_of(found), stack_of(own)
    return way is not None and (size == own_size or (from_larger_stack and size > own_size))
