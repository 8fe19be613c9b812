"""The table of studies: which are asked for, in which order, and the settings that tell them apart."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from lth.report.names import FOLLOWS
from lth.serve.catalogue import STATES, Entry

PAGE = 100
"""Studies on a page."""

CHIPS = 5
"""Settings that a row shows at first."""

FILTERS: dict[str, Callable[[Entry], Iterable[str]]] = {
    "study": lambda entry: (entry.study,),
    "model": lambda entry: (entry.model,),
    "data": lambda entry: (entry.data,),
    "task": lambda entry: (entry.task,),
    "arm": lambda entry: entry.arms,
    "state": lambda entry: (entry.state,),
    "tag": lambda entry: entry.labels.tags,
}
"""What a list of studies can be narrowed by: the values that a study has of each."""

UNSET = "not set"

SHOWN = ("model", "data", "replicates", "task")
"""Settings that have a column of their own."""

SORTS: dict[str, Callable[[Entry], str | float]] = {
    "study": lambda entry: entry.study,
    "verdict": lambda entry: entry.verdict.lower(),
    "model": lambda entry: entry.model,
    "data": lambda entry: entry.data,
    "task": lambda entry: entry.task,
    "replicates": lambda entry: entry.replicates,
    "done": lambda entry: entry.done / max(len(entry.jobs), 1),
    "created": lambda entry: entry.created or "9",  # what is damaged says no date, and comes first
}
"""Columns that a list can be sorted by, besides settings."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for, as the address says it."""

    text: str = ""
    filters: dict[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    sort: str = "created"
    is_falling: bool = True
    page: int = 1

    def address(self, **changes: object) -> str:
        """Return the address of the list with some of this changed; back to its first page, unless that is asked."""
        query = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        fields = [("q", query.text), *query.filters.items(), *(("column", name) for name in query.columns)]
        if (query.sort, query.is_falling) != ("created", True):
            fields += [("sort", query.sort), ("order", "falling" if query.is_falling else "rising")]
        fields += [("page", str(query.page))] if query.page > 1 else []
        encoded = urlencode([(name, value) for name, value in fields if value])
        return f"/?{encoded}" if encoded else "/"

    def sorted_by(self, name: str) -> str:
        """Return the address of the list sorted by a column; the other way round if it is already."""
        is_falling = not self.is_falling if self.sort == name else name in ("created", "done", "replicates")
        return self.address(sort=name, is_falling=is_falling)


def query_of(given: QueryParams) -> Query:
    """Return what an address asks for; what it does not know is passed over."""
    number = given.get("page", "1")
    return Query(
        text=given.get("q", "").strip(),
        filters={name: value for name in FILTERS if (value := given.get(name, ""))},
        columns=tuple(dict.fromkeys(name for name in given.getlist("column") if name)),
        sort=given.get("sort", "created"),
        is_falling=given.get("order", "falling") != "rising",
        page=int(number) if number.isascii() and number.isdigit() and len(number) < 7 else 1,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A study with the settings that tell it apart: chosen columns, a few more, and the rest."""

    entry: Entry
    cells: list[str]
    chips: list[tuple[str, str]]
    more: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list, and what it can be narrowed to: of each filter the values with their number."""

    query: Query
    rows: list[Row]
    total: int
    found: int
    choices: dict[str, list[tuple[str, int]]]
    differing: list[str]
    is_moving: bool

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // PAGE))


def listing(entries: Sequence[Entry], query: Query) -> Listing:
    """Return the studies that are asked for, those of one page, with what tells them apart among all that are."""
    found = [entry for entry in entries if _fits(entry, query)]
    families = _families(found)
    differing = list(dict.fromkeys(name for names in families.values() for name in names))
    query = replace(query, columns=tuple(name for name in query.columns if name in differing))
    ordered = _sorted(found, query)
    page = min(query.page, max(1, -(-len(found) // PAGE)))
    rows = [_row(entry, families[_family(entry)], query) for entry in ordered[(page - 1) * PAGE : page * PAGE]]
    is_moving = any(row.entry.state == "running" for row in rows)
    choices = {name: _choices(entries if name in query.filters else found, query, name) for name in FILTERS}
    return Listing(replace(query, page=page), rows, len(entries), len(found), choices, sorted(differing), is_moving)


def _fits(entry: Entry, query: Query, but: str = "") -> bool:
    """Return whether a study has what is asked for, one filter left out."""
    wanted = ((name, value) for name, value in query.filters.items() if name != but)
    return all(value in FILTERS[name](entry) for name, value in wanted) and all(
        word in entry.text for word in query.text.lower().split()
    )


def _choices(entries: Sequence[Entry], query: Query, name: str) -> list[tuple[str, int]]:
    """Return the values of one filter among the studies that fit the others, with their number."""
    chosen = query.filters.get(name)
    fitting = [entry for entry in entries if _fits(entry, query, name)] if chosen else entries
    counts = Counter(value for entry in fitting for value in set(FILTERS[name](entry)))
    values = {*counts, *([chosen] if chosen else [])} - {""}
    order = STATES.index if name == "state" and values <= set(STATES) else str.lower
    return [(value, counts[value]) for value in sorted(values, key=order)]


def _family(entry: Entry) -> tuple[str, str, str]:
    return entry.study, entry.model, entry.data


def _families(entries: Sequence[Entry]) -> dict[tuple[str, str, str], list[str]]:
    """Return the settings that differ among studies of one kind, model and data, by these three."""
    members: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        members.setdefault(_family(entry), []).append(entry)
    return {family: _differing(alike) for family, alike in members.items()}


def _differing(entries: Sequence[Entry]) -> list[str]:
    """Return the settings that differ; those that follow from another only where nothing else does."""
    values: dict[str, set[str]] = {}
    for entry in entries:
        for name, value in entry.settings.items():
            values.setdefault(name, set()).add(value)
    present = Counter(name for entry in entries for name in entry.settings)
    known = sum(bool(entry.settings) for entry in entries)
    names = [name for name in values if len(values[name]) > 1 or present[name] < known]
    plain = [name for name in names if name not in FOLLOWS and name not in SHOWN]
    return sorted(plain or [name for name in names if name not in SHOWN], key="seed".__eq__)


def _row(entry: Entry, names: Sequence[str], query: Query) -> Row:
    settings = entry.settings
    fields = [(name, settings.get(name, UNSET)) for name in names if name not in query.columns]
    fields = sorted(fields, key=lambda each: each[1] == UNSET) if settings else []
    return Row(entry, [settings.get(name, "") for name in query.columns], fields[:CHIPS], fields[CHIPS:])


def _sorted(entries: list[Entry], query: Query) -> list[Entry]:
    key = SORTS.get(query.sort)
    if key is not None:
        return sorted(entries, key=key, reverse=query.is_falling)
    name = query.sort
    return sorted(entries, key=lambda entry: _by_number(entry.settings.get(name, "")), reverse=query.is_falling)


def _by_number(value: str) -> tuple[float, str]:
    """Return what sorts numbers by their value, and before words."""
    try:
        return float(value.removesuffix("it").removesuffix("ep")), ""
    except ValueError:
        return float("inf"), value
