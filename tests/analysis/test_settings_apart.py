"""What sets studies apart: the settings in which those of one kind differ, on the same model and data."""

from pathlib import Path
from typing import Any

from lth.analysis.notes import StudyNote
from lth.analysis.settings_apart import is_unset, setting_words, settings_apart

KNOWN = {"find-ticket": {"model": "lenet", "data": "digits", "replicates": 5, "rate": 0.2, "rewind_to": None}}


def note(study: str = "find-ticket", **config: Any) -> StudyNote:
    return {"id": "1", "study": study, "created": "", "config": {"model": "lenet", "data": "digits"} | config,
            "keys": [], "jobs": [], "task": "", "arms": [], "folder": Path()}  # fmt: skip


def test_what_differs_within_a_kind_is_told() -> None:
    notes = [note(rate=0.2), note(rate=0.4, replicates=2), note(data="mnist", rate=0.1), note("merge", rate=0.3)]
    assert settings_apart(notes, KNOWN) == [{"rate": 0.2}, {"rate": 0.4}, {}, {}]


def test_what_follows_from_another_setting_is_told_where_nothing_else_differs() -> None:
    alone = [note(rates={"out": 0.1}), note(rates={"out": 0.2})]
    beside = [note(rate=0.2, rates={"out": 0.1}), note(rate=0.4, rates={"out": 0.2})]
    assert settings_apart(alone, {}) == [{"rates": {"out": 0.1}}, {"rates": {"out": 0.2}}]
    assert settings_apart(beside, {}) == [{"rate": 0.2}, {"rate": 0.4}]


def test_what_an_older_lth_did_not_note_is_at_its_default() -> None:
    assert settings_apart([note(), note(rate=0.2, data_digest="ab")], KNOWN) == [{}, {}]
    assert settings_apart([note(), note(rewind_to="10it")], KNOWN) == [{"rewind_to": None}, {"rewind_to": "10it"}]


def test_a_kind_that_is_not_known_shows_what_is_noted() -> None:
    assert settings_apart([note("mine", a=1), note("mine", a=2)], KNOWN) == [{"a": 1}, {"a": 2}]


def test_settings_are_written_as_users_write_them() -> None:
    assert setting_words({"rate": 0.4, "rewind_to": None, "kept": ["a", "b"]}) == "rate=0.4 rewind-to=none kept=a,b"


def test_false_and_nothing_at_all_are_not_the_same() -> None:
    assert all(map(is_unset, (None, "", [], {})))
    assert not any(map(is_unset, (False, 0, 0.0, "none", [None])))
