"""The table of tickets in GPT-2: what its searches share, and its numbers beside ours."""

from pathlib import Path
from typing import Any

import pytest

from lth.launch.reproduce import load_experiments
from lth.lineage import Trained, derivation
from lth.studies import EXPERIMENT_GROUPS, EXPERIMENTS, STUDIES
from lth.studies.experiments.lwh import SEARCHES
from lth.studies.experiments.lwh_numbers import kept_throughout, perplexity, pruned_at, survival_of_matrix, trend


def test_full_scale_is_as_the_original_ran() -> None:
    for name, make in STUDIES["find-ticket"].presets.items():
        if not name.startswith("lwh-"):
            continue
        flat = make().flat()
        assert (flat["model"].split(",init")[0], flat["data"]) == ("gpt2:bias=false", "openwebtext")
        assert (flat["optimizer"], flat["lr"], flat["weight_decay"], flat["clip"]) == ("adamw", 6e-4, 0.1, 1.0)
        assert (flat["prune_only"], flat["no_decay"], flat["rewind_to"]) == (["everything"], ["vectors"], "0it")
        assert flat["batch_size"] * 1024 == 245_760
        assert flat["replicates"] == 3
        assert (flat["lr_decay"], flat["warmup"]) == (("cosine", "5%") if name == "lwh-h1" else ("constant", "0it"))
    assert EXPERIMENT_GROUPS["lwh-table"] == STUDIES["find-ticket"].groups["lwh-table"] == tuple(SEARCHES)
    assert len(SEARCHES) == 14


def test_searches_of_one_length_and_initialisation_share_their_dense_networks(real_data_dir: Path) -> None:
    names = ("lwh-a1", "lwh-a2", "lwh-b1", "lwh-c1", "lwh-i1")
    studies = load_experiments([EXPERIMENTS[name] for name in names], 0.001, 1, real_data_dir)
    keys = [{key for key, node in derivation(*each.targets).items() if isinstance(node, Trained)} for each in studies]
    a1, a2, b1, c1, i1 = keys
    assert len(a1 & a2) == 1
    assert len(b1 & i1) == 1
    assert not b1 & c1
    assert len(a1) == 1 + 10 + 10


def document(values: dict[float, list[float]]) -> Any:
    rows = [
        {"arm": "dense" if at == 1 else "ticket", "replicate": r, "at": {"density": at}, "end": {"test/perplexity": v}}
        for at, each in values.items()
        for r, v in enumerate(each)
    ]
    return {"rows": rows, "confidence": 0.95}


def test_measures_by_hand() -> None:
    results = document({1.0: [40.0, 42.0], 0.59: [41.0, 41.0], 0.33: [42.0, 42.0], 0.2: [90.0, 90.0]})
    layers = [
        {"layer": name, "at": {"density": at}, "density": share}
        for name, at, share in (
            ("h.2.mlp.c_proj.weight", 0.6, 0.41), ("h.2.mlp.c_proj.weight", 0.33, 0.2), ("wte.weight", 0.6, 0.9),
        )
    ]  # fmt: skip
    watched = [
        {"weight": "h.2.mlp.c_proj:447,666", "replicate": r, "new_density": at, "is_kept": kept}
        for r, at, kept in ((0, 0.9, True), (0, 0.81, False), (0, 0.73, False), (1, 0.9, True), (1, 0.81, None))
    ]
    details: Any = {"layers": layers, "tables": {"watched": watched}}
    assert perplexity(results, details)["values"] == pytest.approx([41.0, (42 + 41 + 42) / 3])  # type: ignore[index]
    assert trend(results, details)["values"] == pytest.approx([5.0, 0.0])  # type: ignore[index]
    assert survival_of_matrix(results, details)["mean"] == 0.41  # type: ignore[index]
    assert pruned_at(results, details)["values"] == [0.81]  # type: ignore[index]
    assert sorted(kept_throughout(results, details)["values"]) == [0.0, 1.0]  # type: ignore[index, type-var]
    nothing: Any = {"layers": [], "tables": {}}
    assert survival_of_matrix(results, nothing) is pruned_at(results, nothing) is None
