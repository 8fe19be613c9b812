"""From settings to a study that is ready to plan: names checked, defaults filled in, points derived."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lth.analysis.points import Arm, Point
from lth.analysis.significance import CORRECTIONS
from lth.config import StudySettings
from lth.data import Data
from lth.lineage import Job, Sources
from lth.models import Factory
from lth.sparsity import left_out
from lth.studies.make_subject import Loaded, make_subject
from lth.studies.pruning import with_dense_head
from lth.studies.study_type import StudyType
from lth.studies.subject import Subject
from lth.tasks import Task, make_task
from lth.training import seeds_of


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A study, ready to plan.

    Attributes:
        id: 12 hex digits that follow from everything that determines the results.
        type: its kind.
        settings: with every default filled in.
        subject: what it is about.
        points: every measurement, in the order of its axes.
    """

    id: str
    type: StudyType[Any]
    settings: StudySettings
    subject: Subject
    points: tuple[Point, ...]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms of its kind and of its settings, in the order of every legend."""
        return all_arms(self.type, self.settings)

    @property
    def sources(self) -> Sources:
        """The live model factory, data and functions."""
        return self.subject.sources

    @property
    def task(self) -> Task:
        """What is learned."""
        return make_task(self.subject.training.task)

    @property
    def data_note(self) -> str:
        """What is to be known of the data where a score stands: the fact `note`, which goes on from 'The data are'."""
        return self.subject.data_note

    @property
    def notes(self) -> list[str]:
        """What is to be known of all data of the study, in sentences."""
        others = [(f"The data of the {name}", other.data_note) for name, other in self.subject.others.items()]
        own = ("The data", self.data_note)
        return [f"{of} are {note}." for of, note in (own, *(each for each in others if each[1] != own[1])) if note]

    @property
    def targets(self) -> list[Job]:
        """The jobs to build, in order."""
        return list({point.job.key: point.job for point in self.points}.values())

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON values, with the digests that they were resolved to."""
        resolved = {"data_digest": self.subject.data.digest, "model_structure": self.subject.model.structure}
        if self.subject.pretrained:
            resolved |= {"pretrained_digest": self.subject.pretrained}
        if self.subject.head_words:
            resolved |= {"head_match": "; ".join(self.subject.head_words)}
        if self.data_note:
            resolved |= {"data_note": self.data_note}
        for name, other in self.subject.others.items():
            resolved |= {f"{name}_data_digest": other.data.digest}
        return self.settings.flat() | resolved


def prepare(
    study_type: StudyType[Any],
    settings: StudySettings,
    factory: Factory,
    data: Data,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    weights: tuple[str, Path] | None = None,
    model: tuple[str, Mapping[str, Any]] | None = None,
    others: Mapping[str, Loaded] | None = None,
) -> Study:
    """Return the study that some settings describe.

    Args:
        study_type: its kind.
        settings: its `model` names the factory and its `data` the data set.
        factory: makes the model.
        data: the data set.
        functions: the user's own training and evaluation functions, by name.
        weights: digest and place of those that networks start from.
        model: name and arguments of the model for the record, where `settings.model` is the place of one.
        others: what was loaded for the study's further subjects; by default each has the study's own model and data.
    Raises:
        ValueError: if a name is unknown, a setting does not fit the model or the data, or nothing can be pruned.
    """
    CORRECTIONS.pick(settings.correction)
    main = Loaded(settings, factory, data, functions or {}, weights, model)
    others = _others(study_type, main, others or {})
    if study_type.adapt is not None:
        main = replace(main, data=study_type.adapt(settings, data, {name: each.data for name, each in others.items()}))
    settings, subject = make_subject(main)
    if others:
        subject = subject.beside({name: make_subject(each)[1] for name, each in others.items()})
    settings, given = with_dense_head(settings, subject), settings
    if study_type.resolve is not None:
        settings = study_type.resolve(settings, subject)
    if study_type.traces is not None:
        subject = subject.with_traces(study_type.traces(settings))
    _warn_of_left_out(given, subject)
    points = [
        point
        for replicate in range(settings.replicates)
        for point in study_type.derive(settings, subject, seeds_of(settings.seed, replicate), replicate)
    ]
    order = {arm.name: index for index, arm in enumerate(all_arms(study_type, settings))}
    points.sort(key=lambda point: (_place(point, study_type.axis), order[point.arm], point.replicate))
    return Study(_identity(study_type, settings, subject), study_type, settings, subject, tuple(points))


def _others(study_type: StudyType[Any], main: Loaded, given: Mapping[str, Loaded]) -> dict[str, Loaded]:
    """Return what the further subjects of a study are made of: what was loaded for them, else what the study's own is.

    Raises:
        ValueError: if one has other data, or another model, which were not loaded.
    """
    found = {}
    for name, wanted in (study_type.others(main.settings) if study_type.others else {}).items():
        same = all(getattr(wanted, each) == getattr(main.settings, each) for each in ("model", "data", "start_from"))
        if name not in given and not same:
            raise ValueError(f"{name}: {wanted.model} on {wanted.data} was not loaded; `load_studies` loads it")
        found[name] = given.get(name) or replace(main, settings=wanted)
    return found


def all_arms(study_type: StudyType[Any], settings: StudySettings) -> tuple[Arm, ...]:
    """Return the arms that a kind of study has with these settings."""
    return study_type.arms + (() if study_type.arms_of is None else study_type.arms_of(settings))


def _place(point: Point, axis: str) -> tuple[int, float, str]:
    value = point.at.get(axis, 0)
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))


def _identity(study_type: StudyType[Any], settings: StudySettings, subject: Subject) -> str:
    """Return the ID of a study: a short hash of its resolved settings.

    The keys of its jobs cannot stand in for it: they know nothing of what analysis alone reads (margin, confidence),
    and studies of two kinds may share all their jobs. As in those keys, what is at its default is left out, so that new
    fields change no ID.
    """
    described: dict[str, Any] = {"study": study_type.name, "settings": settings.flat(only_changed=True)}
    for name, spec in (("model", subject.model), ("data", subject.data), ("task", subject.training.task)):
        described[name] = spec.model_dump(mode="json", exclude_defaults=True)
    if subject.pretrained:
        described["start_from"] = subject.pretrained
    for name, other in subject.others.items():
        specs = {"model": other.model, "data": other.data, "task": other.training.task}
        described.setdefault("others", {})[name] = {
            each: spec.model_dump(mode="json", exclude_defaults=True) for each, spec in specs.items()
        }
        described["settings"].pop(f"{name}_data", None)
    if "sources" in described["settings"] and study_type.arms_of is not None:  # files are known by digest
        described["settings"].pop("names", None)
        described["arms"] = [arm.name for arm in study_type.arms_of(settings)]
    for name in ("data", "model", "task", "loss", "start_from", "sources"):  # they stand there resolved
        described["settings"].pop(name, None)
    canonical = json.dumps(described, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _warn_of_left_out(settings: StudySettings, subject: Subject) -> None:
    """Name once what has weights of two dimensions or more and is not pruned, with its share of all weights."""
    targets = getattr(settings, "masks", None)
    if targets is None or targets.prune_only or targets.never_prune:
        return
    others = left_out(subject.module, subject.prunable(targets))
    if others:
        shown = ", ".join(f"{name} ({100 * share:.3g} % of all weights)" for name, share in others.items())
        warnings.warn(f"not pruned: {shown}; --prune-only names what is", stacklevel=3)
