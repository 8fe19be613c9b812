"""Tickets in GPT-2 124M: a table of fourteen searches that share their dense networks.

What its logs do not say is chosen here: rates and rounds where none is named (20 %, five rounds), a warm-up of 5 % and
a floor of a tenth in H1, random masks as controls of one search for each length and initialisation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lth.config import Recipe
from lth.studies.find_ticket_settings import AfterTraining, FindTicket

WATCHED = ("h.2.mlp.c_proj:447,666",)
SMALL_MODEL, SMALL_DATA = "gpt-char:n_layer=3,n_head=4,n_embd=64", "tiny-shakespeare"
SMALL_WATCHED = ("h.2.mlp.c_proj:37,55", "h.2.mlp.c_proj:10,200")
"""Two of a smaller matrix, chosen before any run: the first lies where the original's does, in proportion."""


@dataclass(frozen=True, slots=True)
class Search:
    """One row of the table.

    Attributes:
        words: what sets it apart.
        steps: of each training.
        levels: rounds of pruning.
        rate: of the remaining weights, a round.
        init: entry of INITIALISATIONS.
        schedule: over rounds.
        scope: what is ranked together.
        decays: whether the learning rate warms up and falls, or is constant.
        controls: arms beside the ticket.
    """

    words: str
    steps: int
    levels: int
    rate: float
    init: str = "gpt2"
    schedule: str = "iterative"
    scope: str = "global"
    decays: bool = False
    controls: tuple[str, ...] = ()

    def settings(self, scale: float = 1.0) -> FindTicket:
        """Return the whole settings; at a scale below 1 those of a small network on characters."""
        is_full = scale >= 1
        steps = self.steps if is_full else max(20, round(self.steps * scale))
        model = "gpt2:bias=false" if is_full else SMALL_MODEL
        decay = {"lr_decay": "cosine", "final_lr": 6e-5, "warmup": "5%"} if self.decays else {}
        recipe = Recipe(
            optimizer="adamw",
            optimizer_options={"betas": (0.9, 0.95)},
            lr=6e-4,
            batch_size=240 if is_full else 12,
            duration=f"{steps}it",
            weight_decay=0.1,
            no_decay=("vectors",),
            clip=1.0,
            evaluate_every=max(5, steps // (20 if is_full else 4)),
            **decay,  # type: ignore[arg-type]
        )
        pruning = AfterTraining(scope=self.scope, schedule=self.schedule, rate=self.rate, prune_only=("everything",))
        return FindTicket(
            model=model if self.init == "gpt2" else f"{model},init={self.init}",
            data="openwebtext" if is_full else SMALL_DATA,
            replicates=3,
            seed=1337,
            validation=None if is_full else 200,
            levels=self.levels,
            controls=self.controls,
            watch=WATCHED if is_full else SMALL_WATCHED,
            training=recipe,
            masks=pruning,
        )


RANDOM = ("random",)
A1 = Search("3,000 steps a round, 10 %", 3_000, 10, 0.1, controls=RANDOM)
B1 = replace(A1, words="10,000 steps, 10 %", steps=10_000)
C1 = replace(B1, words="Xavier, 10,000 steps, 10 %", init="xavier")
A2 = Search("3,000 steps, 20 %", 3_000, 5, 0.2)
B2 = replace(A2, words="10,000 steps, 20 %", steps=10_000)
C2 = replace(B2, words="Xavier, 10,000 steps, 20 %", init="xavier")
D1 = Search("rates 5, 10, 15, 20 %, 10,000 steps", 10_000, 6, 0.05, schedule="increasing")

SEARCHES: dict[str, Search] = {
    "lwh-a1": A1,
    "lwh-a2": A2,
    "lwh-b1": B1,
    "lwh-b2": B2,
    "lwh-c1": C1,
    "lwh-c2": C2,
    "lwh-d1": D1,
    "lwh-d2": replace(D1, words="rates 5, 10, 15, 20 %, each matrix by itself", scope="layerwise"),
    "lwh-f1": replace(C2, words="Xavier, 20,000 steps, 20 %", steps=20_000, controls=RANDOM),
    "lwh-g1": replace(B1, words="10,000 steps, 15 %", rate=0.15, levels=7, controls=()),
    "lwh-h1": replace(C2, words="Xavier, 10,000 steps, warm-up and cosine decay", decays=True),
    "lwh-i1": replace(B2, words="one-shot, 10,000 steps", schedule="one-shot"),
    "lwh-j1": replace(B2, words="50,000 steps, 20 %", steps=50_000),
    "lwh-m2": replace(C2, words="Xavier, 50,000 steps, seven rounds", steps=50_000, levels=7),
}
"""By name, as the table calls them."""

PRESETS: dict[str, Callable[[], FindTicket]] = {name: search.settings for name, search in SEARCHES.items()}

TABLE: dict[str, tuple[str, ...]] = {"lwh-table": tuple(SEARCHES)}
"""All of them, by one name."""
