"""Docstrings and names of `lth` as griffe, which reads the source for the API pages, can take them."""

import re
from collections.abc import Iterator
from typing import Any

from griffe import Alias, Extension, Module, Object

SECTION = re.compile(r"\n(?=(?:Args|Attributes|Raises|Returns|Yields|Sources?|Example):)")
EXAMPLE = re.compile(r"^Example:\n((?: {4}.*\n?|\n)+)", re.MULTILINE)


class Docstrings(Extension):
    """Set sections apart by an empty line, show examples as code, and tell functions from files of the same name."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        modules = list(_modules(pkg))
        for module in modules:
            for object_ in _objects(module):
                if object_.docstring:
                    object_.docstring.value = _readable(object_.docstring.value)
        _name_functions(modules)


def _readable(text: str) -> str:
    return EXAMPLE.sub(_as_code, SECTION.sub("\n\n", text))


def _as_code(example: re.Match[str]) -> str:
    lines = [line.removeprefix("    ") for line in example[1].strip("\n").splitlines()]
    language = "pycon" if lines[0].startswith(">>>") else "python"
    return "\n".join(["**Example:**", "", f"```{language}", *lines, "```", "", ""])


def _name_functions(modules: list[Module]) -> None:
    """Find `lth.sparsity.select.select` under `lth.sparsity.select`, where griffe sees the file `select.py` alone."""
    hidden = {
        f"{module.path}.{name}": target
        for module in modules
        for name, target in module.imports.items()
        if target == f"{module.path}.{name}.{name}"
    }
    for module in modules:
        for name, member in list(module.members.items()):
            if isinstance(member, Alias) and member.target_path in hidden:
                module.members[name] = Alias(name, hidden[member.target_path], parent=module)
            if (target := hidden.get(f"{module.path}.{name}")) is not None:
                module.members[f"{name}()"] = Alias(name, target, parent=module)


def _modules(module: Module) -> Iterator[Module]:
    yield module
    for member in list(module.members.values()):
        if isinstance(member, Module):
            yield from _modules(member)


def _objects(parent: Object) -> Iterator[Object]:
    """Yield a module and what it defines, but not its submodules."""
    yield parent
    for member in parent.members.values():
        if isinstance(member, Object) and not isinstance(member, Module):
            yield from _objects(member)
