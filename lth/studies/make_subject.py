"""From what was loaded to a subject: the model described for its data, the recipe in whole steps."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lth.config import StudySettings, TaskSpec
from lth.data import Data, check_augment, default_validation, split
from lth.lineage import DataSpec, Sources
from lth.lineage.foreign import HeadMatch, check_pretrained, head_match
from lth.models import Factory, ModelSpec, describe
from lth.models.hugging_face import NAME as HUGGING_FACE
from lth.studies.subject import Subject
from lth.tasks import TASKS, Task, losses_of, make_task
from lth.training import OPTIMIZERS, check_optimizer


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Settings, and the live objects that they name.

    Attributes:
        settings: its `model` names the factory and its `data` the data set.
        factory: makes the model.
        data: the data set.
        functions: the user's own training and evaluation functions, by name.
        weights: digest and place of those that networks start from.
        model: name and arguments of the model for the record, where `settings.model` is the place of one.
    """

    settings: StudySettings
    factory: Factory
    data: Data
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    weights: tuple[str, Path] | None = None
    model: tuple[str, Mapping[str, Any]] | None = None


def make_subject(loaded: Loaded) -> tuple[StudySettings, Subject]:
    """Return the subject that some settings describe, and the settings with what follows from the data filled in.

    Raises:
        ValueError: if a name is unknown, or a setting does not fit the model or the data.
    """
    settings, factory, data = loaded.settings, loaded.factory, loaded.data
    recipe = settings.training.without_idle().in_examples(data.tokens_per_example)
    settings = settings.model_copy(update={"training": recipe})
    OPTIMIZERS.pick(recipe.optimizer)
    check_augment(recipe.augment, data.facts.get("input_shape"))
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
    name, arguments = loaded.model or (settings.model, {})
    described = describe(
        name, factory, data.facts, settings.model_version, arguments, task=None if own else task, batch=batch
    )
    digest, places = (loaded.weights[0], dict([loaded.weights])) if loaded.weights else ("", {})
    sources = Sources({described.name: factory}, {data.digest: data}, dict(loaded.functions), places)
    check_optimizer(recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.optimizer_options)
    clock = recipe.clock(len(parts["train"]), data.tokens_per_example)
    match = _match(loaded.weights[1], described, sources) if loaded.weights else HeadMatch()
    training, fresh, words = recipe.training(clock, spec), match.drawn, tuple(match.words())
    subject = Subject(described, data_spec, training, clock, sources, pretrained=digest, fresh=fresh, head_words=words)
    return settings.with_(validation=None if validation == "own" else validation), subject


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
