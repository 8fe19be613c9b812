"""A study of supermasks: which trainings of masks, over weights that stay as drawn, some settings ask for.

Sources: Zhou et al. 2019, arXiv:1905.01067, Section 5; Ramanujan et al. 2020, arXiv:1911.13299.
"""

from dataclasses import dataclass
from typing import Any

from lth.config import check_choice
from lth.config.supermask import LearnSupermask
from lth.data import Data, default_validation
from lth.lineage import DataSpec, Dense, Initial, Sources, Trained
from lth.models import Factory, ModelSpec, describe
from lth.studies.identity import study_id
from lth.training import OPTIMIZERS, check_optimizer, seeds_of


@dataclass(frozen=True, slots=True, eq=False)
class SupermaskStudy:
    """Trainings of masks, ready to build.

    Attributes:
        id: 12 hex digits that follow from everything that determines the results.
        config: the settings with every default filled in.
        model: what is masked, and how.
        data: on what.
        targets: one training per replicate.
        sources: the live model factory and data.
    """

    id: str
    config: LearnSupermask
    model: ModelSpec
    data: DataSpec
    targets: tuple[Trained, ...]
    sources: Sources

    def document(self) -> dict[str, Any]:
        """The settings as JSON values, with the digests that they were resolved to."""
        resolved = {"data_digest": self.data.digest, "model_structure": self.model.structure}
        return self.config.model_dump(mode="json") | resolved


def supermask_study(config: LearnSupermask, factory: Factory, data: Data) -> SupermaskStudy:
    """The study that some settings describe.

    Args:
        config: the settings; its `model` names the factory and its `data` the data set.
        factory: makes the model.
        data: the data set.
    Raises:
        ValueError: if a name is unknown, a setting does not fit the model or the data, or nothing can be masked.
    """
    check_choice("optimizer", config.optimizer, OPTIMIZERS)
    plain = describe(config.model, factory, data.input_shape, data.num_classes, config.model_version)
    model = plain.model_copy(update={"supermask": config.supermask})
    sources = Sources(models={config.model: factory}, data={data.digest: data})
    sources.module(model)  # an error where nothing can be masked
    check_optimizer(config.optimizer, config.lr, config.weight_decay, config.optimizer_options)
    validation = default_validation(data) if config.validation is None else config.validation
    if not validation < len(data.y_train):
        raise ValueError(f"validation: {validation} examples cannot be held out of {len(data.y_train)}")
    spec = DataSpec(digest=data.digest, validation=validation, split_seed=config.split_seed)
    recipe = config.recipe.in_steps(len(data.y_train) - validation)
    replicates = [seeds_of(config.seed, replicate) for replicate in range(config.replicates)]
    targets = tuple(
        Trained(start=Initial(model=model, seed=seeds.init), masks=Dense(), data=spec, recipe=recipe, seeds=seeds)
        for seeds in replicates
    )
    resolved = config.model_copy(update={"validation": validation})
    study = SupermaskStudy("", resolved, model, spec, targets, sources)
    identity = study_id(study.document(), resolved, targets)
    return SupermaskStudy(identity, resolved, model, spec, targets, sources)
