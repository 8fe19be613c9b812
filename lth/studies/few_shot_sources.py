"""Ticket files that few-shot training starts from: the model that they are of, the weights that they grew from."""

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth.config.text import last_part, split_arguments
from lth.data import Data, needs_tokens
from lth.lineage import Given, Pretrained, WeightsNode, masks_digest, read_masks_file, read_ticket
from lth.lineage.origin import is_same_origin, origin_words, root_of
from lth.models import MODELS, head_of
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.studies.few_shot_settings import FewShot
from lth.studies.subject import Subject


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A ticket, by what few-shot training needs of it.

    Attributes:
        root: the weights that it grew from.
        counts: kept weights and weights of each tensor.
        is_random: whether it is a random union, which is a control.
        words: what it grew from.
        data: what its masks, or those that it was merged from, were found on.
    """

    root: WeightsNode
    counts: dict[str, tuple[int, int]]
    is_random: bool = False
    data: tuple[str, ...] = ()
    words: str = ""

    def density(self, left_out: Collection[str]) -> float:
        """Return the fraction of the prunable weights that it keeps, of all tensors but some."""
        counts = [each for name, each in self.counts.items() if name not in left_out]
        return sum(kept for kept, _ in counts) / max(1, sum(number for _, number in counts))

    def chosen_with(self, data: str) -> str:
        """Return the end of a sentence that says if its mask was chosen with the labels of some data, else nothing."""
        task, _ = split_arguments(data)
        if task not in {split_arguments(each)[0] for each in self.data}:
            return ""
        part = "its mask" if len(self.data) == 1 else "a part of its mask"
        return f"; {part} was chosen with all training examples of this task"


def with_model(settings: FewShot, data: Data, is_foreign: Callable[[str], bool]) -> FewShot:
    """Return settings with the model, and the weights, that the first ticket's search named.

    Args:
        settings: whose tickets are read.
        data: the target.
        is_foreign: whether a name is that of a model of `transformers` which is at hand.
    Raises:
        ValueError: if it cannot be read, does not say, or takes no texts as the data are.
    """
    is_text = needs_tokens(data) or "vocabulary" in data.facts
    if "model" in settings.written:
        return settings
    if not settings.sources:
        if is_text:
            raise ValueError(
                "give ticket files (lth few-shot A.ticket.safetensors ...), or --model for the dense network alone"
            )
        return settings
    path = Path(settings.sources[0]).expanduser()
    ticket = read_ticket(path)
    labels = _labels(ticket.document)
    name = str(labels.get("model") or ticket.model.name)
    short, _ = split_arguments(name)
    if name == HUGGING_FACE or not (is_foreign(name) or short in MODELS):
        raise ValueError(
            f"{path} is of the model {name!r}, which is not at hand (code that a file names is not run unasked): name "
            "it with --model"
        )
    if is_text and short in MODELS and "input_shape" in inspect.signature(MODELS[short].make).parameters:
        raise ValueError(f"the ticket {path} is of {name}, which takes no tokens; {settings.data} is text")
    start = {} if settings.start_from or not labels.get("start_from") else {"start_from": labels["start_from"]}
    return settings.with_(model=name, **start)


def _labels(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a ticket was called; of a merged one, what the first of its tickets that says it was."""
    if "merged" not in document:
        return dict(document.get("labels") or {})
    return next((labels for labels in (_labels(each) for each in _parts(document)) if labels), {})


def _parts(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents of the tickets that a ticket was merged from; of others its own."""
    if "merged" not in document:
        return [document]
    return [each for each in document["merged"]["tickets"] if isinstance(each.get("merged", {}), dict)]


def with_sources(settings: FewShot, subject: Subject) -> FewShot:
    """Return settings with the digests of the ticket files, which are noted among the sources.

    Raises:
        ValueError: if one is no ticket, is another than before, of another architecture, or grew from other weights.
    """
    if not settings.sources:
        return settings
    paths = [Path(source).expanduser() for source in settings.sources]
    digests = settings.digests or tuple(map(masks_digest, paths))
    anew = drawn_anew(subject)
    for path, digest in zip(paths, digests, strict=True):
        source = opened(path, digest)
        try:
            masks = read_masks_file(path, subject.module, digest, anew)
        except ValueError as error:
            raise ValueError(f"{error} (a ticket of another architecture, or model, than {settings.model})") from error
        first = opened(paths[0], digests[0])
        if not is_same_origin(first.root, source.root, masks, subject.sources):
            raise ValueError(
                f"{paths[0]} grew from {first.words}, {path} from {source.words}: compare tickets of one replicate of "
                "one --seed, or of one pre-trained model"
            )
        subject.sources.weights[digest] = path
    _check_root(opened(paths[0], digests[0]), subject, anew)
    return settings.with_(digests=digests)


def _check_root(source: Source, subject: Subject, anew: Collection[str]) -> None:
    """Check that the weights which tickets grew from are at hand, and are those of this model."""
    root = source.root
    wanted = root.digest if isinstance(root, Pretrained) else ""
    if wanted != subject.pretrained:
        found = f"weights with digest {subject.pretrained[:12]}" if subject.pretrained else "no pre-trained weights"
        raise ValueError(
            f"the tickets grew from {source.words}, and the model brings {found}: name what they grew from with "
            "--model or --start-from"
        )
    if wanted:
        return  # the files that this model was matched with
    theirs = {name: value.shape for name, value in subject.sources.skeleton(root.model).state_dict().items()}
    for name, value in subject.module.state_dict().items():
        if name not in anew and theirs.get(name) != value.shape:
            raise ValueError(
                f"{name} is {list(value.shape)} here and {list(theirs.get(name, ())) or 'missing'} in the tickets' "
                "network: another architecture, or data of another vocabulary"
            )


def drawn_anew(subject: Subject) -> tuple[str, ...]:
    """Return what each replicate draws: the head, and what pre-trained weights lack beside it, as a pooler."""
    return tuple(dict.fromkeys((*head_of(subject.model.name, subject.module), *subject.fresh)))


def masks_of(settings: FewShot, subject: Subject) -> Iterator[tuple[str, Given, bool]]:
    """Give each ticket's name, its masks without those of what is drawn anew, and whether it is a random union."""
    anew = drawn_anew(subject)
    for (name, source), digest in zip(sources_of(settings), settings.digests, strict=True):
        left_out = tuple(each for each in anew if each in source.counts)
        given = Given(model=subject.model, digest=digest, density=source.density(anew), left_out=left_out)
        yield name, given, source.is_random


def sources_of(settings: FewShot) -> Iterator[tuple[str, Source]]:
    """Give the tickets by name, once their digests are known."""
    for name, path, digest in zip(settings.called, settings.sources, settings.digests, strict=True):
        yield name, opened(Path(path).expanduser(), digest)


@lru_cache(maxsize=64)
def opened(path: Path, digest: str) -> Source:
    """Return a ticket file, which has this digest.

    Raises:
        ValueError: if it is no ticket, or another file.
    """
    ticket = read_ticket(path)
    if masks_digest(path) != digest:
        raise ValueError(f"{path} has changed since the study began: put the file back, or start a new study")
    counts = {name: (int(mask.sum()), mask.numel()) for name, mask in ticket.masks.items()}
    merged = ticket.document.get("merged") or {}
    data = (str(each["labels"].get("data", "")) for each in _parts(ticket.document))
    root = root_of(ticket)
    words = origin_words(root, called=last_part(str(_labels(ticket.document).get("model") or "")))
    return Source(root, counts, merged.get("random_union") is not None, tuple(dict.fromkeys(data)), words)
