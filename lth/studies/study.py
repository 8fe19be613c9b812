"""A study: settings resolved against a model and a data set, and the runs that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from lth.config import FindTicket, Pruning, check_choice, to_steps
from lth.config.idle import without_idle_settings
from lth.data import Data, default_validation
from lth.lineage import DataSpec, Sources
from lth.models import MODELS, Factory, ModelSpec, describe
from lth.sparsity import (
    CRITERIA,
    NEEDS_NETWORK,
    NEEDS_TRACES,
    SCHEDULES,
    SCOPES,
    granularity,
    planned_counts,
    planned_density,
    prunable,
    structure_of,
    target,
    targets,
)
from lth.studies.find_ticket import ARMS, Restarting, Run, find_ticket_runs
from lth.studies.identity import study_id
from lth.training import OPTIMIZERS, check_optimizer, seeds_of


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A search for tickets, ready to plan.

    Attributes:
        id: 12 hex digits that follow from everything that determines the results.
        config: the settings with every default filled in.
        model: what is trained.
        data: on what.
        prunable: names of the parameters that are pruned.
        densities: fraction of the prunable weights that each level keeps, from level 0.
        runs: every training, level by level.
        sources: the live model factory and data.
    """

    id: str
    config: FindTicket
    model: ModelSpec
    data: DataSpec
    prunable: tuple[str, ...]
    densities: tuple[float, ...]
    runs: tuple[Run, ...]
    sources: Sources

    @property
    def targets(self) -> list[Any]:
        """The trainings to build, in order."""
        return [run.trained for run in self.runs]

    def document(self) -> dict[str, Any]:
        """The settings as JSON values, with the digests that they were resolved to."""
        resolved = {"data_digest": self.data.digest, "model_structure": self.model.structure}
        return self.config.model_dump(mode="json") | resolved


def find_ticket_study(config: FindTicket, factory: Factory, data: Data) -> Study:
    """The study that some settings describe.

    Args:
        config: the settings; its `model` names the factory and its `data` the data set.
        factory: makes the model.
        data: the data set.
    Raises:
        ValueError: if a name is unknown, a setting does not fit the model or the data, or nothing can be pruned.
    """
    for kind, name, table in (
        ("criterion", config.criterion, CRITERIA),
        ("scope", config.scope, SCOPES),
        ("schedule", config.schedule, SCHEDULES),
        ("optimizer", config.optimizer, OPTIMIZERS),
    ):
        check_choice(kind, name, table)
    granularity(config.granularity)
    config = without_idle_settings(config, config.criterion in NEEDS_NETWORK - {"synflow"})
    if config.sparsifier != "none" and config.criterion in NEEDS_NETWORK:
        raise ValueError(
            f"criterion: {config.criterion!r} runs the network on examples of its own; within a training (sparsifier "
            f"{config.sparsifier!r}) choose one of weights alone, such as large_final"
        )
    model = describe(config.model, factory, data.input_shape, data.num_classes, config.model_version)
    sources = Sources(models={config.model: factory}, data={data.digest: data})
    module = sources.module(model)
    check_optimizer(config.optimizer, config.lr, config.weight_decay, config.optimizer_options)
    names = prunable(module, config.prune_only, config.never_prune)
    pruning = config.pruning(_usual_rates(config, names))
    densities = _densities(module, names, pruning, config.levels)
    validation = default_validation(data) if config.validation is None else config.validation
    if not validation < len(data.y_train):
        raise ValueError(f"validation: {validation} examples cannot be held out of {len(data.y_train)}")
    num_train = len(data.y_train) - validation
    recipe = config.recipe.in_steps(num_train)
    rewind_step = to_steps(config.rewind_to, num_train // recipe.batch_size)
    if rewind_step >= recipe.steps:
        raise ValueError(
            f"rewind_to {config.rewind_to} is step {rewind_step}, but training ends at step {recipe.steps}: "
            "rewind to an earlier step"
        )
    spec = DataSpec(digest=data.digest, validation=validation, split_seed=config.split_seed)
    resolved = config.model_copy(update={"rates": pruning.rates, "validation": validation})
    sparsifiers = [config.make_sparsifier(density) for density in densities[1:] if config.sparsifier != "none"]
    runs = [
        run
        for replicate in range(config.replicates)
        for run in find_ticket_runs(
            model,
            spec,
            recipe,
            pruning,
            levels=config.levels,
            restarting=Restarting(config.kept, config.pruned, rewind_step, "moments" in _traces(config)),
            controls=config.controls,
            seeds=seeds_of(config.seed, replicate),
            replicate=replicate,
            traces=_traces(config),
            sparsifiers=sparsifiers,
        )
    ]
    runs.sort(key=lambda run: (run.level, ARMS.index(run.arm), run.replicate))
    study = Study("", resolved, model, spec, tuple(names), densities, tuple(runs), sources)
    identity = study_id(study.document(), resolved, study.targets)
    return Study(identity, resolved, model, spec, tuple(names), densities, tuple(runs), sources)


def _densities(module: nn.Module, names: Sequence[str], pruning: Pruning, levels: int) -> tuple[float, ...]:
    """Density of each level; a level that would empty a group of weights is an error."""
    shapes = {name: module.get_parameter(name).shape for name in names}
    grain = granularity(pruning.granularity)
    if grain.pattern and levels > 1:
        raise ValueError(
            f"levels: granularity {grain.name!r} fixes the density by itself; found {levels} levels, only 1 is allowed"
        )
    structure, densities = structure_of(module, names), [1.0]
    for level in range(1, levels + 1):
        how: dict[str, Any] = {
            "sparsity": 1 - target(pruning, level),
            "scope": SCOPES[pruning.scope],
            "by_pattern": {pattern: 1 - density for pattern, density in targets(pruning, level).items()},
            "granularity": grain,
            "structure": structure,
        }
        plan = planned_counts(shapes, **how)
        empty = [name for group, keep in plan if keep == 0 for name in group.names]
        if empty:
            raise ValueError(
                f"levels: level {level} would leave no weight in {', '.join(empty)}: ask for at most {level - 1}"
            )
        planned = planned_density(shapes, **how)
        densities.append(target(pruning, level) if planned is None else planned)
    return tuple(densities)


def _usual_rates(config: FindTicket, names: Sequence[str]) -> dict[str, float]:
    """The output layer at half the rate, as Frankle & Carbin 2019 do, where layers have rates of their own."""
    entry = MODELS.get(config.model)
    has_own_rates = config.scope in ("layerwise", "per-pattern") and config.sparsifier == "none"
    if entry is None or not has_own_rates or entry.output not in names or config.granularity != "unstructured":
        return {}
    return {entry.output: config.rate / 2}


def _traces(config: FindTicket) -> tuple[str, ...]:
    """What trainings must keep for the criterion and for the moments policy."""
    wanted = [config.criterion] if config.criterion in NEEDS_TRACES else []
    return (*wanted, *(["moments"] if config.moments == "keep" and config.sparsifier == "none" else []))
