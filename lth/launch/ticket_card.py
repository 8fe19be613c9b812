"""The card of a ticket on a hub: what it keeps, what it reached beside its controls, how to use it."""

from collections.abc import Mapping
from typing import Any

import yaml

from lth.analysis.documents import Interval
from lth.analysis.numbers import bounded, percent, show, show_paired
from lth.analysis.reading import Measure
from lth.analysis.statistics import paired_difference
from lth.lineage import Ticket, from_documents
from lth.models import MODELS
from lth.studies.find_ticket_settings import ARMS

TAGS = ("lottery-ticket-hypothesis", "pruning", "sparse", "pytorch")


def ticket_card(ticket: Ticket, file: str, repo: str, revision: str | None = None, license: str | None = None) -> str:
    """Return the card of a ticket as Markdown with front matter: a README.md.

    Args:
        ticket: what is pushed.
        file: its name in the repository.
        repo: OWNER/NAME.
        revision: where it is pushed to, if not to the main branch.
        license: what its owner chose; nothing is said of it otherwise.
    """
    front = {"library_name": "lth", **({"license": license} if license else {}), "tags": [*TAGS]}
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# Ticket of {_plain(ticket.model.name)}{_of(ticket)}",
        f"Masks that keep {100 * ticket.document['density']:.2f} % of the prunable weights, the weights to start from, "
        "and every step that they came from. Made by `lth`.",
        "## What it keeps",
        _table(("parameter", "shape", "kept"), _kept_rows(ticket)),
        "## What it reached",
        *_reached(ticket.document),
        "## Use",
        *_use(ticket, file, repo, revision),
        "## Derivation",
        "Each line is a step, inputs first, under the beginning of its key; the whole of it is in the ticket file.",
        "\n".join(f"- `{key[:8]}` {_plain(f'{node.kind_name}: {node.words()}')}" for key, node in _nodes(ticket)),
    ]
    return "\n\n".join(parts) + "\n"


def _nodes(ticket: Ticket) -> list[tuple[str, Any]]:
    return list(from_documents(ticket.document["derivation"]).items())


def _of(ticket: Ticket) -> str:
    labels, merged = ticket.document["labels"], ticket.document.get("merged")
    if merged:
        return f", {merged['rule']} of {len(merged['tickets'])} tickets"
    on = f" on {_plain(str(labels['data']))}" if "data" in labels else ""
    return on + "".join(f", {name} {labels[name]}" for name in ("level", "replicate") if name in labels)


def _kept_rows(ticket: Ticket) -> list[tuple[str, ...]]:
    document = ticket.document
    return [
        (_plain(name), " x ".join(map(str, document["shapes"][name])), f"{100 * density:.2f} %")
        for name, density in document["density_by_tensor"].items()
    ]


def _reached(document: Mapping[str, Any]) -> list[str]:
    """Return the ticket's own value and a table of its level's arms, with warnings where a claim would have no base."""
    scores = document["scores"]
    if not scores:
        return ["> **Nothing was measured**: this ticket was merged from others, and nobody trained it."]
    metric = Measure(scores["metric"], better="", unit=scores["unit"], words="")
    own = scores["own"]["end"].get(f"test/{metric.name}")
    name, confidence = metric.name.replace("_", " "), scores.get("confidence", 0.95)
    arms: dict[str, Interval] = scores["arms"]
    subject = _subject(document)
    rows = [_arm_row(arm, arms, subject, metric, confidence) for arm in arms]
    head = ("arm", "replicates", f"test {name}, {percent(confidence)} interval", "ticket minus it, paired")
    lines = [f"At the end of its training, on the test part: {name} **{show(own, metric)}**."]
    lines += [_table(head, rows)] if rows else []
    return [*lines, *_warnings(arms, _roles(scores))]


def _roles(scores: Mapping[str, Any]) -> dict[str, str]:
    """Return arm -> role; of tickets that do not say, by the arms of `find-ticket`."""
    roles: dict[str, str] = scores.get("roles") or {arm.name: arm.role for arm in ARMS}
    return roles


def _subject(document: Mapping[str, Any]) -> str | None:
    """Return the arm that the ticket is one of."""
    named = document["labels"].get("arm")
    subjects = [arm for arm, role in _roles(document["scores"]).items() if role == "subject"]
    return named or (subjects[0] if len(subjects) == 1 else None)


def _arm_row(
    arm: str, arms: Mapping[str, Interval], subject: str | None, metric: Measure, confidence: float
) -> tuple[str, ...]:
    values = arms[arm]
    low, high = bounded(values, metric)
    between = "no interval" if low is None else f"{show(low, metric)} to {show(high, metric)}"
    is_beside = subject in arms and arm != subject
    beside = "" if not is_beside else _beside(arms[subject], values, metric, confidence)  # type: ignore[index]
    measured = sum(value is not None for value in values["values"])
    return _plain(arm), str(measured), f"{show(values['mean'], metric)} ({between})", beside


def _beside(own: Interval, other: Interval, metric: Measure, confidence: float) -> str:
    if len(own["values"]) != len(other["values"]):
        return ""
    difference = paired_difference(own["values"], other["values"], confidence)
    low, high = difference["low"], difference["high"]
    is_settled = low is not None and high is not None and (low > 0 or high < 0)
    return show_paired(difference, metric, confidence) + ("" if is_settled else ", not settled")


def _warnings(arms: Mapping[str, Interval], roles: Mapping[str, str]) -> list[str]:
    lines = []
    if not any(roles.get(arm) == "control" for arm in arms):
        lines.append("> **No control was measured** (other masks, other weights): nothing says that these ones matter.")
    if any(values["low"] is None for values in arms.values()) or not arms:
        lines.append("> **Not every arm has an interval**: with fewer than two replicates differences may be chance.")
    return lines


def _use(ticket: Ticket, file: str, repo: str, revision: str | None) -> list[str]:
    place = f"{repo}@{revision}" if revision else repo
    at = f', revision="{revision}"' if revision else ""
    is_ours = ticket.model.name in MODELS or ticket.start is not None
    return [
        "With `lth`, which checks checksums, derivation and starting weights:",
        f"```\nlth ticket pull {place}\nlth ticket show {file}\n```",
        f'```python\nimport lth\n\nticket = lth.read_ticket(lth.pull_ticket("{place}"))\n'
        f"model.load_state_dict(ticket.starting_weights({'' if is_ours else 'make_model'}))\n"
        "guard = lth.guard(model, optimizer, ticket.masks)  # masks hold in your training loop\n```",
        "Without it: `model.safetensors` is a state dict (the starting weights, pruned ones at zero), "
        "`masks.safetensors` holds a boolean mask for each pruned parameter; True keeps.",
        "```python\nimport torch\nfrom huggingface_hub import hf_hub_download\n"
        "from safetensors.torch import load_file\n\n"
        f'weights = load_file(hf_hub_download("{repo}", "model.safetensors"{at}))\n'
        f'masks = load_file(hf_hub_download("{repo}", "masks.safetensors"{at}))\n'
        "model.load_state_dict(weights)\nparameters = dict(model.named_parameters())\n"
        "with torch.no_grad():  # after every step of the optimizer: masks do not stay by themselves\n"
        "    for name, mask in masks.items():\n        parameters[name].mul_(mask)\n```",
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _plain(text: str) -> str:
    """Return text that Markdown and HTML show as it stands, on one line."""
    spaced = " ".join(text.split())
    return "".join(f"&#{ord(each)};" if each in "<>|`*[]&\\" else each for each in spaced)
