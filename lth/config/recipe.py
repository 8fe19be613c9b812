"""The recipe: how networks are trained, as users write it."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from lth.config.duration import Clock, Duration, steps_per_epoch
from lth.config.idle import without_idle
from lth.config.known import KnownFields
from lth.config.text import Names, Options, split_names, split_pairs
from lth.config.training import Function, TaskSpec, Training


class Recipe(KnownFields):
    """How a network is trained, as users write it; `training` resolves it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    group: ClassVar[str] = "Training"

    optimizer: str = Field(default="adam", description="optimizer, by its name in torch.optim: adam, adamw, sgd, ...")
    optimizer_options: Options = Field(
        default={}, description="further options of the optimizer, as momentum=0.9,betas=0.9:0.99"
    )
    lr: float = Field(default=1.2e-3, gt=0, description="learning rate per step, at its peak")
    lr_decay: Literal["constant", "cosine", "linear", "step"] = Field(
        default="constant",
        description="how the learning rate falls to the end of the training: constant, cosine, linear, step",
    )
    lr_milestones: Annotated[tuple[Duration, ...], BeforeValidator(split_names)] = Field(
        default=(), description="where decay 'step' multiplies by the factor, as 3000it,4000it"
    )
    lr_factor: float = Field(default=0.1, gt=0, le=1, description="factor of decay 'step' at each milestone")
    final_lr: float = Field(default=0.0, ge=0, description="learning rate that cosine and linear decay end at")
    warmup: Duration = Field(
        default="0it", description="linear warm-up of the learning rate from 0: 500it, 1ep, or 10% of the training"
    )
    batch_size: int = Field(
        default=60, ge=1, description="examples per step; an epoch's incomplete last batch is left out"
    )
    batch_tokens: int | None = Field(
        default=None, ge=1, description="tokens per step, where examples are tokens [default: by --batch-size]"
    )
    duration: Duration = Field(default="5000it", description="length of the training: 5000it, 20ep or 10Mtok")
    augment: Names = Field(
        default=(),
        description="what is done to the images of training batches: pad-crop (zeros around, 4 pixels; pad-crop:2), "
        "flip; from the augmentation seed",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay, as the optimizer means it")
    no_decay: Names = Field(
        default=(),
        description="patterns of the parameters that do not decay; `vectors` names all of fewer than two dimensions",
    )
    clip: float | None = Field(
        default=None, gt=0, description="largest norm of one network's gradient [default: no clipping]"
    )
    evaluate_every: int = Field(default=100, ge=1, description="steps between evaluations on the validation part")
    precision: Literal["float32", "float64", "bfloat16"] = Field(
        default="float32", description="arithmetic: float32, float64, or bfloat16 (autocast over float32 weights)"
    )
    task: str | None = Field(
        default=None,
        description="what is learned: classification, regression, language-model, sequence-classification, "
        "sequence-regression, masked-language-model [default: what the data is for]",
    )
    loss: str | None = Field(
        default=None,
        description="what is minimised, where the task lets you choose: in classification cross_entropy (softmax), "
        "mean_squared_error (of the logits to one-hot labels) [default: the task's first]",
    )
    train: str | None = Field(
        default=None,
        description="your own training function, as package.module:function; it is given (network, run) "
        "[default: lth's engines]",
    )
    train_version: str = Field(default="1", description="raise it when your training function changes its results")
    evaluate: str | None = Field(
        default=None,
        description="your own measurement, as package.module:function; network -> {metric: value} [default: the "
        "task's metrics on the test part]",
    )
    evaluate_version: str = Field(default="1", description="raise it when your measurement changes its results")
    metrics: Annotated[dict[str, Literal["higher", "lower"]], BeforeValidator(split_pairs)] = Field(
        default={}, description="what your measurement returns, and which direction is better, as score=higher"
    )

    @model_validator(mode="after")
    def _measures_what_it_trains(self) -> Self:
        if self.evaluate is not None and self.train is None:
            raise ValueError("evaluate: your own measurement goes with a training function of your own (train)")
        return self

    def without_idle(self) -> "Recipe":
        """Return the recipe with settings that nothing reads put back to their defaults; a warning names them."""
        idle: dict[str, str] = {}
        if self.lr_decay != "step":
            idle |= dict.fromkeys(("lr_milestones", "lr_factor"), f"lr_decay is {self.lr_decay!r}, 'step' reads it")
        if self.lr_decay not in ("cosine", "linear"):
            idle["final_lr"] = f"lr_decay is {self.lr_decay!r}, 'cosine' and 'linear' read it"
        if self.train is None:
            idle["train_version"] = "it goes with a training function of your own (train)"
        else:
            idle["augment"] = "your own training function (train) changes its batches itself"
        if self.evaluate is None:
            idle |= dict.fromkeys(("evaluate_version", "metrics"), "it goes with a measurement of your own (evaluate)")
        return without_idle(self, idle)

    def in_examples(self, tokens_per_example: int | None) -> "Recipe":
        """Return the recipe with a batch in examples, where one in tokens is asked for.

        Args:
            tokens_per_example: None where examples are no tokens.
        Raises:
            ValueError: if examples are no tokens, or so many tokens are no whole examples.
        """
        if self.batch_tokens is None:
            return self
        if tokens_per_example is None:
            raise ValueError("batch_tokens: these examples are no tokens; give --batch-size")
        size, rest = divmod(self.batch_tokens, tokens_per_example)
        if rest or not size:
            raise ValueError(
                f"batch_tokens: {self.batch_tokens:,} is no whole number of examples of {tokens_per_example:,} tokens; "
                f"take {max(1, size) * tokens_per_example:,}"
            )
        return self.model_copy(update={"batch_size": size, "batch_tokens": None})

    def clock(self, num_train: int, tokens_per_example: int | None = None) -> Clock:
        """Return what durations are counted by.

        Args:
            num_train: training examples.
            tokens_per_example: None where examples are no tokens.
        Raises:
            ValueError: if an epoch has no full batch, and the training is lth's.
        """
        if self.train is not None:  # a function of the user's may make other batches, but an epoch has a step
            num_train = max(num_train, self.batch_size)
        per_epoch = steps_per_epoch(num_train, self.batch_size)
        tokens = None if tokens_per_example is None else tokens_per_example * self.batch_size
        return Clock(per_epoch, tokens, Clock(per_epoch, tokens).steps(self.duration))

    def training(self, clock: Clock, task: TaskSpec, **more: Any) -> Training:
        """Return the recipe in whole steps.

        Args:
            clock: what durations are counted by, as `clock` gives it.
            task: what is learned.
            **more: further fields of `Training`.
        Raises:
            ValueError: if a duration is empty or out of order.
        """
        self = self.without_idle()
        steps, warmup = clock.steps(self.duration), clock.steps(self.warmup)
        milestones = tuple(clock.steps(each) for each in self.lr_milestones)
        if steps < 1:
            raise ValueError(f"duration {self.duration!r} trains nothing: at least 1it is needed")
        if warmup >= steps:
            raise ValueError(f"warmup {self.warmup!r} is as long as the training ({self.duration}): make it shorter")
        if list(milestones) != sorted(set(milestones)) or any(not 0 < step < steps for step in milestones):
            raise ValueError(f"lr_milestones {list(self.lr_milestones)} must rise and lie within {self.duration}")
        function = None if self.train is None else Function(name=self.train, version=self.train_version)
        same = (
            "optimizer", "optimizer_options", "lr", "lr_decay", "lr_factor", "batch_size", "weight_decay",
            "no_decay", "clip", "evaluate_every", "precision", "final_lr", "augment",
        )  # fmt: skip
        fields = {name: getattr(self, name) for name in same} | {"function": function} | more
        return Training(task=task, steps=steps, warmup=warmup, lr_milestones=milestones, **fields)
