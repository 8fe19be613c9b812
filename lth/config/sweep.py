"""Sweeps: one YAML block that makes several studies."""

from itertools import product
from typing import Any

KEYS = ("grid", "zip", "seeds")


def expand_sweep(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one dict of settings per study; without a `sweep` block, the settings alone.

    `grid` is a table of lists of which every combination is tried, `zip` a table of lists of one length that go in
    step, `seeds` a list of seeds (or a number n: 0 to n - 1). Together they multiply.

    Raises:
        ValueError: if the block is not of this form, or sweeps a field that is also set.

    Example:
        >>> expand_sweep({"levels": 3, "sweep": {"grid": {"rate": [0.2, 0.4]}, "seeds": 1}})
        [{'levels': 3, 'rate': 0.2, 'seed': 0}, {'levels': 3, 'rate': 0.4, 'seed': 0}]
    """
    fixed = {name: value for name, value in settings.items() if name != "sweep"}
    sweep = settings.get("sweep")
    if sweep is None:
        return [fixed]
    if not isinstance(sweep, dict) or not sweep or set(sweep) - set(KEYS):
        raise ValueError(f"sweep: found {sweep!r}; it holds one or more of {', '.join(KEYS)}")
    grid, zipped = _table(sweep, "grid"), _table(sweep, "zip")
    if len({len(values) for values in zipped.values()}) > 1:
        raise ValueError(
            f"sweep.zip: lists differ in length: {', '.join(f'{k} has {len(v)}' for k, v in zipped.items())}"
        )
    seeds = sweep.get("seeds")
    if isinstance(seeds, int):
        seeds = list(range(seeds))
    if seeds is not None and (not isinstance(seeds, list) or not seeds):
        raise ValueError(f"sweep.seeds: found {seeds!r}; it is a list of seeds or their number")
    swept = [*grid, *zipped, *(["seed"] if seeds is not None else [])]
    for name in swept:
        if name in fixed or swept.count(name) > 1:
            raise ValueError(f"sweep: {name!r} is swept and also set: drop one")
    combinations = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    steps = [dict(zip(zipped, values, strict=True)) for values in zip(*zipped.values(), strict=True)] or [{}]
    seeded = [{}] if seeds is None else [{"seed": seed} for seed in seeds]
    return [fixed | a | b | c for a, b, c in product(combinations, steps, seeded)]


def _table(sweep: dict[str, Any], key: str) -> dict[str, list[Any]]:
    table = sweep.get(key) or {}
    if not isinstance(table, dict) or not all(isinstance(values, list) and values for values in table.values()):
        raise ValueError(f"sweep.{key}: found {table!r}; it is a table of lists, as `rate: [0.2, 0.4]`")
    return {str(name).replace("-", "_"): values for name, values in table.items()}
