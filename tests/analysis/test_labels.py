"""Names, tags and commands of a study: written, read, and refused where they are damaged or ambiguous."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lth.analysis.labels as labels_module
from lth.analysis.labels import (
    FORMAT,
    LABELS,
    Labels,
    add_labels,
    check_free,
    checked_labels,
    folder_called,
    folders_called,
    numbered,
    ran_now,
    read_labels,
    write_labels,
)
from lth.config.labels import check_name, check_tags

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
        checked_labels(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_no_json_is_damage(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "12ab"
    folder.mkdir(parents=True)
    (folder / LABELS).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        add_labels(folder, Labels(None, ("paper",)))
    assert (folder / LABELS).read_bytes() == content
    with pytest.warns(UserWarning, match="is damaged"):
        assert read_labels(folder) == Labels()


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "..", "x" * 65, "é"])
def test_no_names_and_tags(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a name has letters, digits"):
        check_name(name)
    with pytest.raises(ValueError, match="a tag has letters, digits"):
        check_tags(("good", name))
    with pytest.raises(ValueError, match="letters, digits"):
        write_labels(tmp_path, Labels(name=name))
    assert not list(tmp_path.iterdir())


def test_a_name_is_no_beginning_of_an_id() -> None:
    with pytest.raises(ValueError, match="reads as the beginning of an ID"):
        check_name("feed")
    assert check_tags(("feed", "feed")) == ("feed",)
    assert check_name("rate-0.1") == "rate-0.1"


def store_of(folder: Path, **names: str | None) -> Path:
    for id, name in names.items():
        write_labels(folder / "studies" / id.removeprefix("_"), Labels(name))
    return folder


def test_a_name_or_the_beginning_of_an_id_means_a_study(tmp_path: Path) -> None:
    store = store_of(tmp_path, _12ab="slow", _12cd="slow-2", _ff00=None)

    def ids(name: str) -> list[str]:
        return [path.name for path in folders_called(name, store)]

    assert ids("slow") == ["12ab"]  # a whole name, though another begins with it
    assert ids("slow-2") == ["12cd"]
    assert ids("12") == ["12ab", "12cd"]
    assert ids("f") == ["ff00"]
    assert ids("slo") == ids("") == []
    assert folder_called("slow", store).name == "12ab"
    with pytest.raises(ValueError, match="'12' is short for several studies: 12ab, 12cd"):
        folder_called("12", store)
    with pytest.raises(ValueError, match=r"unknown study 'slo'\. Did you mean 'slow'\? .*`lth ls` lists"):
        folder_called("slo", store)
    with pytest.raises(ValueError, match="holds no studies"):
        folder_called("slow", tmp_path / "none")


def test_damaged_labels_hide_no_other_study(tmp_path: Path) -> None:
    store = store_of(tmp_path, _12ab="slow", _ff00=None)
    (store / "studies" / "ff00" / LABELS).write_text("{")
    with pytest.warns(UserWarning, match="ff00.* is damaged"):
        assert folder_called("slow", store).name == "12ab"
    with pytest.warns(UserWarning, match="ff00.* is damaged"):
        check_free("quick", store / "studies" / "12ab")


def test_a_name_is_of_one_study(tmp_path: Path) -> None:
    studies = store_of(tmp_path, _12ab="slow", _ff00=None) / "studies"
    check_free("slow", studies / "12ab")
    check_free("quick", studies / "ff00")
    with pytest.raises(ValueError, match=r"the name 'slow' is taken: study 12ab .*lth label 12ab --name"):
        add_labels(studies / "ff00", Labels("slow"))
    assert read_labels(studies / "ff00") == Labels()


def test_labels_are_added(tmp_path: Path) -> None:
    folder, first = tmp_path / "studies" / "12ab", ran_now("lth merge")
    add_labels(folder, Labels("slow", ("a",), (first,)))
    assert add_labels(folder, Labels(None, ("b", "a"), (ran_now("lth merge"),))) == Labels("slow", ("a", "b"), (first,))
    assert add_labels(folder, Labels("slower"), untagged=["a", "z"]) == Labels("slower", ("b",), (first,))
    assert read_labels(folder) == Labels("slower", ("b",), (first,))


def test_of_several_that_label_a_study_at_once_none_loses_what_it_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, checked = tmp_path / "studies" / "12ab", labels_module.checked_labels

    def slow(of: Path) -> Labels:
        labels = checked(of)
        time.sleep(0.1)
        return labels

    monkeypatch.setattr(labels_module, "checked_labels", slow)
    with ThreadPoolExecutor(4) as threads:
        added = [threads.submit(add_labels, folder, Labels(None, (f"tag-{number}",))) for number in range(4)]
        assert max(len(each.result().tags) for each in added) == 4
    assert len(read_labels(folder).tags) == 4
    assert {path.name for path in (tmp_path / "work").iterdir()} <= {".clock"}


def test_several_studies_of_one_command_are_numbered() -> None:
    labels = Labels("sweep", ("a",))
    assert numbered(labels, 1) == [labels]
    assert numbered(labels, 2) == [Labels("sweep-1", ("a",)), Labels("sweep-2", ("a",))]
    assert numbered(Labels(None, ("a",)), 2) == [Labels(None, ("a",))] * 2
