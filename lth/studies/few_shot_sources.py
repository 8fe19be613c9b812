"""Ticket files that few-shot training starts from: the model that they are of, the weights that they grew from."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth.config.text import split_arguments
from lth.lineage import Given, Pretrained, WeightsNode, masks_digest, read_masks_file, read_ticket
from lth.lineage.origin import is_same_origin, origin_words, root_of
from lth.models import MODELS, head_of
from lth.models.hugging_face import CHECKPOINTS
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.studies.few_shot_settings import FewShot
from lth.studies.subject import Subject


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A ticket, by what few-shot training needs of it.

    Attributes:
        root: the weights that it grew from.
        counts: kept weights and weights of each tensor.
    """

    root: WeightsNode
    counts: dict[str, tuple[int, int]]

    def density(self, left_out: Collection[str]) -> float:
        """Return the fraction of the prunable weights that it keeps, of all tensors but some."""
        counts = [each for name, each in self.counts.items() if name not in left_out]
        return sum(kept for kept, _ in counts) / max(1, sum(number for _, number in counts))


def with_model(settings: FewShot) -> FewShot:
    """Return settings with the model, and the weights, that the first ticket's search named.

    Raises:
        ValueError: if it cannot be read, or does not say.
    """
    if not settings.sources or "model" in settings.written:
        return settings
    path = Path(settings.sources[0]).expanduser()
    ticket = read_ticket(path)
    labels = _labels(ticket.document)
    name = str(labels.get("model") or ticket.model.name)
    short, _ = split_arguments(name)
    is_folder = name.startswith("hub:") or name in CHECKPOINTS or (Path(name).expanduser() / "config.json").is_file()
    if name == HUGGING_FACE or not (is_folder or short in MODELS):
        raise ValueError(
            f"{path} is of the model {name!r}, which is not at hand (code that a file names is not run unasked): name "
            "it with --model"
        )
    start = {} if settings.start_from or not labels.get("start_from") else {"start_from": labels["start_from"]}
    return settings.with_(model=name, **start)


def _labels(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a ticket was called; of a merged one, what the first of its tickets that says it was."""
    if "merged" not in document:
        return dict(document.get("labels") or {})
    parts = (_labels(each) for each in document["merged"]["tickets"] if isinstance(each.get("merged", {}), dict))
    return next((labels for labels in parts if labels), {})


def with_sources(settings: FewShot, subject: Subject) -> FewShot:
    """Return settings with the digests of the ticket files, which are noted among the sources.

    Raises:
        ValueError: if one is no ticket, is another than before, of another architecture, or grew from other weights.
    """
    if not settings.sources:
        return settings
    paths = [Path(source).expanduser() for source in settings.sources]
    digests = settings.digests or tuple(map(masks_digest, paths))
    head = head_of(subject.model.name, subject.module)
    for path, digest in zip(paths, digests, strict=True):
        source = opened(path, digest)
        try:
            masks = read_masks_file(path, subject.module, digest, head)
        except ValueError as error:
            raise ValueError(f"{error} (a ticket of another architecture, or model, than {settings.model})") from error
        first = opened(paths[0], digests[0]).root
        if not is_same_origin(first, source.root, masks, subject.sources):
            raise ValueError(
                f"{path} grew from other weights than {paths[0]}, {origin_words(source.root)} and "
                f"{origin_words(first)}: compare tickets of one origin"
            )
        subject.sources.weights[digest] = path
    _check_root(opened(paths[0], digests[0]).root, subject, head)
    return settings.with_(digests=digests)


def _check_root(root: WeightsNode, subject: Subject, head: Collection[str]) -> None:
    """Check that the weights which tickets grew from are at hand, and are those of this model."""
    wanted = root.digest if isinstance(root, Pretrained) else ""
    if wanted != subject.pretrained:
        found = f"weights with digest {subject.pretrained[:12]}" if subject.pretrained else "no pre-trained weights"
        raise ValueError(
            f"the tickets grew from {origin_words(root)}, and the model brings {found}: name what they grew from with "
            "--model or --start-from"
        )
    theirs = {name: value.shape for name, value in subject.sources.skeleton(root.model).state_dict().items()}
    for name, value in subject.module.state_dict().items():
        if name not in head and theirs.get(name) != value.shape:
            raise ValueError(
                f"{name} is {list(value.shape)} here and {list(theirs.get(name, ())) or 'missing'} in the tickets' "
                "network: another architecture, or data of another vocabulary"
            )


def masks_of(settings: FewShot, subject: Subject) -> Iterator[tuple[str, Given]]:
    """Give the masks of each ticket, by its name; those of the head are left out."""
    head = head_of(subject.model.name, subject.module)
    for name, digest in zip(settings.called, settings.digests, strict=True):
        source = opened(subject.sources.weights_file(digest), digest)
        left_out = tuple(each for each in head if each in source.counts)
        yield name, Given(model=subject.model, digest=digest, density=source.density(head), left_out=left_out)


@lru_cache(maxsize=64)
def opened(path: Path, digest: str) -> Source:
    """Return a ticket file, which has this digest.

    Raises:
        ValueError: if it is no ticket, or another file.
    """
    ticket = read_ticket(path)
    if masks_digest(path) != digest:
        raise ValueError(f"{path} has changed since the study began: put the file back, or start a new study")
    return Source(root_of(ticket), {name: (int(mask.sum()), mask.numel()) for name, mask in ticket.masks.items()})
