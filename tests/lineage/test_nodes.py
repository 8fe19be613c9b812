"""Keys: pinned, complete, and the same after a round trip."""

import json
from typing import Any

import pytest
from builds import example_nodes
from pydantic import BaseModel

from lth.config import Function, Pruning, Sparsifier, SupermaskSettings, TaskSpec, Training
from lth.lineage import (
    NODES,
    Ablated,
    Checkpoint,
    Combined,
    DataSpec,
    Dense,
    Evaluated,
    Initial,
    LearnedMasks,
    MaskedNetwork,
    Merged,
    Node,
    Pruned,
    Shuffled,
    Sparsified,
    Trained,
    Zeros,
    derivation,
    from_documents,
    to_documents,
)
from lth.models import ModelSpec
from lth.models.dropout import InputDropout
from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import Intervention
from lth.superweights.search import Search
from lth.training import Seeds

GOLDEN: dict[str, str] = {
    "Grafted": "f208785d1749167747472d38473935f21cdde9060646c7a0eeb34efaa0e560ed",
    "Initial": "3aae13ccbcf45c2ae6e9975919dfc83da27df1598fc6252b73a0a750eec95dcd",
    "Pretrained": "182d747230204e3d865d8b4aec2c05463d34d65e4a0a3c236f480e01ccf59d5e",
    "Dense": "528a5589ea0c36185cf70d114158186da71c8fb44c72bb33fa0797b8e2b3056c",
    "Prunable": "ac94bf2616dd711d7a3c2875b22006939438d6980e17cd36e5c1a7b1fba4b6da",
    "Trained": "a1b600cf00b68cb0f9e61ca60d57bba7adee28f1fda11e74ca5e2b9e963f2c97",
    "ticket": "7d39b33513bab308151df9dc356d2e013015b96a24eb710878f5f6e9bef9fc2f",
    "sparsified": "671df4fe281906a27c2a5a8279f6a64a6c0ecac522a09ee56784103174d40530",
    "supermask": "73398fe79d762f79e35319fbb6abf108e865e8119612634f30bc9f7488618be7",
    "Checkpoint": "a7792047efe745cd8840e4b2453ec3e5570a247e77b2decb73ac6908b434fcec",
    "Pruned": "1c24e1dfcd8b6066c8ada1b5b66e136b3d5e871ea4ae875158b57dc4eeeb1d68",
    "Shuffled": "c0f23ee7a7fa0f9f3b5d0a4bf6e835126506514efc3c5028b12623ff1ad18fb3",
    "Given": "d83e915f32722d0a6141e992c408f3da2127efdef82bc74eed4d7d80705ab32c",
    "Sparsified": "8c4ec9c1d8bad106e7126604d9dcca977355f7811ba69364bcaedbb29b8519bb",
    "Merged": "d5f24abbac4f4b42ccfa1c654186f0beca03bfb02c13ed020522d65dda939658",
    "Complement": "06e50892c932904b52f6577d85df590049c86bf72eb8b583b1143024c9166b66",
    "LearnedMasks": "761a3ab007b4d7d6a18d43073c7dc7cb642e093471fbbce1d2b2740f6ae1a368",
    "Combined": "3951abe9caf21cba28e82f8c2c2a5dec3dd2583ad2e6c9930aed1479377cb44f",
    "Zeros": "8957f93c3b066d80027cce11151cc765b0876364df54608a8bc3fb0a0d9bf8d3",
    "Permuted": "759344af37fef384c7c798b7cafa9d6f49fc4d1677e9e9972002352fc4ec3beb",
    "Reshuffled": "4475fca1a65c5da07a020c21bd31287bb7d01c8e161c2479645149436f074cfc",
    "Constant": "5defb8ae6455067403bf01df309c56789bed2e30aae11cc9c55d9f0ca5aaf1a8",
    "Signed": "1ba6d7e88610d23fd612c8a0bf84268d122316204d9c06df6cd276bd9b73ba9f",
    "Noise": "fadc1ffe1804c5d3123ef72a6c9fbbfdf13d936c90f6108e8066187c41532d81",
    "ZeroedByMovement": "d112a40ac6beee2b56efb1811a4223fa98e0fbe6e4b21b0b70bb581f0db8c8d5",
    "Interpolated": "6a3256c99084e277f83c5491700451f9230524e378c0d4cdde4a884bb663f604",
    "Ablated": "c337bf8af912b4ebc1833cab2a61598346b901f5baa9aa4d92e2f388e61ffc7d",
    "Transplanted": "4c68df4fce260053481f34d1762fee06cdb7ab82f36846bbe17e95d45cd6fa97",
    "MaskedNetwork": "1f46a26f65373fde85b78fc345dfe310e1469154940ce3ee24654b0dfdc953d9",
    "Evaluated": "d97d0942fb224717da4ce3102c57341c67cf38320514ff11bd67ffb9b9aa3ee8",
    "Intervened": "06a4b724d590e6bcdaf6768759318c7f44beb61ddff45def47c97160f12372ee",
    "Overlapped": "8aac86e452e0db959df3a06777b77cf4b2ecc82f5b3f4c7d4d1665d75e754676",
    "SuperWeightsFound": "146e91a690a8285fb9087d9dd00d089fc6839efa298af3ef9ee2cb90005784bd",
}
"""If one changes, every store in the world is orphaned: raise a node's `version` only if its numbers change."""

CHANGES: dict[type[BaseModel], dict[str, Any]] = {
    Training: {
        "task": TaskSpec(name="regression"),
        "steps": 49_999,
        "batch_size": 61,
        "lr": 0.1,
        "optimizer": "adamw",
        "optimizer_options": {"momentum": 0.8},
        "weight_decay": 0.1,
        "no_decay": ("vectors",),
        "lr_decay": "cosine",
        "lr_milestones": (10,),
        "lr_factor": 0.5,
        "final_lr": 1e-5,
        "warmup": 10,
        "evaluate_every": 99,
        "clip": 1.0,
        "precision": "bfloat16",
        "first_step": 1,
        "sparsifier": Sparsifier(),
        "traces": ("moments",),
        "measures": ("sparsity",),
        "train_only": ("output.*",),
        "augment": ("pad-crop:4", "flip"),
        "function": Function(name="mine:train"),
    },
    TaskSpec: {"name": "regression", "version": 2, "arguments": {"num_classes": 9}},
    Pruning: {
        "criterion": "random",
        "scope": "global",
        "schedule": "one-shot",
        "rate": 0.3,
        "per_level": 0.1,
        "rates": {"output.weight": 0.2},
        "prune_only": ("a",),
        "never_prune": ("b",),
        "granularity": "2:4",
        "level_rates": (0.1, 0.2),
        "rounds": 3,
        "samples": 5,
        "protect": ("output:0,1",),
        "prune_first": ("output:0,2",),
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
        "release": True,
        "update_fraction": 0.2,
        "moments": "keep",
        "noise": "uniform",
        "noise_scale": 2.0,
    },
    SupermaskSettings: {
        "method": "edge_popup",
        "density": 0.4,
        "rescale": True,
        "weights": "signed_constant",
        "initial_score": 1.0,
    },
    Function: {"name": "other:train", "version": "2"},
    Seeds: {"init": 1, "order": 1, "augmentation": 1},
    DataSpec: {
        "digest": "e" * 64,
        "validation": 4999,
        "split_seed": 1,
        "train_examples": 100,
        "shots": 8,
        "shots_by_class": True,
        "shots_seed": 1,
    },
    InputDropout: {"p": 0.2, "weights": ("3.weight",)},
    ModelSpec: {
        "name": "other",
        "arguments": {},
        "version": "2",
        "structure": "0123456789abcdef",
        "draw": "f",
        "first_call": {"x": ("float32", (2, 8, 8))},
        "supermask": SupermaskSettings(method="edge_popup"),
        "dropout": InputDropout(p=0.5, weights=("1.weight",)),
    },
    Coordinate: {"block": 12, "output": 508, "input": 1230, "expert": 1},
    Intervention: {
        "kind": "row",
        "coordinates": (Coordinate(block=12, output=507, input=1229),),
        "factor": 0.5,
        "count": 2,
        "seed": 1,
        "value": 0.5,
    },
    Search: {"share": 0.6, "over_channels": 20, "over_blocks": 4, "prompts": 2, "top": 1, "rounds": 1},
}


def bases() -> dict[type[BaseModel], BaseModel]:
    """One value of each class above, as it stands in the example nodes, and what makes a node of it."""
    nodes: dict[str, Any] = example_nodes()
    return {
        Training: nodes["Trained"].training,
        TaskSpec: nodes["Trained"].training.task,
        Pruning: nodes["Pruned"].pruning,
        Sparsifier: nodes["sparsified"].training.sparsifier,
        SupermaskSettings: nodes["supermask"].start.spec.supermask,
        Function: Function(name="mine:train"),
        Seeds: nodes["Trained"].seeds,
        DataSpec: nodes["Trained"].data,
        InputDropout: InputDropout(p=0.5, weights=("1.weight",)),
        ModelSpec: nodes["Initial"].spec,
        Coordinate: nodes["Intervened"].intervention.coordinates[0],
        Intervention: nodes["Intervened"].intervention,
        Search: nodes["SuperWeightsFound"].search,
    }


def node_with(value: BaseModel) -> Node:
    """A node that such a value determines."""
    nodes: dict[str, Any] = example_nodes()
    initial, dense, training = nodes["Initial"], nodes["Trained"], nodes["Trained"].training
    match value:
        case Training():
            return with_field(dense, "training", value)
        case TaskSpec():
            return with_field(dense, "training", training.with_(task=value))
        case Function():
            return with_field(dense, "training", training.with_(function=value))
        case Sparsifier():
            return with_field(dense, "training", training.with_(sparsifier=value))
        case Pruning():
            return with_field(nodes["Pruned"], "pruning", value)
        case Seeds():
            return with_field(dense, "seeds", value)
        case DataSpec():
            return with_field(dense, "data", value)
        case SupermaskSettings():
            return with_field(initial, "spec", initial.spec.model_copy(update={"supermask": value}))
        case InputDropout():
            return with_field(initial, "spec", initial.spec.model_copy(update={"dropout": value}))
        case Coordinate():
            return with_field(nodes["Intervened"], "intervention", Intervention(kind="scale", coordinates=(value,)))
        case Intervention():
            return with_field(nodes["Intervened"], "intervention", value)
        case Search():
            return with_field(nodes["SuperWeightsFound"], "search", value)
    return with_field(initial, "spec", value)


def with_field(node: Node, name: str, value: object) -> Node:
    """The node with one field changed."""
    return type(node).model_validate({field: getattr(node, field) for field in type(node).model_fields} | {name: value})


@pytest.mark.parametrize("name", example_nodes())
def test_keys_are_pinned(name: str) -> None:
    assert example_nodes()[name].key == GOLDEN[name]


def test_every_kind_is_pinned() -> None:
    assert NODES.keys() == {node.kind_name for node in example_nodes().values()}
    assert NODES.keys() <= GOLDEN.keys()


@pytest.mark.parametrize(("config", "field"), [(config, field) for config in CHANGES for field in CHANGES[config]])
def test_every_setting_changes_the_key(config: type[BaseModel], field: str) -> None:
    base = bases()[config]
    values = {name: getattr(base, name) for name in config.model_fields}
    if field == "per_level":
        values = {name: value for name, value in values.items() if name not in ("rate", "rates")}
    together = {"schedule": "list"} if field == "level_rates" else {}
    base, changed = config(**values | together), config(**values | together | {field: CHANGES[config][field]})
    assert node_with(changed).key != node_with(base).key


def test_every_setting_is_in_the_test_above() -> None:
    for config, changes in CHANGES.items():
        assert changes.keys() == config.model_fields.keys()


def test_every_field_of_a_node_changes_its_key() -> None:
    """One other value for each field of each kind; a field without one here fails the test."""
    nodes: dict[str, Any] = example_nodes()
    initial, dense, ticket = nodes["Initial"], nodes["Trained"], nodes["ticket"]
    pruned, shuffled, fresh = nodes["Pruned"], nodes["Shuffled"], nodes["Signed"].of
    others: dict[type, list[object]] = {
        Node: [initial, fresh, dense, ticket, nodes["supermask"], pruned, shuffled, Dense()],
        tuple: [
            ("a",),
            (1, 2),
            ((4,),),
            (Coordinate(block=1, output=2, input=3),),
            (dense,),
            (shuffled, pruned),
            (("output.weight", (1, None)),),
        ],
        bool: [True, False],
        int: [1, 2, 101],
        float: [0.5],
        str: ["uniform", "intersection", "validation", "bfloat16"],
    }
    values = [value for group in others.values() for value in group]
    values += [type(base)(**{**base.__dict__, **_one(CHANGES[config])}) for config, base in bases().items()]
    for kind in NODES:
        node = nodes[kind]
        for field in type(node).model_fields:
            keys = set()
            for value in values:
                try:
                    keys.add(with_field(node, field, value).key)
                except ValueError:
                    continue
            assert keys - {node.key}, f"no other value of {kind}.{field} is here"


def _one(changes: dict[str, Any]) -> dict[str, Any]:
    return dict([next(iter(changes.items()))])


def test_the_key_tells_similar_nodes_apart() -> None:
    nodes: dict[str, Any] = example_nodes()
    initial, dense, pruned, checkpoint = (nodes[name] for name in ("Initial", "Trained", "Pruned", "Checkpoint"))
    zeros, shuffled = Zeros(like=initial), Shuffled(masks=pruned)
    different: list[Node] = [
        Combined(masks=pruned, kept=checkpoint, pruned=zeros),
        Combined(masks=pruned, kept=initial, pruned=zeros),
        Combined(masks=pruned, kept=checkpoint, pruned=initial),
        Combined(masks=shuffled, kept=checkpoint, pruned=zeros),
        Merged(masks=(pruned, shuffled)),
        Merged(masks=(shuffled, pruned)),
        Merged(masks=(pruned, shuffled, shuffled)),
        Evaluated(weights=(dense,), data=dense.data, task=dense.training.task),
        Evaluated(weights=(dense, dense), data=dense.data, task=dense.training.task),
        LearnedMasks(trained=nodes["supermask"]),
        LearnedMasks(trained=nodes["supermask"], draw=0),
        LearnedMasks(trained=nodes["supermask"], draw=1),
        MaskedNetwork(trained=nodes["supermask"]),
    ]
    assert len({node.key for node in different}) == len(different)


def test_fields_at_their_default_do_not_enter() -> None:
    """So a new field whose default changes nothing keeps old keys."""
    nodes: dict[str, Any] = example_nodes()
    dense = nodes["Trained"].document["fields"]
    assert set(dense) == {"start", "masks", "data", "training", "seeds"}
    assert dense["training"] == {
        "task": {"arguments": {"num_classes": 10}},
        "steps": 50_000,
        "batch_size": 60,
        "lr": 0.0012,
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9},
    }
    assert nodes["Pruned"].document["fields"]["pruning"] == {"rates": {"output.weight": 0.1}}
    assert set(nodes["Shuffled"].document["fields"]) == {"masks"}
    assert set(nodes["Evaluated"].document["fields"]) == {"weights", "data", "task"}
    assert nodes["Dense"].document == {"kind": "Dense", "version": 1, "fields": {}}


def test_settings_hold_defaults_and_no_inputs() -> None:
    nodes: dict[str, Any] = example_nodes()
    assert set(nodes["Trained"].settings) == {"data", "training", "seeds", "moments"}
    assert nodes["Trained"].settings["training"]["lr_decay"] == "constant"
    assert set(nodes["Evaluated"].settings) == {"data", "task", "part", "precision", "renew_norms"}


def test_inputs_in_tuples_are_inputs() -> None:
    nodes: dict[str, Any] = example_nodes()
    evaluated, merged, ablated = nodes["Evaluated"], nodes["Merged"], nodes["Ablated"]
    assert evaluated.inputs == [nodes["Trained"], nodes["ticket"]]
    assert merged.inputs == [nodes["Pruned"], nodes["Shuffled"]]
    assert evaluated.document["fields"]["weights"] == [nodes["Trained"].key, nodes["ticket"].key]
    assert merged.document["fields"]["masks"] == [nodes["Pruned"].key, nodes["Shuffled"].key]
    assert ablated.inputs == [nodes["Trained"]]
    assert ablated.document["fields"]["places"] == [["output.weight", [0, None]], ["hidden1.weight", [1, 2]]]


def test_equal_values_are_equal_nodes() -> None:
    one, other = example_nodes(), example_nodes()
    assert one == other
    assert len({*one.values(), *other.values()}) == len(one)
    assert one["Trained"] != "a string"
    assert repr(one["Initial"]) == f"Initial({one['Initial'].key[:8]})"


def test_a_derivation_has_inputs_first_and_each_node_once() -> None:
    nodes = example_nodes()
    order = list(derivation(nodes["ticket"], nodes["Evaluated"]).values())
    kinds = ["Initial", "Dense", "Trained", "Pruned", "Checkpoint", "Zeros", "Combined", "Trained", "Evaluated"]
    assert sorted(node.kind_name for node in order) == sorted(kinds)
    for position, node in enumerate(order):
        assert all(value in order[:position] for value in node.inputs)


def test_a_deep_derivation_needs_no_recursion() -> None:
    node = example_nodes()["Trained"]
    assert isinstance(node, Trained)
    data, training, seeds, initial = node.data, node.training, node.seeds, node.start
    for level in range(1, 301):
        masks = Pruned.after(node, Pruning(), level)
        start = Combined(masks=masks, kept=node, pruned=Zeros(like=initial))
        node = Trained(start=start, masks=masks, data=data, training=training, seeds=seeds)
    assert len(derivation(node)) == 904
    read = from_documents(json.loads(json.dumps(to_documents(node))))[node.key]
    assert isinstance(read, Trained)
    assert (read, read.model) == (node, node.model)


def test_the_start_is_the_state_at_the_first_step() -> None:
    nodes = example_nodes()
    dense, ticket = nodes["Trained"], nodes["ticket"]
    assert isinstance(dense, Trained)
    assert isinstance(ticket, Trained)
    assert dense.at(0) is dense.start
    assert dense.at(100) == nodes["Checkpoint"]
    assert ticket.at(100) is ticket.start
    assert ticket.model == dense.model
    assert ticket.root == dense.start


def test_a_state_is_of_the_model_of_the_one_before() -> None:
    """Under masks that were learned it is the plain network, and so is what is derived from that."""
    nodes: dict[str, Any] = example_nodes()
    masked, plain = nodes["MaskedNetwork"], nodes["Initial"].spec
    assert nodes["supermask"].model == plain.model_copy(update={"supermask": SupermaskSettings()})
    between = type(nodes["Interpolated"])(first=masked, second=masked, share=0.5)
    assert masked.model == between.model == nodes["Combined"].model == plain


@pytest.mark.parametrize("name", example_nodes())
def test_documents_round_trip_through_json(name: str) -> None:
    node = example_nodes()[name]
    read = from_documents(json.loads(json.dumps(to_documents(node))))
    assert read == derivation(node)
    assert type(read[node.key]) is type(node)
    assert read[node.key].model_dump() == node.model_dump()


def test_altered_documents_are_errors() -> None:
    def documents() -> list[dict[str, Any]]:
        return json.loads(json.dumps(to_documents(example_nodes()["ticket"])))  # type: ignore[no-any-return]

    kinds = [document["kind"] for document in documents()]
    altered = documents()
    altered[kinds.index("Pruned")]["fields"]["level"] = 2
    with pytest.raises(ValueError, match=r"\(Pruned\) does not give its own key: it was altered"):
        from_documents(altered)
    altered = documents()
    altered[kinds.index("Trained")]["version"] = 9
    with pytest.raises(ValueError, match=r"node 'Trained' of version 9; this lth knows Ablated 1, Checkpoint 1, Com"):
        from_documents(altered)
    altered = documents()
    altered[0]["kind"] = "Grown"
    with pytest.raises(ValueError, match="node 'Grown' of version 1"):
        from_documents(altered)
    altered = documents()
    altered[kinds.index("Trained")]["fields"]["training"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="momentum"):
        from_documents(altered)
    with pytest.raises(ValueError, match="Trained"):
        from_documents(reversed(documents()))


def test_every_kind_has_words() -> None:
    """A line each, and no two alike."""
    words = {name: node.words() for name, node in example_nodes().items()}
    assert len(set(words.values())) == len(words)
    assert all(text and text[-1] != "." and "\n" not in text for text in words.values())
    assert [name for name, text in words.items() if text == name] == []
    assert words["Initial"] == "lenet-300-100 drawn with seed 7"
    assert "from step 100 to step 50000 with sgd" in words["ticket"]
    assert "level 1" in words["Pruned"]
    assert "step 100" in words["Checkpoint"]
    assert "25 %" in words["Interpolated"]


def test_unknown_fields_are_errors() -> None:
    for make in (lambda: Dense(extra=1), lambda: Seeds(init=1, order=1, augmentation=1, other=1)):  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="extra_forbidden|Extra inputs"):
            make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda nodes: Merged(masks=(nodes["Pruned"],)), "at least 2"),
        (lambda nodes: Merged(masks=(nodes["Pruned"],) * 2, rule="unoin"), "Did you mean 'union'"),
        (lambda nodes: Checkpoint(trained=nodes["Trained"], step=0), "greater than 0"),
        (lambda nodes: Evaluated(weights=(), data=nodes["Trained"].data, task=TaskSpec()), "at least 1"),
        (lambda nodes: type(nodes["Interpolated"])(first=nodes["Trained"], second=nodes["ticket"], share=2), "less"),
        (lambda nodes: Initial(spec=nodes["Initial"].spec, seed="seven"), "integer"),
        (lambda nodes: Sparsified(trained=nodes["Initial"]), "Trained"),
        (lambda nodes: Ablated(of=nodes["Pruned"], places=()), "WeightsNode"),
    ],
)
def test_values_that_no_node_can_have_are_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(example_nodes())
