"""Words of captions, tables and titles."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lth.analysis.documents import EnergyDocument, Results
from lth.analysis.facts import studied
from lth.analysis.numbers import percent, share_words
from lth.analysis.reading import Measure, num_replicates
from lth.analysis.settings_apart import is_unset

MINUS, NO_BREAK = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def minus(text: str) -> str:
    """Return text with a true minus sign before its numbers, and numbers that keep their percent sign on their line."""
    return re.sub(r"(?<=\d) %", f"{NO_BREAK}%", re.sub(r"(?<![\w.)])-(?=\d)", MINUS, text))


def unbroken(text: str) -> str:
    """Return a heading whose names do not break at their hyphens."""
    return re.sub(r"(?<=\w)-(?=\w)", "\N{NON-BREAKING HYPHEN}", minus(text))


def over_replicates(results: Results) -> str:
    """Return one sentence on what lines and bands mean in this study."""
    count = num_replicates(results)
    if count == 1:
        return "One replicate: lines are its values, and there is no interval."
    if count == 2:
        return (
            "Means over 2 replicates, which are the small points: the interval of two is too wide to be drawn, and "
            "stands in the table."
        )
    return f"Means over {count} replicates with their {percent(results['confidence'])} Student-t intervals."


def engines(results: Results) -> str:
    """Return what trained the networks: 'sparse', or 'sparse (60 networks), torch (5 networks)'."""
    counts = results["engines"]
    if len(counts) < 2:
        return next(iter(counts), str(results["environment"].get("engine", "not recorded")))
    return ", ".join(f"{engine} ({count} networks)" for engine, count in counts.items())


def energy(document: EnergyDocument) -> str:
    """Return what a study's buildings took, and how that was measured, in one line."""
    several = f" in {document['buildings']} buildings" if document["buildings"] > 1 else ""
    jobs, of_jobs = document.get("jobs"), document.get("of_jobs")
    if jobs is not None and of_jobs is not None and jobs < of_jobs:
        several += f", of {jobs:,} of {of_jobs:,} trainings"
    return (
        f"{document['kwh']:.3g} kWh, {document['kg_co2']:.3g} kg CO2, {document['seconds']:,.0f} s{several} "
        f"({document['measured']})"
    )


def subject(config: Mapping[str, Any]) -> str:
    """Return what was studied: 'lenet-300-100 on mnist'."""
    return studied(config)


def plain_fields(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a configuration as names and plain text, in its own order; nested names are dotted."""
    fields: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            fields |= plain_fields(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            fields[f"{prefix}{key}"] = value
        else:
            fields[f"{prefix}{key}"] = json.dumps(value)
    return fields


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a study's settings as names and plain text, which says what shares are counted of."""
    fields = {}
    for name, text in plain_fields(config).items():
        setting = name.partition(".")[0]
        fields[name] = text + share_words(setting, config.get(setting))
    return fields


def set_settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that are set as names and plain text."""
    return settings({name: value for name, value in config.items() if not is_unset(value)})


def listed_settings(results: Results) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return settings as names and plain text: those unlike the preset, and all others by group."""
    config = results["config"]
    if "settings" not in results:
        return {}, {"Settings": set_settings(config)}
    listed = results["settings"]

    def named(names: Iterable[str]) -> dict[str, str]:
        return settings({name: config[name] for name in names if name in config})

    return named(listed["changed"]), {group: named(names) for group, names in listed["groups"].items()}


def axis_title(metric: Measure) -> str:
    """Return the title of an axis: 'Test accuracy (%)', 'Test loss (nats)', 'Best step'."""
    unit = {"fraction": " (%)", "nats": " (nats)", "bits": " (bits)"}.get(metric.unit, "")
    return first_capital(f"{metric.part} {metric.name}".strip()) + unit


def first_capital(text: str) -> str:
    """Return text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def count_of(number: int, noun: str) -> str:
    """Return a count with its noun: '1 replicate', '3 replicates'."""
    return f"{number} {noun}{'s' * (number != 1)}"
