"""What sets studies of one kind apart: the settings in which they differ, in a few words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from lth.analysis.notes import StudyNote
from lth.config.settings import usual_text

FILLED_IN = frozenset({"validation", "rates", "never_prune", "start_digest", "digests"})
"""Settings that are filled in from others, from model and data, where they are left open."""

SHOWN = ("model", "data", "replicates")
"""Settings that stand in columns of their own."""


def settings_apart(notes: Sequence[StudyNote], known: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each study the settings in which it differs from others of its kind on the same model and data.

    What is filled in from others counts only where nothing else differs.

    Args:
        notes: of the studies.
        known: settings of each kind, with the defaults that count where an older lth noted none.
    """
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    configs = [_config(note, known.get(note["study"], {})) for note in notes]
    for index, (note, config) in enumerate(zip(notes, configs, strict=True)):
        alike[note["study"], str(config.get("model")), str(config.get("data"))].append(index)
    apart: list[dict[str, Any]] = [{} for _ in notes]
    for indices in alike.values():
        names = dict.fromkeys(name for index in indices for name in configs[index] if name not in SHOWN)
        first = configs[indices[0]]
        differing = [name for name in names if any(configs[each].get(name) != first.get(name) for each in indices)]
        chosen = [name for name in differing if name not in FILLED_IN] or differing
        for index in indices:
            apart[index] = {name: configs[index].get(name) for name in chosen}
    return apart


def _config(note: StudyNote, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's settings without digests, which say nothing to people; of an unknown kind all that is noted."""
    return {name: note["config"].get(name, default) for name, default in known.items()} if known else note["config"]


def is_unset(value: Any) -> bool:
    """Return whether a setting says nothing: None, or empty. False and 0 say something."""
    return value is None or value in ([], {}, "")


def setting_words(settings: Mapping[str, Any]) -> str:
    """Return settings as users would write them.

    Example:
        >>> setting_words({"rate": 0.4, "rewind_to": None})
        'rate=0.4 rewind-to=none'
    """
    return " ".join(f"{name.replace('_', '-')}={usual_text(value)}" for name, value in settings.items())
