"""`lth ticket merge` and `compare`, on tickets of a real search; `show`, `verify` and `apply` of what they write."""

import json
import re
from pathlib import Path

import pytest
import torch
from cli_runs import outcome, run
from safetensors.torch import load_file

import lth
from lth.sparsity import density


def tickets(found: lth.Found, replicate: int = 0) -> list[Path]:
    """The ticket files of a replicate, by level."""
    return [path for path in found.tickets if f"replicate-{replicate}" in path.name]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def cells(shown: str, name: str) -> list[str]:
    """The cells of a table's row."""
    return next(re.split(r"\s{2,}", line) for line in shown.splitlines() if line.startswith(name))


def test_a_merged_file_is_shown_verified_and_applied(
    capsys: pytest.CaptureFixture[str], small_found: lth.Found, tmp_path: Path
) -> None:
    one, two, _ = tickets(small_found)
    out = tmp_path / "both.ticket.safetensors"
    shown = run(capsys, "ticket", "merge", str(one), str(two), "--out", str(out))
    masks = [lth.read_ticket(path).masks for path in (one, two)]
    for name in masks[0]:
        a, b = (each[name] for each in masks)
        union, both = int((a | b).sum()), int((a & b).sum())
        chance = int(a.sum()) * int(b.sum()) / a.numel()
        overlap = f"{both / union:.3f} ({chance / (int(a.sum()) + int(b.sum()) - chance):.3f})"
        counts = [f"{number:,}" for number in (a.numel(), int(a.sum()), int(b.sum()), union, both)]
        assert cells(shown, name) == [name, *counts, overlap, f"{100 * union / a.numel():.2f}"]
    assert cells(shown, "overall")[-1] == f"{100 * lth.read_ticket(out).document['density']:.2f}"
    assert f"A  {one} (keeps {100 * density(masks[0]):.2f} %)" in shown
    assert "union of 2 tickets over the same theta_0, a draw of lenet-300-100 (seed" in shown
    shown = run(capsys, "ticket", "show", str(out))
    assert "Ticket of lenet-300-100, union of 2 tickets over the same theta_0" in shown
    assert f"on digits, level 2, replicate 0, which keeps {100 * density(masks[1]):.2f} %" in shown
    assert "Merged     union of the masks" in shown
    verified = run(capsys, "ticket", "verify", str(out))
    assert verified.count("ok  ") == 4
    assert "drawn again from the seed, give their digest" in verified
    run(capsys, "ticket", "apply", str(out), "--out", str(tmp_path / "weights.safetensors"))
    weights = load_file(tmp_path / "weights.safetensors")
    for name, mask in lth.read_ticket(out).masks.items():
        assert torch.equal(weights[name] != 0, mask)
    assert json.loads(run(capsys, "ticket", "show", str(out), "--json"))["merged"]["rule"] == "union"


def test_json_and_the_random_control(
    capsys: pytest.CaptureFixture[str], small_found: lth.Found, tmp_path: Path
) -> None:
    files, out = [str(path) for path in tickets(small_found)], str(tmp_path / "random.ticket.safetensors")
    document = json.loads(run(capsys, "ticket", "merge", *files, "--random-union", "1", "--out", out, "--json"))
    assert (document["file"], document["random_union"], len(document["tickets"])) == (out, 1, 3)
    assert document["overall"]["kept"] == sum(int(mask.sum()) for mask in lth.read_ticket(Path(out)).masks.values())
    assert "union of random masks (draw 1) of the sizes of 3 tickets" in run(capsys, "ticket", "show", out)
    assert "Shuffled" in run(capsys, "ticket", "show", out)


def test_a_comparison_prints_what_the_library_returns(
    capsys: pytest.CaptureFixture[str], small_found: lth.Found
) -> None:
    one, two, _ = tickets(small_found)
    store = small_found.folder.parent / "store"
    shown = run(capsys, "ticket", "compare", str(one), str(two), "--store", str(store))
    wanted = lth.compare_tickets(one, two, store=store)
    assert json.loads(run(capsys, "ticket", "compare", str(one), str(two), "--store", str(store), "--json")) == wanted
    for name, row in {**wanted["tensors"], "overall": wanted["overall"]}.items():
        cosines = [
            f"{row['cosine'][whose][of]:.4f}" for whose in ("trained", "starting") for of in ("all", "kept_by_both")
        ]
        overlap = f"{row['iou']:.3f} ({row['chance_iou']:.3f})"
        counts = [f"{number:,}" for number in (row["weights"], *row["sizes"], row["both"])]
        assert cells(shown, name) == [name, *counts, overlap, *cosines]
    mean = wanted["mean_cosine"]["trained"]["all"]
    assert f"Cosine of the trained weights, mean over 3 tensors: {mean:.4f}, where both keep" in shown
    assert "Grown from the same: a draw of lenet-300-100 (seed" in shown
    shown = run(capsys, "ticket", "compare", str(one), str(two))
    assert "No trained weights: --store (store) names" in shown
    assert "START COSINE" in shown


def test_what_does_not_go_together_is_one_line(
    capsys: pytest.CaptureFixture[str], small_found: lth.Found, tmp_path: Path
) -> None:
    one, two, _ = map(str, tickets(small_found))
    out = ("--out", str(tmp_path / "out"))
    another = str(tickets(small_found, replicate=1)[0])
    (tmp_path / "text").write_text("no ticket")
    for code, words, arguments in (
        (2, "found 1 ticket: give two or more", (one,)),
        (2, "unknown merge 'sum'", (one, two, "--rule", "sum")),
        (2, "a random union is a union", (one, two, "--rule", "majority", "--random-union", "0")),
        (1, "0.ticket.safetensors grew from a draw of lenet-300-100 (seed", (one, another)),
        (1, "is no whole safetensors file", (one, str(tmp_path / "text"))),
        (1, "there is no file", (one, str(tmp_path / "none"))),
    ):
        found, shown, error = outcome(capsys, "ticket", "merge", *arguments, *out)
        assert (found, shown, error.count("\n")) == (code, "", 0), error
        assert words in error
    assert not (tmp_path / "out").exists()
    code, _, error = outcome(capsys, "ticket", "merge", one, two, "--out", one)
    assert (code, "is one of the tickets that are merged" in error) == (1, True)
    code, _, error = outcome(capsys, "ticket", "compare", one, two, "--store", str(tmp_path))
    assert (code, "is missing" in error, error.count("\n")) == (1, True, 0)
