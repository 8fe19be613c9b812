"""Tickets travel: pushed to a server that speaks the hub's protocol, pulled from it, and read without lth."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from builds import tiny
from cli_runs import outcome
from hub_server import READER, WRITER, Hub, Repository, running_hub
from huggingface_hub import HfApi, constants
from safetensors.torch import load_file
from tickets import TINY, drawn_masks, ticket_of_masks

import lth
from lth.launch.ticket_card import ticket_card
from lth.lineage import Ticket, write_ticket
from lth.training.guard import Guard

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how the client uploads by LFS

ARMS = {
    "dense": {"mean": 0.97, "low": 0.96, "high": 0.98, "values": [0.97, 0.96, 0.98]},
    "ticket": {"mean": 0.98, "low": 0.955, "high": 1.005, "values": [0.98, 0.97, 0.99]},
    "random": {"mean": 0.94, "low": 0.93, "high": 0.95, "values": [0.94, 0.93, 0.95]},
}
SCORES = {"metric": "accuracy", "unit": "fraction", "own": {"end": {"test/accuracy": 0.98}, "best_step": None}}
LABELS = {"data": "digits", "level": 2, "replicate": 0}


def measured(arms: dict[str, Any] = ARMS) -> Ticket:
    """A ticket whose starting weights lie in its file, with scores."""
    masks = drawn_masks(3)
    start = {name: value * masks.get(name, 1) for name, value in tiny().state_dict().items()}
    ticket = ticket_of_masks(masks, rewound=start)
    return replace(ticket, document=ticket.document | {"scores": SCORES | {"arms": arms}, "labels": LABELS})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "level-02-replicate-0.ticket.safetensors"
    write_ticket(measured(), path)
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def hub(server: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # files go through LFS, which the server speaks
    server.repositories.clear()
    server.objects.clear()
    server.requests.clear()
    server.harm = None
    return server


def client(hub: Hub, token: str | bool = WRITER) -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


def test_a_ticket_is_pushed_and_pulled(hub: Hub, file: Path, tmp_path: Path) -> None:
    address = lth.push_ticket(file, "me/net", message="Third level", license="mit", api=client(hub))
    stored = hub.repositories["me/net"]
    assert address == f"{hub.url}/me/net/commit/{stored.commit('main')}"
    assert stored.messages == ["Third level"]
    assert set(stored.branches["main"]) == {file.name, "README.md", "model.safetensors", "masks.safetensors"}
    assert sum(each.startswith("PUT /lfs/") for each in hub.requests) == 3
    lines: list[str] = []
    pulled = lth.pull_ticket("me/net", out=tmp_path / "out", api=client(hub, READER), say=lines.append)
    assert pulled == tmp_path / "out" / file.name
    assert pulled.read_bytes() == file.read_bytes()
    assert [line[:3] for line in lines] == ["ok "] * 4
    assert list((tmp_path / "out").iterdir()) == [pulled]
    assert lth.pull_ticket("me/net", file.name, tmp_path / "out", api=client(hub, READER)) == pulled


def test_without_lth_the_files_are_plain(hub: Hub, file: Path, tmp_path: Path) -> None:
    lth.push_ticket(file, "me/net", api=client(hub))
    for name in ("model.safetensors", "masks.safetensors"):
        (tmp_path / name).write_bytes(hub.repositories["me/net"].branches["main"][name])
    card = hub.repositories["me/net"].branches["main"]["README.md"].decode()
    code = next(each for each in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "hf_hub_download(" in each)
    model = tiny()
    local = re.sub(r'hf_hub_download\("me/net", "(.*?)"\)', rf'"{tmp_path}/\1"', code)
    exec(local.replace("from huggingface_hub import hf_hub_download\n", ""), {"model": model})
    ticket = lth.read_ticket(file)
    start = ticket.starting_weights()
    assert all(torch.equal(value, start[name]) for name, value in model.state_dict().items())
    masks = load_file(tmp_path / "masks.safetensors")
    assert {name: mask.dtype for name, mask in masks.items()} == dict.fromkeys(ticket.masks, torch.bool)
    assert all(torch.equal(mask, masks[name]) for name, mask in ticket.masks.items())
    assert all(not start[name][~mask].any() for name, mask in masks.items())
    with_lth = next(each for each in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "pull_ticket" in each)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    local = with_lth.replace('lth.pull_ticket("me/net")', repr(file)).replace("PosixPath", "Path")
    made: dict[str, Any] = {"model": model, "optimizer": optimizer, "Path": Path}
    exec(local, made)
    assert isinstance(made["guard"], Guard)


def test_a_branch_of_its_own_and_private(hub: Hub, file: Path, tmp_path: Path) -> None:
    lth.push_ticket(file, "me/net", private=True, revision="level-2", api=client(hub))
    stored = hub.repositories["me/net"]
    assert (stored.private, stored.branches["main"]) == (True, {})
    assert 'revision="level-2"' in stored.branches["level-2"]["README.md"].decode()
    assert lth.pull_ticket("me/net@level-2", out=tmp_path / "out", api=client(hub, READER)).is_file()
    with pytest.raises(ValueError, match=r"me/net@gone: the hub knows no such branch, tag or commit"):
        lth.pull_ticket("me/net@gone", api=client(hub, READER))
    with pytest.raises(ValueError, match=r"shows no repository me/net@level-2: .* a private one needs a token"):
        lth.pull_ticket("me/net@level-2", out=tmp_path / "out", api=client(hub, token=False))


def test_starting_weights_that_are_drawn_again_need_the_model(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "drawn.safetensors"
    write_ticket(ticket_of_masks(drawn_masks(3)), file)
    with pytest.raises(ValueError, match=rf"the ticket is of '{TINY.name}', whose code is none of lth's"):
        lth.push_ticket(file, "me/net", api=client(hub))
    assert hub.requests == []
    lth.push_ticket(file, "me/net", model=tiny, api=client(hub))
    assert "drawn.ticket.safetensors" in hub.repositories["me/net"].branches["main"]
    lines: list[str] = []
    lth.pull_ticket("me/net", out=tmp_path / "out", api=client(hub), say=lines.append)
    assert lines[-1].startswith("--  starting weights not checked")


def test_nothing_becomes_public_that_should_not(hub: Hub, file: Path) -> None:
    hub.repositories["me/net"] = Repository()
    with pytest.raises(ValueError, match="me/net is there already and is public: make it private"):
        lth.push_ticket(file, "me/net", private=True, api=client(hub))
    assert hub.repositories["me/net"].branches == {"main": {}}


@pytest.mark.parametrize(
    ("token", "repo", "license", "words"),
    [
        ("hf_wrong", "me/net", None, "the hub does not take the token: set HF_TOKEN"),
        (READER, "me/net", None, "the token may not do this to me/net"),
        (WRITER, "me/n/et", None, "me/n/et: Repo id must be in the form"),
        (WRITER, "me/net", "mine", r'me/net: Invalid metadata in README.md. - "license" must be one of'),
    ],
)
def test_what_is_not_pushed(hub: Hub, file: Path, token: str, repo: str, license: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words) as failed:
        lth.push_ticket(file, repo, license=license, api=client(hub, token))
    assert "\n" not in str(failed.value)
    assert not any(stored.branches["main"] for stored in hub.repositories.values())


def pulled_error(hub: Hub, repo: str, out: Path, **options: Any) -> str:
    with pytest.raises(ValueError) as failed:  # noqa: PT011 - the words are looked at
        lth.pull_ticket(repo, out=out, api=client(hub, READER), **options)
    assert not out.exists()
    assert "\n" not in str(failed.value)
    return str(failed.value)


def test_what_is_not_pulled(hub: Hub, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "the hub shows no repository me/none: check the name" in pulled_error(hub, "me/none", out)
    content = file.read_bytes()
    files: dict[str, bytes] = {"model.safetensors": content}
    hub.repositories["me/net"] = Repository(branches={"main": files})
    assert "me/net holds no ticket (a file that ends in .ticket.safetensors)" in pulled_error(hub, "me/net", out)
    files |= {"a.ticket.safetensors": content, "b/c.ticket.safetensors": content}
    assert "holds 2 tickets: name one of 'a.ticket.safetensors', 'b/c" in pulled_error(hub, "me/net", out)
    assert "holds no ticket 'd'; it holds 'a.ticket" in pulled_error(hub, "me/net", out, file="d")
    assert lth.pull_ticket("me/net", "b/c.ticket.safetensors", tmp_path, api=client(hub)).name == "c.ticket.safetensors"
    (tmp_path / "a.ticket.safetensors").write_bytes(b"mine")
    with pytest.raises(ValueError, match="is there already, with other content"):
        lth.pull_ticket("me/net", "a.ticket.safetensors", tmp_path, api=client(hub))
    assert (tmp_path / "a.ticket.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["../up", "/root", "a/../../up", "a\\..\\up", ".hidden/x", "C:x", "a//b", "a\nb"])
def test_names_never_leave_the_folder(hub: Hub, file: Path, tmp_path: Path, name: str) -> None:
    wicked = f"{name}.ticket.safetensors"
    hub.repositories["me/net"] = Repository(branches={"main": {wicked: file.read_bytes()}})
    assert "which is no plain name: it is not fetched" in pulled_error(hub, "me/net", tmp_path / "out")
    assert not any("/resolve/" in each for each in hub.requests)
    assert sorted(tmp_path.rglob("*safetensors")) == [file]


def test_damage_on_the_way_is_noticed(hub: Hub, file: Path, tmp_path: Path) -> None:
    lth.push_ticket(file, "me/net", api=client(hub))
    hub.harm = lambda content: content[:-1] + bytes([content[-1] ^ 1])
    assert "the file was altered" in pulled_error(hub, "me/net", tmp_path / "out")
    hub.harm = lambda content: content[:-100]
    assert "me/net: the download was cut short: pull again" in pulled_error(hub, "me/net", tmp_path / "out")
    hub.harm = lambda content: b"<html>Sign in to the network</html>".ljust(len(content))
    assert "is no whole safetensors file" in pulled_error(hub, "me/net", tmp_path / "out")


def test_no_network(file: Path, tmp_path: Path) -> None:
    with running_hub() as gone:
        pass
    failed = f"me/net: the exchange with {gone.url} failed (ConnectError: "
    assert failed in pulled_error(gone, "me/net", tmp_path / "out")
    with pytest.raises(ValueError, match=re.escape(failed)):
        lth.push_ticket(file, "me/net", api=client(gone))


def test_the_card_says_what_was_measured() -> None:
    card = ticket_card(measured(), "a.ticket.safetensors", "me/net")
    front = yaml.safe_load(card.split("---")[1])
    assert (front["library_name"], "license" in front) == ("lth", False)
    assert "# Ticket of tiny on digits, level 2, replicate 0" in card
    assert "accuracy **98.00 %**" in card
    assert "| ticket | 3 | 98.00 % (95.50 % to 100.00 %) |  |" in card
    assert "| random | 3 | 94.00 % (93.00 % to 95.00 %) | +4.00 points (the same in all replicates) |" in card
    assert "No control was measured" not in card
    assert "> **Not every arm" not in card
    assert card.count("- `") == len(measured().document["derivation"])


def test_the_card_warns_where_a_claim_has_no_base() -> None:
    single = {name: ARMS[name] | {"low": None, "high": None, "values": [0.9]} for name in ("dense", "ticket")}
    card = ticket_card(measured(single), "a.ticket.safetensors", "me/net")
    assert "> **No control was measured**" in card
    assert "> **Not every arm has an interval**" in card
    assert "| dense | 1 | 97.00 % (no interval) | +0.00 points, not settled |" in card
    ticket = measured()
    merged = {"rule": "union", "tickets": [1, 2], "random_union": None, "theta_0": ""}
    document = ticket.document | {"scores": {}, "labels": {}, "merged": merged}
    card = ticket_card(replace(ticket, document=document), "a", "b/c")
    assert "union of 2 tickets" in card
    assert "> **Nothing was measured**" in card


def test_the_card_shows_names_as_they_stand() -> None:
    ticket = measured()
    labels = LABELS | {"data": "a|b\n# <script>"}
    card = ticket_card(replace(ticket, document=ticket.document | {"labels": labels}), "a", "b/c")
    assert "on a&#124;b # &#60;script&#62;, level 2" in card


COMMANDS = """
import sys
from lth.cli.main import main
for arguments in (["push", sys.argv[1], "me/net", "--private"], ["pull", "me/net", "--out", sys.argv[2]]):
    try:
        main(["ticket", *arguments])
    except SystemExit as ended:
        assert ended.code == 0
"""


def test_on_the_command_line(hub: Hub, file: Path, tmp_path: Path) -> None:
    given = {"HF_ENDPOINT": hub.url, "HF_TOKEN": WRITER, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", COMMANDS, str(file), str(tmp_path / "out")]  # in a process: read at the import
    done = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pushed, *checks, last = done.stdout.splitlines()
    assert pushed.startswith(f"Pushed     {hub.url}/me/net/commit/")
    assert hub.repositories["me/net"].private
    assert [line[:2] for line in checks] == ["ok"] * 4
    assert last == f"Wrote      {tmp_path / 'out' / file.name}"
    assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_without_the_package_one_line_says_so(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    wanted = (1, "", "lth: tickets travel by `huggingface_hub`: pip install 'lth[hub]'")
    assert outcome(capsys, "ticket", "pull", "me/net") == wanted
    assert outcome(capsys, "ticket", "push", str(file), "me/net") == wanted
