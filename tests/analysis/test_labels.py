"""Names, tags and commands of a study: written, read, and refused where they are damaged or ambiguous."""

import json
from pathlib import Path
from typing import Any

import pytest

from lth.analysis.labels import FORMAT, LABELS, Labels, check_name, check_tag, ran_now, read_labels, write_labels

WHOLE = {"format": FORMAT, "name": "slow-pruning", "tags": ["paper"], "commands": [{"at": "t", "command": "lth merge"}]}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = Labels("slow-pruning", ("paper", "v2.1"), (ran_now("lth find-ticket --rate 0.1"),))
    write_labels(tmp_path / "made", labels)
    assert read_labels(tmp_path / "made") == labels
    assert [path.name for path in (tmp_path / "made").iterdir()] == [LABELS]


def test_a_missing_file_has_no_labels(tmp_path: Path) -> None:
    assert read_labels(tmp_path) == read_labels(tmp_path / "no-folder") == Labels(None, (), ())


@pytest.mark.parametrize(
    "change",
    [
        {"format": "lth.labels/9"},
        {"name": 7},
        {"name": "a/b"},
        {"tags": None},
        {"tags": [""]},
        {"commands": [{"at": "t"}]},
        {"commands": [{"at": 5, "command": "lth"}]},
    ],
)
def test_damage_is_named_with_what_to_do(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / LABELS).write_text(json.dumps(WHOLE))
    assert read_labels(tmp_path).name == "slow-pruning"
    (tmp_path / LABELS).write_text(json.dumps(WHOLE | change))
    with pytest.raises(ValueError, match=r"labels\.json is damaged .*: remove it"):
        read_labels(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_no_json_is_damage(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LABELS).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        read_labels(tmp_path)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "..", "x" * 65, "é"])
def test_no_names_and_tags(name: str, tmp_path: Path) -> None:
    for check in (check_name, check_tag):
        with pytest.raises(ValueError, match="letters, digits"):
            check(name)
    with pytest.raises(ValueError, match="letters, digits"):
        write_labels(tmp_path, Labels(name=name))
    assert not list(tmp_path.iterdir())


def test_a_name_is_no_beginning_of_an_id() -> None:
    with pytest.raises(ValueError, match="reads as the beginning of an ID"):
        check_name("feed")
    assert check_tag("feed") == "feed"
    assert check_name("rate-0.1") == "rate-0.1"
