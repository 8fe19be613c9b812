"""--allow-partial: data sets that lack files are used, and results say so."""

import pytest

from lth.cli.options import read_settings
from lth.config import SettingsError
from lth.data import load_data
from lth.studies import STUDIES


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ("cifar-10", "cifar-10:partial=true"),
        ("cifar-10:normalise=false", "cifar-10:normalise=false,partial=true"),
        ("cifar-10:partial=true", "cifar-10:partial=true"),
    ],
)
def test_the_flag_is_an_argument_of_the_data(written: str, resolved: str) -> None:
    [settings], _ = read_settings(STUDIES["train"], None, {"data": written, "model": "mlp:3", "allow_partial": True})
    assert settings.data == resolved
    [without], _ = read_settings(STUDIES["train"], None, {"data": written, "model": "mlp:3"})
    assert without.data == written


def test_of_several_data_sets_those_that_can_lack_files() -> None:
    given = {"data": "fashion-mnist", "source_data": "cifar-10", "model": "mlp:3", "allow_partial": True}
    [settings], _ = read_settings(STUDIES["transfer"], None, given)
    assert settings.data_sets == {"data": "fashion-mnist", "source_data": "cifar-10:partial=true"}
    [settings], _ = read_settings(STUDIES["transfer"], None, given | {"data": "cifar-100", "source_data": None})
    assert settings.data_sets == {"data": "cifar-100:partial=true"}


def test_presets_are_those_of_the_whole_data() -> None:
    given = {"model": "lenet-300-100", "data": "mnist"}
    [whole], _ = read_settings(STUDIES["find-ticket"], None, given)
    [part], _ = read_settings(STUDIES["find-ticket"], None, given | {"allow_partial": True})
    [named], _ = read_settings(STUDIES["find-ticket"], None, given | {"data": "mnist:partial=true"})
    assert part.flat() == named.flat() == whole.flat() | {"data": "mnist:partial=true"}


def test_data_that_are_always_whole() -> None:
    with pytest.raises(SettingsError, match="data set 'digits' takes no argument 'partial'"):
        load_data("digits:partial=true")
