"""Tables: what `lth` brings, what a script adds, and how a wrong name is answered."""

import pickle

import pytest

from lth.config import Table, check_choice


def test_choices_suggest_the_nearest() -> None:
    assert check_choice("scope", "global", ["global", "layerwise"]) == "global"
    with pytest.raises(ValueError, match=r"^unknown scope 'layrwise'\. Did you mean 'layerwise'\? Choices: global, la"):
        check_choice("scope", "layrwise", ["global", "layerwise"])
    with pytest.raises(ValueError, match=r"^unknown scope 'zzz'\. Choices: global$"):
        check_choice("scope", "zzz", ["global"])
    with pytest.raises(ValueError, match=r"^unknown scope 'globl'\. Did you mean 'global'\?$"):
        check_choice("scope", "globl", ["global", *map(str, range(40))])  # too many to be of help


def test_a_table_is_open_and_knows_what_a_script_added() -> None:
    table = Table("colour", {"red": 1, "blue": 2})
    assert (table.pick("red"), table.own()) == (1, {})
    table["green"] = 3
    table["red"] = 4
    assert table.own() == {"green": 3, "red": 4}
    with pytest.raises(ValueError, match=r"unknown colour 'gren'\. Did you mean 'green'"):
        table.pick("gren")


def test_a_table_can_be_sent() -> None:
    table = Table("colour", {"red": 1})
    table["green"] = 3
    sent = pickle.loads(pickle.dumps(table))
    assert (dict(sent), sent.kind) == (dict(table), "colour")
