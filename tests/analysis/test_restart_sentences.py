"""What is said where pruned weights train on."""

from lth.analysis.restarts import restart_sentences
from lth.analysis.statistics import interval


def measures(*values: float | None) -> dict[str, object]:
    return {"test_accuracy": interval(list(values), 0.95)}


def test_no_ticket_is_claimed() -> None:
    levels = [
        {"level": 1, "density": 0.4, "arms": {"ticket": measures(0.92, 0.94), "reinit": measures(0.91, 0.91)}},
        {"level": 2, "density": 0.3, "arms": {"ticket": measures(None, None), "reinit": measures(0.9, 0.9)}},
    ]
    sentences = restart_sentences(levels, measures(0.9, 0.9), "reinit", 0.95)
    assert "there are no tickets" in sentences[0]
    assert sentences[1].startswith("Level 1, 40.0 % not touched: +3.00 [")
    assert "+2.00 [" in sentences[1]
    assert "from control reinit" in sentences[1]
    assert not any("Level 2" in sentence for sentence in sentences)
    assert "match" not in " ".join(sentences)
