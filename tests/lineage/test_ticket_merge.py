"""Merged tickets: masks, weights, derivation and every number of their document, recomputed from the masks."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import assert_same_weights, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tickets import (
    INITIAL,
    SHAPES,
    TINY,
    drawn_masks,
    other_draw,
    sources_for,
    state_of,
    ticket_of_masks,
    wide_head,
)

import lth
from lth.config import SettingsError
from lth.lineage import (
    Combined,
    Initial,
    Merged,
    Pretrained,
    Shuffled,
    Sources,
    Ticket,
    apply_masks,
    read_masks_file,
    read_ticket,
    write_ticket,
)
from lth.lineage.foreign import pretrained_digest
from lth.lineage.nodes import from_documents
from lth.lineage.origin import check_same_origin
from lth.models import ModelSpec
from lth.sparsity import MERGES, Masks, State, density, density_by_tensor

A, B, C = (ticket_of_masks(drawn_masks(seed, kept)) for seed, kept in ((1, 0.3), (2, 0.4), (3, 0.2)))
EXPECTED = {
    "union": lambda a, b, c: a | b | c,
    "intersection": lambda a, b, c: a & b & c,
    "majority": lambda a, b, c: (a & b) | (a & c) | (b & c),
    "difference": lambda a, b, c: a & ~b & ~c,
}


def over(theta: State, masks: Masks) -> State:
    """These weights where masks keep, zero elsewhere."""
    return {name: torch.where(masks[name], value, 0.0) if name in masks else value for name, value in theta.items()}


def same_masks(one: Masks, other: Masks) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def pretrained(folder: Path, spec: ModelSpec = TINY, **fields: Any) -> Pretrained:
    """Weights of the tiny network in a file, as a node."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(3)
    save_file(dict(tiny().state_dict()), folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return Pretrained(spec=spec, digest=pretrained_digest(folder), **fields)


@pytest.mark.parametrize("rule", MERGES)
def test_three_tickets_by_hand(rule: str, tmp_path: Path) -> None:
    path = tmp_path / "merged.ticket.safetensors"
    merged = lth.merge_tickets(A, B, C, rule=rule, model=tiny, out=path)
    masks = {name: EXPECTED[rule](A.masks[name], B.masks[name], C.masks[name]) for name in SHAPES}
    assert same_masks(merged.masks, masks)
    read = read_ticket(path)
    assert same_masks(read.masks, masks)
    assert read.start is None  # drawn again from the seed
    theta = state_of(INITIAL, sources_for())
    wanted = over(theta, masks)
    assert_same_weights(read.starting_weights(tiny), wanted)
    assert read.document["density"] == density(masks)
    assert read.document["density_by_tensor"] == density_by_tensor(masks)
    assert read.document["merged"]["rule"] == rule
    assert [each["key"] for each in read.document["merged"]["tickets"]] == [each.document["key"] for each in (A, B, C)]
    assert read.document["merged"]["theta_0"] == "a draw of tiny (seed 7)"


def test_every_number_of_the_document_by_hand() -> None:
    shared = lth.merge_tickets(A, B, model=tiny).document["merged"]
    sums = dict.fromkeys(("n", "a", "b", "both", "any", "by_chance", "any_by_chance"), 0.0)
    for name, row in shared["tensors"].items():
        a, b = A.masks[name], B.masks[name]
        n, both, union = a.numel(), int((a & b).sum()), int((a | b).sum())
        chance = int(a.sum()) * int(b.sum()) / n
        assert (row["weights"], row["sizes"]) == (n, [int(a.sum()), int(b.sum())])
        assert (row["union"], row["intersection"], row["kept"]) == (union, both, union)
        assert row["density"] == union / n
        assert row["iou"] == both / union
        assert row["chance_iou"] == pytest.approx(chance / (int(a.sum()) + int(b.sum()) - chance))
        found = (n, int(a.sum()), int(b.sum()), both, union, chance, int(a.sum()) + int(b.sum()) - chance)
        sums = {key: total + value for (key, total), value in zip(sums.items(), found, strict=True)}
    row = shared["overall"]
    assert (row["weights"], row["sizes"]) == (sums["n"], [sums["a"], sums["b"]])
    assert (row["union"], row["intersection"], row["kept"]) == (sums["any"], sums["both"], sums["any"])
    assert row["density"] == sums["any"] / sums["n"]
    assert row["iou"] == sums["both"] / sums["any"]
    assert row["chance_iou"] == pytest.approx(sums["by_chance"] / sums["any_by_chance"])


def test_a_tie_prunes_where_a_majority_is_asked() -> None:
    merged = lth.merge_tickets(A, B, rule="majority", model=tiny)
    assert same_masks(merged.masks, {name: A.masks[name] & B.masks[name] for name in SHAPES})


def test_the_derivation_says_how_it_was_merged_and_gives_it_again() -> None:
    merged = lth.merge_tickets(A, B, model=tiny)
    nodes = from_documents(merged.document["derivation"])
    end = nodes[merged.document["key"]]
    assert isinstance(end, Combined)
    assert (end.kept, end.kept.root) == (INITIAL, INITIAL)
    assert end.masks == Merged(masks=(A.masks_node, B.masks_node), rule="union")
    assert A.document["key"] not in nodes  # no training of the tickets took part, only their masks
    assert merged.model == TINY
    again = lth.merge_tickets(A, B, model=tiny)
    assert again.document == merged.document
    assert same_masks(again.masks, merged.masks)


def test_a_merged_ticket_was_not_trained() -> None:
    merged = lth.merge_tickets(A, B, model=tiny)
    assert not merged.is_trained
    assert A.is_trained
    with pytest.raises(ValueError, match=r"is the union of 2 tickets and was not trained: it has starting weights"):
        merged.trained_weights("lth-store")


def test_a_merged_ticket_is_used_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "both.ticket.safetensors"
    merged = lth.merge_tickets(A, B, model=tiny, out=path)
    module = tiny()
    apply_masks(merged, module)
    for name, mask in merged.masks.items():
        assert torch.equal(module.get_parameter(name) != 0, mask)
    assert same_masks(read_masks_file(path, tiny()), merged.masks)
    three = lth.merge_tickets(path, C, model=tiny)  # and merged again
    assert same_masks(three.masks, lth.merge_tickets(A, B, C, model=tiny).masks)
    assert three.document["merged"]["tickets"][0]["merged"] == "union"


def test_a_random_union_has_the_sizes_and_no_more() -> None:
    control = lth.merge_tickets(A, B, random_union=0, model=tiny)
    nodes = [Shuffled(masks=each.masks_node) for each in (A, B)]
    assert control.masks_node == Merged(masks=tuple(nodes))
    shared, own = control.document["merged"], lth.merge_tickets(A, B, model=tiny).document["merged"]
    for name, row in shared["tensors"].items():
        assert row["sizes"] == own["tensors"][name]["sizes"]
        assert row["kept"] == int(control.masks[name].sum()) == sum(row["sizes"]) - row["intersection"]
    assert shared["random_union"] == 0
    theta = state_of(INITIAL, sources_for())
    assert_same_weights(
        control.starting_weights(tiny),
        over(theta, control.masks),
    )
    others = [lth.merge_tickets(A, B, random_union=draw, model=tiny) for draw in (0, 1)]
    assert same_masks(others[0].masks, control.masks)
    assert not same_masks(others[1].masks, control.masks)
    # Unrelated masks share what chance says: within four standard deviations of a hypergeometric count.
    overall = others[1].document["merged"]["overall"]
    n, (a, b) = overall["weights"], overall["sizes"]
    spread = (a * b / n * (1 - a / n) * (n - b) / (n - 1)) ** 0.5
    assert abs(overall["intersection"] - a * b / n) < 4 * spread + 5


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=4), st.integers(0, 1000))
def test_densities_lie_where_they_must(kept: list[float], seed: int) -> None:
    tickets = [ticket_of_masks(drawn_masks(seed + i, each)) for i, each in enumerate(kept)]
    by_rule = {rule: lth.merge_tickets(*tickets, rule=rule, model=tiny) for rule in ("union", "intersection")}
    most = lth.merge_tickets(*tickets, rule="majority", model=tiny).masks
    for name in SHAPES:
        own = [density_by_tensor(each.masks)[name] for each in tickets]
        union, both = (density_by_tensor(by_rule[rule].masks)[name] for rule in ("union", "intersection"))
        assert max(own) <= union <= min(1, sum(own) + 1e-12)
        assert both <= min(own)
        assert both <= density_by_tensor(most)[name] <= union


def test_pretrained_tickets_hold_their_first_weights_or_ask_for_the_folder(tmp_path: Path) -> None:
    root = pretrained(tmp_path / "model")
    sources = sources_for((root, tmp_path / "model"))
    theta = state_of(root, sources)
    one, other = (ticket_of_masks(each.masks, root, sources) for each in (A, B))
    merged = lth.merge_tickets(one, other, model=tiny)  # from what the two files hold
    union = {name: A.masks[name] | B.masks[name] for name in SHAPES}
    wanted = over(theta, union)
    assert merged.start is not None
    assert_same_weights(merged.start, wanted)
    by_folder = lth.merge_tickets(one, other, model=tiny, start_from=tmp_path / "model")
    assert_same_weights(by_folder.starting_weights(), wanted)
    assert by_folder.document == merged.document
    assert merged.document["merged"]["theta_0"] == f"tiny (digest {root.digest[:12]})"
    with pytest.raises(ValueError, match=r"do not hold all of the weights that they grew from .*--start-from"):
        lth.merge_tickets(one, other, random_union=0, model=tiny)
    rewound = {name: value + 1 for name, value in theta.items()}
    later = ticket_of_masks(B.masks, root, sources, rewound)
    for pair in itertools.permutations((one, later)):
        with pytest.raises(ValueError, match=f"grew from .tiny .digest {root.digest[:12]}..: name them"):
            lth.merge_tickets(*pair, model=tiny)
        again = lth.merge_tickets(*pair, model=tiny, start_from=tmp_path / "model")
        assert_same_weights(again.starting_weights(), wanted)
    contained = ticket_of_masks({name: A.masks[name] & B.masks[name] for name in SHAPES}, root, sources, rewound)
    assert_same_weights(
        lth.merge_tickets(one, contained, model=tiny).starting_weights(),  # the first holds all that is kept
        over(theta, A.masks),
    )


def test_a_ticket_rewound_to_a_later_step_starts_from_step_0_again() -> None:
    theta = state_of(INITIAL, sources_for())
    rewound = {name: value + 1 for name, value in theta.items()}
    tickets = [ticket_of_masks(each.masks, rewound=rewound) for each in (A, B)]
    merged = lth.merge_tickets(*tickets, model=tiny)
    assert_same_weights(
        merged.starting_weights(tiny),
        over(theta, merged.masks),
    )


def first_layer(seed: int, factory: Any) -> Ticket:
    """A ticket that prunes the first layer alone, of a network that a factory makes."""
    root = Initial(spec=ModelSpec(name=factory.__name__), seed=7)
    masks = {"1.weight": drawn_masks(seed)["1.weight"]}
    return ticket_of_masks(masks, root, Sources({factory.__name__: factory}))


def test_heads_may_differ_where_the_pruned_tensors_are_drawn_alike() -> None:
    one, other = first_layer(1, tiny), first_layer(2, wide_head)
    check_same_origin([one, other], "AB", Sources({"tiny": tiny, "wide_head": wide_head}))
    match = (
        r"A grew from a draw of tiny .seed 7. with values \w{12}, B from a draw of other_draw .* with values \w{12}:"
    )
    with pytest.raises(ValueError, match=match):
        check_same_origin([one, first_layer(2, other_draw)], "AB", Sources({"tiny": tiny, "other_draw": other_draw}))


def test_tickets_of_another_origin_are_refused_and_both_are_printed(tmp_path: Path) -> None:
    root = pretrained(tmp_path / "model")
    sources = sources_for((root, tmp_path / "model"))
    of_seed_8 = ticket_of_masks(B.masks, Initial(spec=TINY, seed=8))
    with pytest.raises(ValueError, match=r"grew from a draw of tiny .seed 7., .* from a draw of tiny .seed 8.: merge"):
        lth.merge_tickets(A, of_seed_8, model=tiny)
    of_file = ticket_of_masks(B.masks, root, sources)
    with pytest.raises(ValueError, match=f"a draw of tiny .seed 7., .* from tiny .digest {root.digest[:12]}"):
        lth.merge_tickets(A, of_file, model=tiny)
    other = Pretrained(spec=TINY, digest="ab" * 32)
    of_other = ticket_of_masks(A.masks, other, sources_for((other, tmp_path / "model")))
    with pytest.raises(ValueError, match=f"digest {root.digest[:12]}., .* from tiny .digest {'ab' * 6}.: merge"):
        lth.merge_tickets(of_file, of_other, model=tiny)


def test_a_pruned_tensor_that_was_drawn_anew_must_be_the_same_draw(tmp_path: Path) -> None:
    head = {"fresh": ("3.bias", "3.weight")}
    roots = [pretrained(tmp_path / "model", seed=seed, **head) for seed in (1, 2)]
    sources = sources_for(*((root, tmp_path / "model") for root in roots))
    both = [ticket_of_masks(each.masks, root, sources) for each, root in zip((A, B), roots, strict=True)]
    with pytest.raises(ValueError, match=r"3.weight drawn with seed 1., .*3.weight drawn with seed 2.: merge"):
        lth.merge_tickets(*both, model=tiny, start_from=tmp_path / "model")
    masks = [{"1.weight": each.masks["1.weight"]} for each in (A, B)]
    heads = [ticket_of_masks(each, root, sources) for each, root in zip(masks, roots, strict=True)]
    merged = lth.merge_tickets(*heads, model=tiny)  # the head is not pruned, so it may differ: the first one's is taken
    theta = state_of(roots[0], sources)
    assert_same_weights(merged.starting_weights(), over(theta, {"1.weight": A.masks["1.weight"] | B.masks["1.weight"]}))


def test_what_does_not_go_together_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.ticket.safetensors"
    write_ticket(A, path)
    with pytest.raises(SettingsError, match="found 1 ticket: give two or more"):
        lth.merge_tickets(path)
    with pytest.raises(SettingsError, match="unknown merge 'onion'. Did you mean 'union'"):
        lth.merge_tickets(A, B, rule="onion")
    with pytest.raises(SettingsError, match="a random union is a union; found rule 'majority'"):
        lth.merge_tickets(A, B, rule="majority", random_union=0)
    with pytest.raises(ValueError, match="whose code is none of lth's and is not run unasked"):
        lth.merge_tickets(A, B)
    with pytest.raises(ValueError, match=re.escape(f"{path} is one of the tickets that are merged: name another")):
        lth.merge_tickets(path, B, model=tiny, out=path)
    save_file({"a": torch.ones(1)}, tmp_path / "plain")
    with pytest.raises(ValueError, match="is a safetensors file, but no ticket"):
        lth.merge_tickets(path, tmp_path / "plain")
    root = pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="is not asked for: ticket .* grew from a draw of tiny .seed 7., which"):
        lth.merge_tickets(A, B, model=tiny, start_from=tmp_path / "model")
    other = Pretrained(spec=TINY, digest="ab" * 32)
    both = [ticket_of_masks(each.masks, other, sources_for((other, tmp_path / "model"))) for each in (A, B)]
    with pytest.raises(
        ValueError, match=f"has digest {root.digest[:12]}, and ticket .* grew from .* {'ab' * 6}.: name"
    ):
        lth.merge_tickets(*both, model=tiny, start_from=tmp_path / "model")


def test_what_one_does_not_prune_counts_as_kept() -> None:
    fewer = ticket_of_masks({"1.weight": B.masks["1.weight"]})
    all_kept = torch.ones_like(A.masks["3.weight"])
    for pair in itertools.permutations((A, fewer)):
        merged = lth.merge_tickets(*pair, model=tiny)
        assert same_masks(merged.masks, {"1.weight": A.masks["1.weight"] | B.masks["1.weight"], "3.weight": all_kept})
        about = merged.document["merged"]
        assert about["not_pruned"] == [[] if each is A else ["3.weight"] for each in pair]
        assert about["tensors"]["3.weight"]["sizes"][pair.index(fewer)] == all_kept.numel()
        assert_same_weights(merged.starting_weights(tiny), over(state_of(INITIAL, sources_for()), merged.masks))
    both = lth.merge_tickets(fewer, A, rule="intersection", model=tiny)
    assert torch.equal(both.masks["3.weight"], A.masks["3.weight"])


def test_other_masks_are_another_architecture(tmp_path: Path) -> None:
    fewer, others = (ticket_of_masks({name: A.masks[name]}) for name in ("1.weight", "3.weight"))
    for pair in itertools.permutations((others, fewer)):
        with pytest.raises(ValueError, match=r"has a mask of '[13].weight' and .* has none: give tickets of one"):
            lth.merge_tickets(*pair, model=tiny)
    wide = Initial(spec=ModelSpec(name="wide_head"), seed=7)
    masks = drawn_masks(1, shapes={**SHAPES, "3.weight": (12, 16)})
    other = ticket_of_masks(masks, wide, Sources({"wide_head": wide_head}))
    with pytest.raises(ValueError, match=r"'3.weight' has shape \(10, 16\) in .* and \(12, 16\) in"):
        lth.merge_tickets(A, other, model=tiny)
