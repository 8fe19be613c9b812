"""Settings that have no effect beside the others: they are named, and leave no trace in what determines a result."""

import warnings

from lth.config.find_ticket import FindTicket
from lth.config.sparsifier import MaskChanges


def without_idle_settings(config: FindTicket, needs_examples: bool) -> FindTicket:
    """The settings with those that nothing reads put back to their default, after one warning that names them.

    Args:
        config: settings of a study.
        needs_examples: whether the criterion looks at training examples.
    """
    within = config.sparsifier != "none"
    readers = {
        "gradual": ("begin", "end", "applications", "curve"),
        "soft": ("begin", "end", "applications", "curve"),
        "set": ("begin", "end", "applications", "update_fraction"),
        "rigl": ("begin", "end", "applications", "update_fraction"),
        "noise": ("begin", "end", "noise", "noise_scale"),
    }
    idle = {
        name: f"only sparsifiers {', '.join(method for method, read in readers.items() if name in read)} read it"
        for name in MaskChanges.model_fields
        if name not in readers.get(config.sparsifier, ())
    }
    if not needs_examples:
        idle["samples"] = f"criterion {config.criterion!r} looks at no examples"
    if within:
        idle |= {"schedule": "a sparsifier starts every level from the initialisation", "rounds": "it scores by itself"}
    if ":" in config.granularity and "x" not in config.granularity:
        idle |= {name: f"granularity {config.granularity!r} fixes it" for name in ("rate", "scope", "rounds")}
    fields = FindTicket.model_fields
    # Of a schedule a sparsifier reads the rates, so only one that changes nothing but the source is idle.
    found = {
        name: why
        for name, why in idle.items()
        if getattr(config, name) != fields[name].default and (name != "schedule" or config.schedule == "one-shot")
    }
    if found:
        listed = "; ".join(f"{name} {getattr(config, name)!r}: {why}" for name, why in found.items())
        warnings.warn(f"settings without effect: {listed}", stacklevel=2)
    return config.model_copy(update={name: fields[name].default for name in found})
