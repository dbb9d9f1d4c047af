"""Makes the mutants of a module: every change of every operator that changes what the module does."""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from .operators import CORE, OWN

cosmic_ray.plugins.OPERATOR_PROVIDERS["heists"] = OWN
OPERATORS = (*CORE, *(f"heists/{name}" for name in OWN))
# A module with few possible changes is still looked at.
FEWEST = 12


@dataclass(frozen=True)
class Mutant:
    """One changed module. `was` and `becomes` are the lines that differ, without their indentation."""

    module: str
    operator: str
    line: int
    function: str
    source: str
    was: str
    becomes: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what stays the same while other lines of the module change."""
        return self.module, self.function, self.was, self.becomes

    def diff(self, original: str) -> str:
        lines = difflib.unified_diff(
            original.splitlines(), self.source.splitlines(), self.module, self.module, lineterm="", n=2
        )
        return "\n".join(lines)


class _Meaning(ast.NodeTransformer):
    """Takes out what changes nothing: annotations, docstrings, `__all__`, `slots`, the size of a cache."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        public = any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
        return ast.Pass() if public else self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> Any:
        # These save memory and change nothing else.
        return None if node.arg in ("slots", "maxsize") else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> Any:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)


def meaning(source: str) -> str:
    return ast.dump(_Meaning().visit(ast.parse(source)))


def drawn(module: str, source: str, shuffle: random.Random | None = None) -> Iterator[Mutant]:
    """Yield each mutant of a module once: in the order of the operators, or in a drawn one."""
    seen = {meaning(source)}
    places = positions(source)
    if shuffle:
        shuffle.shuffle(places)
    for name, occurrence, line in places:
        changed = mutate_code(source, cosmic_ray.plugins.get_operator(name)(), occurrence)
        try:
            means = meaning(changed)
        except SyntaxError:
            continue
        if means not in seen:
            seen.add(means)
            yield Mutant(module, name, line, function_at(source, line), changed, *_lines(source, changed))


def positions(source: str) -> list[tuple[str, int, int]]:
    """Return operator, occurrence and line of all that may be changed; some change only annotations."""
    nodes = list(ast_nodes(get_ast(source)))
    found = []
    for name in OPERATORS:
        operator = cosmic_ray.plugins.get_operator(name)()
        starts = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        found += [(name, occurrence, start[0]) for occurrence, start in enumerate(starts)]
    return found


def function_at(source: str, line: int) -> str:
    """Return the dotted name of the innermost class or function at a line; empty for the module's own level."""
    inside = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        <= line
        <= (node.end_lineno or 0)
    ]
    return ".".join(node.name for node in sorted(inside, key=lambda node: node.lineno))


def _lines(source: str, changed: str) -> tuple[str, str]:
    was: list[str] = []
    becomes: list[str] = []
    for line in difflib.ndiff(source.splitlines(), changed.splitlines()):
        if line[:2] in ("- ", "+ ") and line[2:].strip():
            (was if line[0] == "-" else becomes).append(" ".join(line[2:].split()))
    return " / ".join(was), " / ".join(becomes)


def sample(
    modules: Iterable[str], count: int, seed: int, root: Path, only: Collection[str] = ()
) -> tuple[list[Mutant], int]:
    """Return mutants drawn by `seed`, and from how many; each module has its share, and a few at least.

    `only` leaves out what is drawn of other modules.
    """
    sources = {module: (root / module).read_text(encoding="utf-8") for module in modules}
    sizes = {module: len(positions(source)) for module, source in sources.items()}
    total = sum(sizes.values())
    mutants: list[Mutant] = []
    for module, source in sources.items():
        if only and module not in only:
            continue
        share = max(FEWEST, -(-count * sizes[module] // max(1, total)))
        # A generator for each module: a change in one leaves the sample of the others as it was.
        mutants += islice(drawn(module, source, random.Random(f"{seed}:{module}")), share)
    return mutants, total
