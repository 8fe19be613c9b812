"""What a search for winning tickets is told: its settings, its arms, and the presets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lth.analysis.points import Arm
from lth.config import MaskSchedule, Pruning, Recipe, Sparsifier, StudySettings, Targets
from lth.config.text import Entries, Scalings, Texts, split_names
from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS, Restart

ARMS = (
    Arm("dense", "the dense network", "baseline"),
    Arm("ticket", "the pruned network from its own starting weights", "subject"),
    Arm("sparsified", "the training that was pruned on its way and gave the mask", "source"),
    Arm("reinit", "the same mask over weights drawn anew", "control"),
    Arm("random", "a random mask with the same density in every layer", "control"),
    Arm("permuted", "the same mask over the starting weights in a random order", "control"),
    Arm("one-shot", "the starting weights cut by magnitude at once, with no training before", "control"),
)


class AfterTraining(Pruning):
    """Weights are chosen after each training: iterative pruning."""

    moments: Literal["zero", "keep"] = Field(
        default="zero",
        description="optimizer moments at a mask change: zero; keep (with kept weights); restore (within training: "
        "those of a weight that comes back)",
    )

    @field_validator("moments", mode="before")
    @classmethod
    def _nothing_comes_back(cls, moments: Any) -> Any:
        if moments == "restore":
            raise ValueError("moments: 'restore' is for weights that come back within a training: choose a sparsifier")
        return moments


class WithinTraining(Targets, MaskSchedule):
    """Weights are chosen within one training per level; its masks are then tested as tickets."""

    group: ClassVar[str] = "Pruning within training"

    sparsifier: str = Field(
        description="prune within one training per level instead of after it: gradual (cubic), set, rigl, soft, noise; "
        "its masks are then tested as tickets. It uses --scope as it stands; the papers of set and rigl use erk"
    )

    @model_validator(mode="after")
    def _fits_the_method(self) -> Self:
        from lth.training.sparsifiers import check_sparsifier  # loads torch: only where a sparsifier is asked for

        check_sparsifier(Sparsifier(method=self.sparsifier, criterion=self.criterion))
        return self


class FindTicket(StudySettings):
    """All that determines a search: training, pruning, what a level starts from, and what is done with it."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    levels: int = Field(default=8, ge=1, le=100, description="rounds of pruning, rewinding and training again")
    controls: Annotated[tuple[str, ...], BeforeValidator(split_names)] = Field(
        default=("reinit", "random"),
        description="arms beside the ticket: reinit (same mask, weights drawn anew), random (random mask, same "
        "density), permuted (same mask, each tensor's starting weights in a random order), one-shot (starting weights "
        "cut by magnitude at once); none",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        description="what a ticket may lose and still count as matching, in the metric's own unit: 0.005 is half a "
        "point of accuracy",
    )
    watch: Entries = Field(
        default=(),
        description="single weights to follow over levels, as h.2.mlp.c_proj:447,666 (output, input), several with ; "
        "between: analysis only, nothing is trained again for it",
    )
    super_weights: bool = Field(
        default=False,
        description="follow super weights of a transformer: they are looked for in the initial network and after each "
        "training (where there is none, the strongest spike), beside the base rates of their survival: analysis only",
    )
    prompts: Texts = Field(
        default=(),
        description="texts that --super-weights looks at networks on, ; between [default: eight windows of the "
        "validation part]",
    )
    scale_weights: Scalings = Field(
        default=(),
        description="single weights of the initial networks that are multiplied by a factor, as "
        "h.2.mlp.c_proj:447,666*300, several with ; between",
    )
    start_masks: str = Field(
        default="", description="go on from the masks in this file, a ticket or a safetensors file of masks by name"
    )
    start_level: int = Field(default=1, ge=1, description="the level that --start-masks are those of")
    start_digest: str = Field(default="", description="SHA-256 of that file [default: as it is found]")
    training: Recipe = Recipe(duration="600it")
    masks: AfterTraining | WithinTraining = AfterTraining()
    restart: Restart = Restart()

    @model_validator(mode="before")
    @classmethod
    def _a_sparsifier_shares_out_single_weights(cls, given: Any) -> Any:
        sparsifier = given.get("sparsifier") if isinstance(given, dict) else None
        if sparsifier in (None, "none"):
            return given
        if (grain := given.get("granularity", "unstructured")) != "unstructured":
            raise ValueError(f"sparsifier: {sparsifier!r} chooses single weights; found granularity {grain!r}")
        if given.get("rates") not in (None, "none", "default", {}):
            raise ValueError("rates: a sparsifier shares out one density by its scope; leave them out, or see --scope")
        return given

    @field_validator("controls")
    @classmethod
    def _controls_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [arm.name for arm in ARMS if arm.role == "control"]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"unknown control {unknown[0]!r}. Choices: {', '.join(known)}, none")
        if len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names)} names one twice")
        return names

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        kept, pruned = KEPT_ACTIONS[self.restart.kept], PRUNED_ACTIONS[self.restart.pruned]
        if isinstance(self.masks, AfterTraining) and self.masks.moments == "keep" and not kept.as_trained:
            raise ValueError(
                "moments: 'keep' goes with kept 'keep' or 'lr_rewind', whose weights have moments; found "
                f"{self.restart.kept!r}"
            )
        if isinstance(self.masks, WithinTraining) and pruned.trains:
            raise ValueError(
                f"pruned: {self.restart.pruned!r} trains on what sparsifier {self.masks.sparsifier!r} pruned, so its "
                "masks would not be tested: choose another"
            )
        if kept.goes_on == "zero" and self.restart.rewind_to not in ("0it", "0ep"):
            raise ValueError(
                f"rewind_to: kept {self.restart.kept!r} goes back to no step; found {self.restart.rewind_to!r}, leave "
                "it out"
            )
        if self.restart.transplant and self.restart.kept != "rewind":
            raise ValueError(
                "transplant: kept 'rewind' takes values from it; found "
                f"{self.restart.kept!r}, with which it is no ticket's start"
            )
        if self.restart.head == "redraw" and kept.as_trained:
            raise ValueError(
                f"head: 'redraw' goes with kept weights that start anew; found {self.restart.kept!r}, which keeps it "
                "as it was trained"
            )
        if self.super_weights and pruned.trains:
            raise ValueError(
                f"super_weights: pruned {self.restart.pruned!r} trains on, so no mask takes a weight away: leave it out"
            )
        if self.prompts and not self.super_weights:
            raise ValueError("prompts: --super-weights reads them; found none, leave them out")
        self._check_start()
        if self.masks.schedule == "list" and len(self.masks.level_rates) < self.levels:
            raise ValueError(
                f"level_rates: found {len(self.masks.level_rates)} rates for {self.levels} levels; schedule 'list' "
                "needs one per level"
            )
        return self

    def _check_start(self) -> None:
        if not self.start_masks:
            if self.start_level != 1 or self.start_digest:
                raise ValueError("start_level and start_digest go with start_masks: name the file, or leave them out")
            return
        if isinstance(self.masks, WithinTraining) or self.masks.schedule == "one-shot":
            raise ValueError("start_masks: levels go on from the level before, which a sparsifier or one-shot does not")
        if "one-shot" in self.controls:
            raise ValueError(
                "controls: 'one-shot' cuts to densities of the schedule, and start_masks have one of their own: leave "
                "one out"
            )
        if self.start_level > self.levels:
            raise ValueError(
                f"start_level {self.start_level} lies beyond {self.levels} levels: raise --levels to prune further"
            )


def lenet_on_digits() -> FindTicket:
    """Return LeNet-300-100 on scikit-learn's digits: the method in under a minute, down to 3 % of the weights.

    The margin of half a point (3.6 of the 719 test images) was fixed before any result was seen; replicates and length
    were not: of 8 replicates and 500 iterations, seeds 1 and 2 confirmed a ticket, seed 0 did not.
    """
    return FindTicket(levels=10, rate=0.3, replicates=10, duration="1000it", margin=0.005)


def bert_ticket(data: str) -> FindTicket:
    """Return BERT on a task of GLUE after Chen et al. 2020, arXiv:2007.12223: tickets of pre-trained weights.

    The matrices of the encoder and the pooler are ranked together, each level removes 10 points of all their weights,
    and kept weights go back to the pre-trained ones; 3 epochs of batches of 32 at 2e-5, which falls linearly to 0.
    Warm-up, decay of matrices alone and clipping are customs of fine-tuning.
    """
    return FindTicket(
        model="bert-base-uncased",
        data=data,
        levels=6,
        per_level=0.1,
        scope="global",
        controls=("reinit", "random", "permuted", "one-shot"),
        optimizer="adamw",
        lr=2e-5,
        lr_decay="linear",
        warmup="10%",
        batch_size=32,
        duration="3ep",
        weight_decay=0.01,
        no_decay=("vectors",),
        clip=1.0,
        evaluate_every=500,
    )


def pretrained_on_glue(model: str, data: str) -> FindTicket | None:
    """Return `bert_ticket` for any pre-trained encoder on a task of GLUE; None for other models and data."""
    if not data.startswith("glue/"):
        return None
    from lth.models.hugging_face import CHECKPOINTS  # loads torch, which help does without

    folder = Path(model).expanduser()
    is_folder = (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    if model.startswith("hub:") or model in CHECKPOINTS or is_folder:
        return bert_ticket(data).with_(model=model)
    return None


def frankle_carbin_lenet(data: str = "mnist") -> FindTicket:
    """Return LeNet-300-100 on MNIST as in Section 2 of Frankle & Carbin 2019, arXiv:1803.03635 (Figure 2, 5 trials).

    Layer-wise pruning by 20 % per level, 10 % in the output layer; Adam at 1.2e-3, batches of 60, 50,000 iterations.
    """
    return FindTicket(data=data, levels=21, duration="50000it", validation=5000)
