"""The bench works: its loops train under their masks, its rows can be measured, its figure is drawn."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.__main__ import GROUPS, main, measure, write
from bench.cases import Case, lenet, mnist_shaped, networks, tensors
from bench.gpu import gpu_rows
from bench.limit import operations
from bench.loops import best, best_with_hooks, best_with_prune, ours, started, usual, with_prune
from bench.memory import wide
from bench.ratio import QUICK, Effort, Row, take_turns

LOOPS = (usual, with_prune, best, best_with_hooks, best_with_prune)


@pytest.fixture(scope="module")
def ticket() -> Case:
    """LeNet-300-100 at 17 %, on few images."""
    return lenet(8, QUICK)


def loss_of(case: Case, module: nn.Module) -> float:
    images, labels = tensors(case.parts["train"])
    with torch.no_grad():
        return F.cross_entropy(module(images), labels).item()


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_every_loop_trains_and_pruned_weights_stay_zero(loop, ticket: Case) -> None:  # type: ignore[no-untyped-def]
    module = ticket.module()
    before = loss_of(ticket, module)
    assert loop(ticket, module)(30) > 0
    assert loss_of(ticket, module) < 0.9 * before
    for name, mask in ticket.masks.items():
        owner, _, leaf = name.rpartition(".")
        weight = getattr(module.get_submodule(owner), leaf)  # with torch's pruning, the masked one
        assert not weight[~mask].any()
        assert weight[mask].all()


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_every_loop_trains_the_transformer(loop) -> None:  # type: ignore[no-untyped-def]
    case = networks(QUICK)[1]
    assert loop(case, case.module())(2) > 0


@pytest.mark.parametrize("engine", ["sparse", "torch", "auto"])
def test_our_engines_go_on_where_they_stood(engine: str, ticket: Case) -> None:
    way = ours(ticket, engine)
    assert way(3) > 0
    assert way(2) > 0


@pytest.mark.parametrize(("density", "engine"), [(0.9, "torch"), (0.17, "sparse")])
def test_auto_is_told_the_density(density: float, engine: str) -> None:
    assert started(wide(density, 512), "auto").name == engine


def test_masks_follow_the_paper(ticket: Case) -> None:
    kept = {name: mask.sum().item() for name, mask in ticket.masks.items()}
    assert kept == {
        "hidden1.weight": round(235_200 * 0.8**8),
        "hidden2.weight": round(30_000 * 0.8**8),
        "output.weight": round(1000 * 0.9**8),
    }


def test_masks_may_be_random(ticket: Case) -> None:
    drawn = lenet(8, replace(QUICK, mask_steps=0))
    assert drawn.density == ticket.density
    assert not torch.equal(drawn.masks["hidden1.weight"], ticket.masks["hidden1.weight"])


def test_operations_of_a_dense_step() -> None:
    case = lenet(0, QUICK)
    every_pixel, nonzero = operations(case)
    assert every_pixel == 60 * (4 * 235_200 + 6 * 31_000)
    share = (tensors(case.parts["train"])[0] != 0).float().mean().item()
    assert nonzero == pytest.approx(60 * (4 * 235_200 * share + 6 * 31_000))


def test_images_have_the_share_of_zeros_of_mnist() -> None:
    images, _ = tensors(mnist_shaped(3000).parts["train"])
    assert (images != 0).float().mean().item() == pytest.approx(0.19, abs=0.005)
    assert not images[:, 0].any()


def test_a_row_is_better_above_one() -> None:
    assert Row("speed", "steps/s", (4.0, 6.0), (2.0, 2.0)).ratios == (2.0, 3.0)
    assert Row("memory", "MB", (2.0,), (5.0,), is_cost=True).ratios == (2.5,)
    assert Row("alone", "%", (2.0,)).ratios == ()


def test_a_line_has_no_powers_of_ten() -> None:
    line = Row("speed", "steps/s", (13970.4, 13970.4), (238.44, 238.44)).line()
    assert line.split() == ["speed", "13,970", "238", "steps/s", "58.59x", "58.59", "to", "58.59,", "2", "turns"]


def test_turns_go_forth_and_back() -> None:
    done: list[str] = []

    def way(name: str):  # type: ignore[no-untyped-def]
        def steps(count: int) -> float:
            done.append(name)
            return count * 1e-3

        return steps

    times = take_turns({"a": way("a"), "b": way("b")}, QUICK)
    assert done[-4:] == ["a", "b", "b", "a"]
    assert times["a"] == pytest.approx((1e-3, 1e-3))


def test_many_members_are_compared_with_one() -> None:
    (first, _) = gpu_rows(QUICK, device="cpu", members=3)
    assert first.unit == "times"
    assert len(first.ours) == QUICK.turns


def test_one_group_is_measured_written_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure(["lenet"], QUICK, document := {})
    write(document, tmp_path)
    document = json.loads((tmp_path / "bench.json").read_text())
    assert {"cpu", "vectors", "data", "torch"} <= document["environment"].keys()
    assert len(document["rows"]) == 8 * 5
    assert all(row["ratio"] > 0 and len(row["turns"]["ours"]) == QUICK.turns for row in document["rows"])
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "speed.svg").read_text()
    assert "usual loop" in svg
    assert "1.2 %" in svg
    assert capsys.readouterr().out.count("LeNet-300-100") == 40


def test_a_process_that_dies_loses_no_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(effort: Effort) -> Iterator[Row]:
        yield Row("before", "steps/s", (1.0,))
        raise ChildProcessError("lane 0 of the bench ended")

    monkeypatch.setitem(GROUPS, "limit", dying)
    monkeypatch.setattr("sys.argv", ["bench", "limit", "--quick", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "lane 0 of the bench ended\n"
    assert [row["what"] for row in json.loads((tmp_path / "bench.json").read_text())["rows"]] == ["before"]


@pytest.mark.slow
@pytest.mark.parametrize("group", [name for name in GROUPS if name not in ("lenet", "gpu")])
def test_every_other_group_is_measured(group: str) -> None:
    assert list(GROUPS[group](QUICK))
