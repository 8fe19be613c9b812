"""What several studies are called: what a user called them, else what sets them apart."""

from collections import Counter
from collections.abc import Mapping, Sequence

from lth.report.study import StudyFiles
from lth.report.words import plain_fields, subject

MAX_FIELDS_IN_NAME = 2

FOLLOWS = {"model_structure": "model", "data_digest": "data", "pretrained_digest": "start_from", "rates": "rate"}
"""Fields that differ where another does, and would say nothing in a name."""


LEAST = ("replicates", "seed", "split_seed", "confidence", "correction")
"""Fields that say least of what studies ask: they name them where nothing else does."""

UNSET = (None, "", "null", "[]", "{}")


def check_comparable(studies: Sequence[StudyFiles]) -> None:
    """Check that studies measure the same thing.

    Raises:
        ValueError: naming two that do not.
    """
    first = studies[0].results
    for study in studies[1:]:
        if study.results["primary"] != first["primary"]:
            raise ValueError(
                f"study {first['id']} compares by {first['primary']}, study {study.results['id']} by "
                f"{study.results['primary']}; a comparison needs studies with one primary metric"
            )


def differing_fields(studies: Sequence[StudyFiles]) -> dict[str, list[str]]:
    """Return the fields that are not the same in all studies, with one plain value a study ('' if it is not set)."""
    configs = [{"study": study.results["study"], **plain_fields(study.results["config"])} for study in studies]
    names = dict.fromkeys(name for config in configs for name in config)
    values = {name: ["" if config.get(name) in UNSET else config[name] for config in configs] for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def study_names(studies: Sequence[StudyFiles]) -> list[str]:
    """Return a short, unique name a study: its own, else the fields that set it apart.

    Where more than two fields differ, the first of them that tell all apart are taken, replicates and seeds last.
    """
    fields = _telling(differing_fields(studies), len(studies))
    names = [study.name or _by_fields(fields, index) or _by_kind(study) for index, study in enumerate(studies)]
    counts = Counter(names)
    names = [
        name if counts[name] == 1 else f"{name} ({study.results['id']})"
        for name, study in zip(names, studies, strict=True)
    ]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)]


def _telling(fields: Mapping[str, list[str]], count: int) -> dict[str, list[str]]:
    """Return few of the fields that tell studies apart; of studies of several kinds, those that all of them have."""
    fields = {name: row for name, row in fields.items() if FOLLOWS.get(name.partition(".")[0]) not in fields}
    if "study" in fields:
        fields = {name: row for name, row in fields.items() if all(row)}
    if len(fields) <= MAX_FIELDS_IN_NAME:
        return fields
    fields = dict(sorted(fields.items(), key=lambda field: field[0] in LEAST))
    chosen: dict[str, list[str]] = {}
    for name, row in fields.items():
        before = len(set(zip(*chosen.values(), strict=True))) if chosen else 1
        if len(set(zip(*chosen.values(), row, strict=True))) > before and len(chosen) <= MAX_FIELDS_IN_NAME:
            chosen[name] = row
    return chosen


def _by_fields(fields: Mapping[str, list[str]], index: int) -> str:
    values = {name: row[index] for name, row in fields.items()}
    return ", ".join(value if name == "study" else f"{name} {value or 'not set'}" for name, value in values.items())


def _by_kind(study: StudyFiles) -> str:
    return f"{study.results['study']}, {subject(study.results['config'])}"
