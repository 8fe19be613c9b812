"""A study: settings resolved against a model and a data set, and the runs that follow from them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from lth.config import FindTicket, Pruning, check_choice, to_steps
from lth.data import Data, default_validation
from lth.lineage import DataSpec, Sources
from lth.models import MODELS, Factory, ModelSpec, describe
from lth.sparsity import CRITERIA, SCHEDULES, SCOPES, Shapes, planned_counts, prunable
from lth.studies.find_ticket import Run, find_ticket_runs
from lth.training import OPTIMIZERS, make_optimizer, seeds_of


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
    model = describe(config.model, factory, data.input_shape, data.num_classes, config.model_version)
    sources = Sources(models={config.model: factory}, data={data.digest: data})
    module = sources.module(model)
    make_optimizer(config.optimizer, module.parameters(), config.lr, config.weight_decay, config.optimizer_options)
    names = prunable(module, config.prune_only, config.never_prune)
    pruning = config.pruning(_usual_rates(config))
    densities = _densities({name: module.get_parameter(name).shape for name in names}, pruning, config.levels)
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
    runs = [
        run
        for replicate in range(config.replicates)
        for run in find_ticket_runs(
            model,
            spec,
            recipe,
            pruning,
            levels=config.levels,
            rewind_step=rewind_step,
            kept=config.kept,
            controls=config.controls,
            seeds=seeds_of(config.seed, replicate),
            replicate=replicate,
        )
    ]
    arms = ["dense", "ticket", *config.controls]
    runs.sort(key=lambda run: (run.level, arms.index(run.arm), run.replicate))
    study = Study("", resolved, model, spec, tuple(names), densities, tuple(runs), sources)
    canonical = json.dumps([study.document(), [run.trained.key for run in runs]], sort_keys=True)
    identity = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return Study(identity, resolved, model, spec, tuple(names), densities, tuple(runs), sources)


def _densities(shapes: Shapes, pruning: Pruning, levels: int) -> tuple[float, ...]:
    """Density of each level; a level that would empty a group of weights is an error."""
    total = sum(shape.numel() for shape in shapes.values())
    densities = [1.0]
    for level in range(1, levels + 1):
        density = SCHEDULES[pruning.schedule].density
        counts = planned_counts(
            shapes,
            sparsity=1 - density(pruning.rate, level),
            scope=SCOPES[pruning.scope],
            by_pattern={pattern: 1 - density(rate, level) for pattern, rate in pruning.rates.items()},
        )
        empty = [name for group, keep in counts if keep == 0 for name in group.names]
        if empty:
            raise ValueError(
                f"levels: level {level} would leave no weight in {', '.join(empty)}: ask for at most {level - 1}"
            )
        densities.append(sum(keep for _, keep in counts) / total)
    return tuple(densities)


def _usual_rates(config: FindTicket) -> dict[str, float]:
    """The output layer at half the rate, as Frankle & Carbin 2019 do; a global ranking has no place for it."""
    entry = MODELS.get(config.model)
    return {} if entry is None or config.scope == "global" else {entry.output: config.rate / 2}
