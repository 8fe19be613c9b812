"""A search that goes on from masks that the user has."""

from pathlib import Path

from lth.lineage import masks_digest, read_masks_file
from lth.sparsity import density
from lth.studies.find_ticket_settings import FindTicket
from lth.studies.subject import Subject


def with_start(settings: FindTicket, subject: Subject) -> FindTicket:
    """Return settings with the digest of the masks that levels go on from; their file is noted among the sources.

    Raises:
        ValueError: if the file cannot be read, is another than before, or does not prune what the settings prune.
    """
    if not settings.start_masks:
        return settings
    path = Path(settings.start_masks).expanduser()
    digest = settings.start_digest or masks_digest(path)
    masks, names = read_masks_file(path, subject.module, digest), subject.prunable(settings.masks)
    if sorted(masks) != sorted(names):
        raise ValueError(
            f"start_masks: {path} has masks of {', '.join(sorted(masks))}; pruned are {', '.join(names)}. Set "
            "--prune-only to the same"
        )
    subject.sources.weights[digest] = path
    return settings.with_(start_digest=digest)


def start_densities(settings: FindTicket, subject: Subject, planned: tuple[float, ...]) -> tuple[float, ...]:
    """Return the densities of levels of which one is that of the given masks.

    Raises:
        ValueError: if the level after it would keep more than the masks do.
    """
    start, later = settings.start_level, planned[settings.start_level + 1 :]
    masks = read_masks_file(subject.sources.weights_file(settings.start_digest), subject.module)
    given = density(masks)
    if later and later[0] >= given:
        raise ValueError(
            f"start_masks keep {100 * given:.3g} % of the weights, and level {start + 1} would keep "
            f"{100 * later[0]:.3g} %: raise --start-level, so that levels go on from there"
        )
    return (*planned[:start], given, *later)
