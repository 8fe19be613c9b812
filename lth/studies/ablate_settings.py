"""The settings of an ablation: the search, the level, and branches, which say what is changed in it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from lth.analysis.points import Arm
from lth.config import SettingsError
from lth.config.text import split_names
from lth.studies.find_ticket_settings import ARMS, AfterTraining, FindTicket, lenet_on_digits
from lth.studies.restart import KEPT_ACTIONS

CHOOSING = ("criterion", "scope", "granularity", "samples", "rounds", "protect", "prune_first")
"""What decides which weights a level keeps."""

STARTING = ("kept", "pruned", "rewind_to", "head", "transplant", "moments")
"""What a level's training starts from."""

ANALYSED = ("margin", "confidence", "correction", "replicates")
IDLE = ("watch", "super_weights", "prompts", "controls")
"""Settings of the search that no ticket depends on: not those of its ablation."""


def _split(text: Any) -> Any:
    """Return branches from text: semicolons between them, commas between the changes of one."""
    given = text.split(";") if isinstance(text, str) else text
    return tuple("".join(each.split()) for each in given if each.strip())


class Ablate(FindTicket):
    """A level of a search, and what is changed in it. All settings of the search stand beside."""

    if TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None: ...  # by flat names

    study: str = Field(
        default="",
        description="name or ID of a find-ticket study of the store (a beginning of the ID is enough), whose settings "
        f"these are; a setting that is given and differs is a branch ({', '.join((*CHOOSING, *STARTING))})",
    )
    level: int | None = Field(default=None, ge=1, description="the level that is changed [default: the last]")
    density: float | None = Field(
        default=None, gt=0, lt=1, description="in place of a level: that whose share of kept weights is nearest"
    )
    branches: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=("criterion=random",),
        description="changes of the level, ; between branches, as 'criterion=movement; kept=reinit,rewind_to=0it'",
    )
    controls: Annotated[tuple[str, ...], BeforeValidator(split_names)] = Field(
        default=("random",),
        description="arms beside each branch, as of find-ticket beside its ticket: random, reinit, permuted, one-shot; "
        "each is a training for each branch and replicate; none",
    )


def ablated_on_digits() -> Ablate:
    """Return the last level of the search on scikit-learn's digits, by magnitude and at random."""
    return Ablate(**lenet_on_digits().flat(only_changed=True))


def search_of(settings: Ablate) -> FindTicket:
    """Return the settings of the search."""
    names = {*Ablate.model_fields} - {*FindTicket.model_fields}
    return FindTicket(**{name: value for name, value in settings.flat().items() if name not in names})


def changes_of(branch: str) -> dict[str, str]:
    """Return what a branch changes, by setting."""
    pairs = dict[str, str]()
    for each in branch.split(","):
        name, equals, value = each.partition("=")
        if equals:
            pairs[name.replace("-", "_")] = value
        elif pairs:  # a value with commas, as that of a single weight
            pairs[[*pairs][-1]] += f",{each}"
        else:
            raise ValueError(f"branches: write a setting and its value, as criterion=movement; found {each!r}")
    return pairs


def changed(search: FindTicket, branch: str) -> FindTicket:
    """Return the settings of a search with the changes of a branch.

    Raises:
        ValueError: if a setting cannot be changed at one level, or nothing changes.
    """
    changes, allowed = changes_of(branch), changeable(search)
    for name in changes:
        if name not in allowed:
            raise ValueError(refusal(name, allowed))
    flat = search.flat()
    if {"scope", "granularity"} & changes.keys() and flat.get("rates"):
        flat["rates"] = None  # those of the search go with its scope: `resolve` fills in what is usual
    kept = changes.get("kept", search.restart.kept)
    if "rewind_to" not in changes and kept in KEPT_ACTIONS and KEPT_ACTIONS[kept].goes_on == "zero":
        flat["rewind_to"] = "0it"  # such weights go back to no step
    found = FindTicket(**flat | changes)
    if all(found.flat()[name] == search.flat()[name] for name in changes):
        raise ValueError(f"branches: {branch!r} changes nothing: the search has it so")
    return found


def changeable(search: FindTicket) -> tuple[str, ...]:
    """Return the settings that may be changed at one level."""
    return (*CHOOSING, *STARTING) if isinstance(search.masks, AfterTraining) else STARTING


def refusal(name: str, allowed: tuple[str, ...]) -> str:
    """Return why a setting cannot be changed, in one line."""
    return (
        f"{name}: it would change trainings before the level, which an ablation takes from the store. What can be "
        f"changed: {', '.join(allowed)}; for the rest run `lth find-ticket` anew"
    )


def from_study(given: Mapping[str, Any], name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return whole settings: those of a stored study, with branches for what is given and differs.

    Args:
        given: by flat names; text with commas is several branches.
        name: ID of the study.
        kind: of the study.
        config: its settings.
    Raises:
        ValueError: if the study is no search, or what is given would change trainings before the level.
    """
    if kind != "find-ticket":
        raise SettingsError(f"study: {name} is of kind {kind!r}; an ablation takes one of find-ticket")
    search = FindTicket(**config)
    stored, own = search.flat(), {*Ablate.model_fields} - {*FindTicket.model_fields} | {*ANALYSED, "controls"}
    allowed = changeable(search)
    branches = [*_split(given.get("branches", ()))]
    for setting, value in given.items():
        if setting in own:
            continue
        if setting in ("protect", "prune_first", "transplant") or setting not in (*CHOOSING, *STARTING):
            if FindTicket(**{**config, setting: value}).flat().get(setting) == stored.get(setting):
                continue
            if setting not in allowed:
                raise SettingsError(refusal(setting, allowed))
            branches.append(f"{setting}={value}")
        else:
            branches += [f"{setting}={each}" for each in str(value).split(",") if each != str(stored.get(setting))]
    if same := [setting for setting in given if setting in allowed and not branches]:
        raise SettingsError(f"{same[0]}: study {name} has it so, and nothing would change: give another value")
    if given.get("replicates", 0) > search.replicates:
        raise SettingsError(
            f"replicates: study {name} has {search.replicates}; found {given['replicates']}. Run it with more first"
        )
    mine = {each: value for each, value in given.items() if each in own}
    kept = {each: value for each, value in stored.items() if each not in IDLE}
    return {**kept, **mine, "study": name, **({"branches": tuple(dict.fromkeys(branches))} if branches else {})}


def arms_of(settings: Ablate) -> tuple[Arm, ...]:
    """Return the arms of the branches."""
    words = {arm.name: arm.words for arm in ARMS}
    arms = [Arm(branch, f"the level with {spoken(branch)}") for branch in settings.branches]
    return (*arms, *(Arm(f"{control} {branch}", f"{words[control]}, for {branch}", "control")
                     for branch in settings.branches for control in settings.controls))  # fmt: skip


def spoken(branch: str) -> str:
    """Return what a branch changes, in words."""
    return " and ".join(f"{name.replace('_', ' ')} {value}" for name, value in changes_of(branch).items())
