"""From settings to a study that is ready to plan: names checked, defaults filled in, points derived."""

import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lth.analysis.points import Arm, Point
from lth.analysis.significance import CORRECTIONS
from lth.config import StudySettings, TaskSpec
from lth.data import Data, default_validation, split
from lth.lineage import DataSpec, Job, Sources
from lth.lineage.foreign import HeadMatch, check_pretrained, head_match
from lth.models import Factory, ModelSpec, describe
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.sparsity import left_out
from lth.studies.pruning import with_dense_head
from lth.studies.study_type import StudyType
from lth.studies.subject import Subject
from lth.tasks import TASKS, Task, losses_of, make_task
from lth.training import OPTIMIZERS, check_optimizer, seeds_of


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
        return str(self.sources.data[self.subject.data.digest].facts.get("note", ""))

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
        return self.settings.flat() | resolved


def prepare(
    study_type: StudyType[Any],
    settings: StudySettings,
    factory: Factory,
    data: Data,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    weights: tuple[str, Path] | None = None,
    model: tuple[str, Mapping[str, Any]] | None = None,
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
    Raises:
        ValueError: if a name is unknown, a setting does not fit the model or the data, or nothing can be pruned.
    """
    recipe = settings.training.without_idle().in_examples(data.tokens_per_example)
    settings = settings.model_copy(update={"training": recipe})
    OPTIMIZERS.pick(recipe.optimizer)
    CORRECTIONS.pick(settings.correction)
    spec, task = task_of(settings, data)
    validation = default_validation(data) if settings.validation is None else settings.validation
    data_spec = DataSpec(
        digest=data.digest, validation=validation, split_seed=settings.split_seed, train_examples=settings.subset
    )
    parts = split(data, validation, settings.split_seed, settings.subset)
    if settings.subset is not None and settings.subset > len(parts["train"]):
        raise ValueError(
            f"subset: {data.name} has {len(parts['train']):,} training examples; found {settings.subset:,}"
        )
    own = recipe.train is not None
    batch = None if own or not len(parts["train"]) else parts["train"].take(torch.arange(2), torch.device("cpu"))
    name, arguments = model or (settings.model, {})
    described = describe(
        name, factory, data.facts, settings.model_version, arguments, task=None if own else task, batch=batch
    )
    digest, places = (weights[0], {weights[0]: weights[1]}) if weights else ("", {})
    sources = Sources({described.name: factory}, {data.digest: data}, dict(functions or {}), places)
    check_optimizer(recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.optimizer_options)
    clock = recipe.clock(len(parts["train"]), data.tokens_per_example)
    match = _match(weights[1], described, sources) if weights else HeadMatch()
    training, fresh, words = recipe.training(clock, spec), match.drawn, tuple(match.words())
    subject = Subject(described, data_spec, training, clock, sources, pretrained=digest, fresh=fresh, head_words=words)
    settings = settings.with_(validation=None if validation == "own" else validation)
    settings, given = with_dense_head(settings, subject), settings
    if study_type.resolve is not None:
        settings = study_type.resolve(settings, subject)
    if study_type.traces is not None:
        subject = replace(subject, traces=study_type.traces(settings))
    _warn_of_left_out(given, subject)
    points = [
        point
        for replicate in range(settings.replicates)
        for point in study_type.derive(settings, subject, seeds_of(settings.seed, replicate), replicate)
    ]
    order = {arm.name: index for index, arm in enumerate(all_arms(study_type, settings))}
    points.sort(key=lambda point: (_place(point, study_type.axis), order[point.arm], point.replicate))
    return Study(_identity(study_type, settings, subject), study_type, settings, subject, tuple(points))


def _match(place: Path, model: ModelSpec, sources: Sources) -> HeadMatch:
    """Return how the head and pre-trained weights fit: what they lack of it is drawn.

    Raises:
        ValueError: if anything else does not fit; that is said before anything is trained.
    """
    if model.name != HUGGING_FACE:
        check_pretrained(place, sources.skeleton(model))
        return HeadMatch()
    return head_match(place, model)


def task_of(settings: StudySettings, data: Data) -> tuple[TaskSpec, Task]:
    """Return the task that settings ask for: of the facts of the data it takes those that it asks for by name.

    Raises:
        ValueError: if the task or the loss is unknown, or the loss is no choice of the task.
    """
    recipe = settings.training
    if recipe.evaluate is not None:
        arguments = {"evaluate": recipe.evaluate, "evaluate_version": recipe.evaluate_version}
        own = TaskSpec(
            name="yours", arguments=arguments | ({"metrics_better": recipe.metrics} if recipe.metrics else {})
        )
        return own, make_task(own)
    name = recipe.task or data.task
    wanted = inspect.signature(TASKS.pick(name)).parameters
    arguments = {fact: value for fact, value in data.facts.items() if fact in wanted}
    if (loss := recipe.loss) is not None:
        if (losses := losses_of(TASKS[name])) is None:
            raise ValueError(f"loss: task {name!r} has no choice of losses; leave --loss out")
        losses.pick(loss)
        if loss != wanted["minimise"].default:
            arguments["minimise"] = loss
    missing = [
        each.name for each in wanted.values() if each.default is inspect.Parameter.empty and each.name not in arguments
    ]
    if missing:
        raise ValueError(
            f"task {name!r} needs {', '.join(missing)}, which {data.name!r} does not tell: it is for {data.task!r}"
        )
    spec = TaskSpec(name=name, arguments=arguments)
    spec = spec.model_copy(update={"version": TASKS[name].version})  # type: ignore[attr-defined]
    return spec, make_task(spec)


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
