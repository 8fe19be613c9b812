"""From settings on the command line to studies, and from a name on the command line to what the store holds."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lth.cli.errors import CommandError
from lth.cli.options import resolve
from lth.config import Running, check_choice


def load_studies(settings: list[dict[str, Any]], running: Running) -> list[Any]:
    """The studies that some settings describe; data sets and models are loaded once."""
    from lth.data import load_data
    from lth.models import resolve_factory
    from lth.studies import find_ticket_study

    loaded: dict[str, Any] = {}
    studies = []
    for each in settings:
        config = resolve(each)
        factory = resolve_factory(config.model)
        if config.data not in loaded:
            loaded[config.data] = load_data(config.data, running.folder)
        studies.append(find_ticket_study(config, factory, loaded[config.data]))
    return studies


def execution(running: Running) -> Any:
    """How trainings run here.

    Raises:
        CommandError: if a GPU is asked for and there is none.
    """
    import torch

    from lth.lineage import Execution

    if running.device == "cuda" and not torch.cuda.is_available():
        raise CommandError("--device cuda: PyTorch sees no GPU here. Leave the option out, or see `lth doctor`")
    workers = {} if running.workers is None else {"workers": running.workers}
    population = running.population if running.device == "cuda" else 1
    return Execution(device=running.device, population=population, engine=running.engine, **workers)


def engines(trainings: Iterable[tuple[str, Any]], sources: Any, how: Any) -> list[dict[str, Any]]:
    """Which engine trains what, and why: as `engine`, `reason` and the `arms` that it trains.

    Args:
        trainings: each with the name of its arm.
        sources: make their modules.
        how: the Execution.
    Raises:
        ValueError: if the engine that was asked for cannot train one of them.
    """
    trainings = list(trainings)
    choices = how.choices((trained for _, trained in trainings), sources)
    found: dict[Any, list[str]] = {}
    for arm, trained in trainings:
        arms = found.setdefault(choices[trained.key], [])
        if arm not in arms:
            arms.append(arm)
    return [{"engine": choice.name, "reason": choice.reason, "arms": arms} for choice, arms in found.items()]


def engine_lines(found: list[dict[str, Any]]) -> list[str]:
    """The same for people, a line an engine; arms are named where they differ."""
    parts = [f" for {', '.join(row['arms'])}" if len(found) > 1 else "" for row in found]
    return [f"engine: {row['engine']}{part} ({row['reason']})" for row, part in zip(found, parts, strict=True)]


def study_documents(store: Path) -> list[dict[str, Any]]:
    """What the store notes of its studies, oldest first.

    Raises:
        CommandError: if a note is damaged.
    """
    documents = []
    for path in store.glob("studies/*/study.json"):
        try:
            document = json.loads(path.read_text())
            documents.append(
                document | {"folder": path.parent, "created": document["created"], "runs": document["runs"]}
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(
                f"{path} is damaged ({error}): remove the folder {path.parent}; its trainings are kept"
            ) from error
    return sorted(documents, key=lambda document: str(document["created"]))


def find_study(name: str, store: Path) -> dict[str, Any] | None:
    """The one study whose ID starts with this, or None.

    Raises:
        CommandError: if several do.
    """
    found = [document for document in study_documents(store) if document["id"].startswith(name)]
    if len(found) > 1:
        raise CommandError(f"{name!r} is short for several studies: {', '.join(document['id'] for document in found)}")
    return found[0] if found else None


def unknown_id(name: str, store: Path) -> CommandError:
    """The error for an ID that the store does not hold."""
    ids = [document["id"] for document in study_documents(store)]
    if not ids:
        return CommandError(f"the store {store} holds no studies: name another with --store, or run `lth find-ticket`")
    try:
        check_choice("study", name, ids)
    except ValueError as error:
        return CommandError(f"{error}. `lth ls` lists them")
    raise AssertionError("a known study was looked for and not found")
