"""IDs of studies are pinned: a younger setting at its default changes none."""

from lth.config import FindTicket
from lth.config.supermask import LearnSupermask
from lth.data import load_data
from lth.models import LeNet300100
from lth.studies import find_ticket_study
from lth.studies.supermask import supermask_study


def test_golden_ids() -> None:
    data = load_data("digits")
    assert find_ticket_study(FindTicket(), LeNet300100, data).id == "192ba0ce6dc3"
    assert find_ticket_study(FindTicket(levels=3, lr=0.01), LeNet300100, data).id == "01566bc2a5c2"
    assert supermask_study(LearnSupermask(), LeNet300100, data).id == "6ffa04dfd124"


def test_a_younger_setting_counts_where_it_is_set() -> None:
    data = load_data("digits")
    fields = {"loss": "mean_squared_error"}
    assert find_ticket_study(FindTicket(**fields), LeNet300100, data).id != "192ba0ce6dc3"
    assert supermask_study(LearnSupermask(**fields), LeNet300100, data).id != "6ffa04dfd124"
