"""Stopping in the middle, and going on: which of the snapshots kept a training may start from."""

from collections.abc import Collection, Iterable, Sequence

from lth.training.engines.signature import Signature
from lth.training.snapshot import Snapshot


def choose_snapshots(
    kept: Sequence[Iterable[Snapshot]],
    signature: str,
    first_step: int,
    checkpoints: Collection[int],
) -> list[Snapshot]:
    """Return the newest snapshots of one step that every member has; none if there is no such step.

    Those past a wanted checkpoint do not count: another study may want what the one before did not.

    Args:
        kept: the snapshots of each member, newest first; of one alone no more are read than are looked at.
        signature: of the engine that will go on: with another one the numbers would differ. Snapshots whose own is of
            an unknown form do not count.
        first_step: where the training starts.
        checkpoints: steps that are wanted.
    """
    own = Signature.parse(signature)
    assert own is not None

    def counts(snapshot: Snapshot) -> bool:
        begun = Signature.parse(snapshot.signature)
        return begun is not None and own.goes_on_from(begun)

    limit = min((step for step in checkpoints if step > first_step), default=None)

    def is_usable(snapshot: Snapshot) -> bool:
        return counts(snapshot) and (limit is None or snapshot.step < limit)

    if len(kept) == 1:
        newest = next((snapshot for snapshot in kept[0] if is_usable(snapshot)), None)
        return [] if newest is None else [newest]
    usable = [
        {(snapshot.step, snapshot.signature): snapshot for snapshot in of_member if is_usable(snapshot)}
        for of_member in kept
    ]
    common = set.intersection(*(set(of_member) for of_member in usable))
    return [of_member[max(common)] for of_member in usable] if common else []
