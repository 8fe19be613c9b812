"""Keys: pinned, complete, and the same after a round trip."""

import json
from typing import Any

import pytest
from builds import example_nodes

from lth.config import Pruning, Recipe, Sparsifier
from lth.config.supermask import SupermaskSettings
from lth.lineage import (
    Checkpoint,
    Combined,
    DataSpec,
    Dense,
    Initial,
    Node,
    Pruned,
    Shuffled,
    Sparsified,
    Trained,
    derivation,
    from_documents,
    in_words,
    to_documents,
)
from lth.models import ModelSpec
from lth.training import Seeds

GOLDEN: dict[str, str] = {
    "Whole": "caf5bf0bee8a88381f48341b6e70d6719096d50c45f6cd708c7d85d5320e60c4",
    "sparsified": "607e6547e96bb6f7e0d9a7ca026580b0934f9183bcbed744e441614fe77d16d1",
    "Sparsified": "8a1bf44b7876dea86ec84abfda02ca73663aa48ac7c082e206fd43456c636e2a",
    "Initial": "542148d602591548473ca18cd1689c71a21847e28d8378cbc6d3143a05bbe83f",
    "Dense": "528a5589ea0c36185cf70d114158186da71c8fb44c72bb33fa0797b8e2b3056c",
    "Trained": "45f724df81d03d4099b6ed35a2306ff13c3ace37a48b01123862412a8ae9132e",
    "Checkpoint": "19cc1803985fefaa79606843a0bdedcbc8b9fb6fdc48145f08b67450e32aa974",
    "Pruned": "11168790c0f04803f12765596d9556dfa7c507a5b802e49718a4663d2fd1ebb1",
    "Shuffled": "a515e57dab7af8502c16348ebca703fc8e3290ec1cce4977f0f0e5897b4a2b01",
    "Combined": "bbb1dadaed77b748c9d5b3883a7f872d893cf855ff5bf8063140efe2e97a8614",
    "ticket": "ae6db176146def92758d7e52808130e94d2d46420eae9e9d246782d1a650316e",
}
"""If one changes, every store in the world is orphaned: raise a node's `version` only if its numbers change."""

CHANGES: dict[type, dict[str, Any]] = {
    Recipe: {
        "optimizer": "adamw",
        "optimizer_options": {"momentum": 0.8},
        "lr": 0.1,
        "lr_decay": "cosine",
        "lr_milestones": ("10it",),
        "lr_factor": 0.5,
        "warmup": "10it",
        "batch_size": 61,
        "duration": "49999it",
        "weight_decay": 0.1,
        "clip": 1.0,
        "evaluate_every": 99,
        "precision": "bfloat16",
        "loss": "mean_squared_error",
    },
    Pruning: {
        "criterion": "random",
        "scope": "global",
        "schedule": "one-shot",
        "rate": 0.3,
        "rates": {"output.weight": 0.2},
        "prune_only": ("a",),
        "never_prune": ("b",),
        "granularity": "2:4",
        "level_rates": (0.1, 0.2),
        "rounds": 3,
        "samples": 5,
    },
    Sparsifier: {
        "method": "soft",
        "density": 0.2,
        "curve": "linear",
        "begin": 0.1,
        "end": 0.9,
        "applications": 11,
        "criterion": "random",
        "scope": "erk",
        "update_fraction": 0.2,
        "moments": "keep",
        "noise": "uniform",
        "noise_scale": 2.0,
    },
    Seeds: {"init": 1, "order": 1, "augmentation": 1},
    DataSpec: {"digest": "e" * 64, "validation": 4999, "split_seed": 1},
    ModelSpec: {
        "name": "other",
        "arguments": {},
        "version": "2",
        "structure": "0123456789abcdef",
        "draw": "f",
        "supermask": SupermaskSettings(method="edge_popup"),
    },
}
FIELD_OF = {
    Recipe: "recipe",
    Pruning: "pruning",
    Sparsifier: "sparsifier",
    Seeds: "seeds",
    DataSpec: "data",
    ModelSpec: "model",
}
OWNER_OF = {
    Recipe: "Trained",
    Pruning: "Pruned",
    Sparsifier: "sparsified",
    Seeds: "Trained",
    DataSpec: "Trained",
    ModelSpec: "Initial",
}


def with_field(node: Node, name: str, value: object) -> Node:
    """The node with one field changed."""
    return type(node).model_validate({field: getattr(node, field) for field in type(node).model_fields} | {name: value})


@pytest.mark.parametrize("name", example_nodes())
def test_keys_are_pinned(name: str) -> None:
    assert example_nodes()[name].key == GOLDEN[name]


@pytest.mark.parametrize(("config", "field"), [(config, field) for config in CHANGES for field in CHANGES[config]])
def test_every_setting_changes_the_key(config: type, field: str) -> None:
    node = example_nodes()[OWNER_OF[config]]
    settings = getattr(node, FIELD_OF[config])
    changed = config.model_validate(settings.model_dump() | {field: CHANGES[config][field]})  # type: ignore[attr-defined]
    assert with_field(node, FIELD_OF[config], changed).key != node.key


def test_every_setting_is_in_the_test_above() -> None:
    for config, changes in CHANGES.items():
        assert changes.keys() == config.model_fields.keys()  # type: ignore[attr-defined]


def test_every_field_of_a_node_changes_its_key() -> None:
    nodes = example_nodes()
    initial, dense, pruned = nodes["Initial"], nodes["Trained"], nodes["Pruned"]
    assert isinstance(initial, Initial)
    assert isinstance(dense, Trained)
    assert isinstance(pruned, Pruned)
    checkpoint = Checkpoint(trained=dense, step=100)
    changed: list[tuple[Node, Node]] = [
        (initial, Initial(model=initial.model, seed=8)),
        (checkpoint, Checkpoint(trained=dense, step=101)),
        (pruned, Pruned(trained=dense, pruning=pruned.pruning, level=2)),
        (Shuffled(masks=pruned), Shuffled(masks=pruned, draw=1)),
        (Combined(masks=pruned, kept=checkpoint), Combined(masks=pruned, kept=initial)),
        (Combined(masks=pruned, kept=checkpoint), Combined(masks=Shuffled(masks=pruned), kept=checkpoint)),
        (Combined(masks=pruned, kept=checkpoint), Combined(masks=pruned, kept=checkpoint, pruned="initial")),
        (Combined(masks=pruned, kept=checkpoint), Combined(masks=pruned, kept=checkpoint, action="shuffle")),
        (nodes["Whole"], with_field(nodes["Whole"], "prune_only", ("a",))),
        (nodes["Whole"], with_field(nodes["Whole"], "never_prune", ("a",))),
        (nodes["Sparsified"], Sparsified(trained=dense)),
        (dense, with_field(dense, "traces", ("moments",))),
        (dense, with_field(dense, "moments", dense)),
        (dense, with_field(dense, "first_step", 1)),
        (dense, with_field(dense, "masks", pruned)),
        (dense, with_field(dense, "start", checkpoint)),
    ]
    for before, after in changed:
        assert before.key != after.key
        assert before != after
    assert len({node.key for pair in changed for node in pair}) == 24


def test_fields_at_their_default_do_not_enter() -> None:
    """So a new field whose default changes nothing keeps old keys."""
    nodes = example_nodes()
    assert nodes["Trained"].document["fields"]["recipe"] == {
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9},
        "duration": "50000it",
    }
    assert set(nodes["Trained"].document["fields"]) == {"start", "masks", "data", "recipe", "seeds"}
    assert nodes["Pruned"].document["fields"]["pruning"] == {"rates": {"output.weight": 0.1}}
    assert set(nodes["Shuffled"].document["fields"]) == {"masks"}
    assert set(nodes["Combined"].document["fields"]) == {"masks", "kept"}
    assert nodes["Dense"].document == {"kind": "Dense", "version": 1, "fields": {}}


def test_equal_values_are_equal_nodes() -> None:
    one, other = example_nodes(), example_nodes()
    assert one == other
    assert len({*one.values(), *other.values()}) == len(one)
    assert one["Trained"] != "a string"
    assert repr(one["Initial"]) == f"Initial({one['Initial'].key[:8]})"


def test_a_derivation_has_inputs_first_and_each_node_once() -> None:
    nodes = example_nodes()
    order = list(derivation(nodes["ticket"], nodes["Shuffled"]).values())
    assert len(order) == len({node.key for node in order}) == 8
    for position, node in enumerate(order):
        assert all(value in order[:position] for value in node.inputs.values())


def test_a_deep_derivation_needs_no_recursion() -> None:
    node = example_nodes()["Trained"]
    assert isinstance(node, Trained)
    data, recipe, seeds = node.data, node.recipe, node.seeds
    for level in range(1, 301):
        masks = Pruned(trained=node, pruning=Pruning(), level=level)
        start = Combined(masks=masks, kept=node)
        node = Trained(start=start, masks=masks, data=data, recipe=recipe, seeds=seeds)
    assert len(derivation(node)) == 903
    assert from_documents(json.loads(json.dumps(to_documents(node))))[node.key] == node


def test_the_start_is_the_state_at_the_first_step() -> None:
    nodes = example_nodes()
    dense, ticket = nodes["Trained"], nodes["ticket"]
    assert isinstance(dense, Trained)
    assert isinstance(ticket, Trained)
    assert dense.at(0) is dense.start
    assert dense.at(100) == nodes["Checkpoint"]
    assert ticket.at(100) is ticket.start
    assert ticket.model == dense.model


def test_documents_round_trip_through_json() -> None:
    nodes = example_nodes()
    read = from_documents(json.loads(json.dumps(to_documents(*nodes.values()))))
    assert read == {node.key: node for node in nodes.values()}
    assert read[nodes["ticket"].key].model_dump() == nodes["ticket"].model_dump()


def test_altered_documents_are_errors() -> None:
    def documents() -> list[dict[str, Any]]:
        return json.loads(json.dumps(to_documents(example_nodes()["ticket"])))  # type: ignore[no-any-return]

    kinds = [document["kind"] for document in documents()]
    altered = documents()
    altered[kinds.index("Pruned")]["fields"]["level"] = 2
    with pytest.raises(ValueError, match=r"\(Pruned\) does not give its own key: it was altered"):
        from_documents(altered)
    altered = documents()
    altered[kinds.index("Trained")]["version"] = 2
    with pytest.raises(ValueError, match=r"node 'Trained' of version 2; this lth knows Initial 1, Dense 1, Whole 1"):
        from_documents(altered)
    altered = documents()
    altered[0]["kind"] = "Grown"
    with pytest.raises(ValueError, match="node 'Grown' of version 1"):
        from_documents(altered)
    altered = documents()
    altered[kinds.index("Trained")]["fields"]["recipe"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="momentum"):
        from_documents(altered)
    with pytest.raises(ValueError, match="Trained"):
        from_documents(reversed(documents()))


def test_every_kind_has_words() -> None:
    words = {name: in_words(node) for name, node in example_nodes().items()}
    assert len(set(words.values())) == len(words)
    assert words["Initial"] == "lenet-300-100 drawn with seed 7"
    assert "from step 100 to step 50000 with sgd" in words["ticket"]
    assert "level 1" in words["Pruned"]
    assert "step 100" in words["Checkpoint"]


def test_unknown_fields_are_errors() -> None:
    for make in (lambda: Dense(extra=1), lambda: Seeds(init=1, order=1, augmentation=1, other=1)):  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="extra_forbidden|Extra inputs"):
            make()
