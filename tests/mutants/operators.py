"""The changes that `make mutants` makes: some of cosmic-ray's operators, and these for what Django code gets wrong.

Each operator changes one node of parso's tree, as cosmic-ray's own do. `CORE` lists those of cosmic-ray that are used,
`OWN` those of this file; docs in CONTRIBUTING.md, "Mutants".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Name

COMPARISONS = ("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")
IDENTITIES = ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")
ARITHMETIC = ("Add_Sub", "Sub_Add", "Mul_Add", "FloorDiv_Mul", "Div_Mul", "Mod_Add", "BitAnd_BitOr", "BitOr_BitAnd")
CORE = (
    *(f"core/ReplaceComparisonOperator_{name}" for name in COMPARISONS + IDENTITIES),
    *(f"core/ReplaceBinaryOperator_{name}" for name in ARITHMETIC),
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ReplaceUnaryOperator_Delete_USub",
    "core/ReplaceUnaryOperator_Delete_Invert",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/AddNot",
    "core/NumberReplacer",
    "core/RemoveDecorator",
    "core/ZeroIterationForLoop",
)

# Calls of a queryset's chain that decide which rows, in which order, under which lock, from which database.
CHAIN = frozenset(
    (
        "filter",
        "exclude",
        "order_by",
        "select_for_update",
        "distinct",
        "using",
        "open",
        "live",
        "due",
        "failed",
        "reverse",
    )
)
LOOKUPS = {"gt": ("gte", "lte"), "gte": ("gt", "lt"), "lt": ("lte", "gte"), "lte": ("lt", "gt")}
TWINS = {"min": "max", "max": "min", "any": "all", "all": "any", "first": "last", "last": "first"}


class Rewrite(Operator):  # type: ignore[misc]
    """Base of the operators here: a subclass yields the texts that may stand in the place of a node."""

    before_after: ClassVar[tuple[tuple[str, str], ...]] = ()

    def texts(self, node: Any) -> Iterator[str]:
        raise NotImplementedError

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        for _ in self.texts(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return Name(list(self.texts(node))[index], node.start_pos, prefix=node.get_first_leaf().prefix)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return tuple(Example(before, after) for before, after in cls.before_after)


def code(nodes: Any) -> str:
    """Return the source of neighbouring nodes, without what stands before the first."""
    return "".join(node.get_code(include_prefix=bool(n)) for n, node in enumerate(nodes))


def arguments(trailer: Any) -> list[Any]:
    """Return the arguments of a call's parentheses."""
    if trailer.type != "trailer" or trailer.children[0].value != "(" or len(trailer.children) < 3:
        return []
    inside = trailer.children[1]
    return inside.children[::2] if inside.type == "arglist" else [inside]


def without_each(opening: Any, items: list[Any], closing: Any, which: Any = lambda item: True) -> Iterator[str]:
    """Yield the bracket once without each of the items that `which` names."""
    for item in items:
        if which(item):
            rest = ",".join(other.get_code() for other in items if other is not item)
            yield opening.value + rest + closing.get_code()


class DropKeyword(Rewrite):
    """A keyword argument is dropped from a call: filter(), Q(), update(), save() and every other."""

    before_after = (("a.filter(b=1, c=2)", "a.filter( c=2)"), ("Q(b=1)", "Q()"))

    def texts(self, node: Any) -> Iterator[str]:
        if items := arguments(node):
            yield from without_each(
                node.children[0],
                items,
                node.children[-1],
                lambda item: (
                    item.type == "argument" and item.children[1].type == "operator" and item.children[1].value == "="
                ),
            )


class DropClause(Rewrite):
    """A positional condition is dropped from filter(), exclude() or Q()."""

    before_after = (("a.filter(b, c)", "a.filter( c)"),)

    def texts(self, node: Any) -> Iterator[str]:
        items, before = arguments(node), node.get_previous_leaf()
        if items and before is not None and before.value in ("filter", "exclude", "Q"):
            yield from without_each(node.children[0], items, node.children[-1], lambda item: item.type != "argument")


class DropOperand(Rewrite):
    """One side is dropped from `and`, `or`, `&`, `|`."""

    before_after = (("a and b", "b"), ("a or b or c", "b or c"), ("Q(a) | Q(b)", "Q(b)"))

    def texts(self, node: Any) -> Iterator[str]:
        if node.type in ("and_test", "or_test", "and_expr", "expr"):
            sides, sign = node.children[::2], node.children[1].value
            for side in sides:
                yield f" {sign} ".join(other.get_code().strip() for other in sides if other is not side)


class DropCall(Rewrite):
    """A filter, order, lock or database is taken out of a queryset's chain; a slice too."""

    before_after = (("a.filter(b).order_by(c)", "a.order_by(c)"), ("a[:5]", "a"))

    def texts(self, node: Any) -> Iterator[str]:
        if node.type not in ("atom_expr", "power"):
            return
        parts = node.children
        for n, part in enumerate(parts[:-1]):
            named = part.type == "trailer" and part.children[0].value == "." and part.children[1].value in CHAIN
            if named and parts[n + 1].type == "trailer" and parts[n + 1].children[0].value == "(":
                yield code([*parts[:n], *parts[n + 2 :]])
        for n, part in enumerate(parts[1:], 1):
            if part.type == "trailer" and part.children[0].value == "[" and ":" in part.get_code():
                yield code([*parts[:n], *parts[n + 1 :]])


class MoveLookup(Rewrite):
    """The boundary of a lookup is moved (`__gt` to `__gte`), or the lookup is turned (`__gt` to `__lte`)."""

    before_after = (("a(b__gt=1)", "a(b__gte=1)"),)

    def texts(self, node: Any) -> Iterator[str]:
        if node.type == "name" and node.parent.type == "argument" and node.parent.children[0] is node:
            field, _, lookup = node.value.rpartition("__")
            yield from (f"{field}__{other}" for other in LOOKUPS.get(lookup, ()) if field)


class SwapTwin(Rewrite):
    """`min` is swapped with `max`, `any` with `all`, `first` with `last`."""

    before_after = (("min(a, b)", "max(a, b)"), ("a.first()", "a.last()"))

    def texts(self, node: Any) -> Iterator[str]:
        after = node.get_next_leaf() if node.type == "name" else None
        if after is not None and after.value == "(" and node.value in TWINS:
            yield TWINS[node.value]


class DropStatement(Rewrite):
    """A call, a raise, an assignment to an attribute or an augmented one is replaced by `pass`."""

    before_after = (("a.b = 1\n", "pass\n"), ("raise A\n", "pass\n"), ("a()\n", "pass\n"))
    PLAIN = ("raise_stmt", "yield_expr", "del_stmt", "atom_expr", "power", "assert_stmt", "await")

    def texts(self, node: Any) -> Iterator[str]:
        if node.parent is None or node.parent.type != "simple_stmt":
            return
        target = node.children[0] if node.type == "expr_stmt" else None
        if (
            node.type in self.PLAIN
            or (target is not None and (target.type in ("atom_expr", "power") or node.children[1].type == "augassign"))
            or (target is not None and getattr(node.children[1], "value", "=") not in ("=", ":"))
        ):
            yield "pass"


class ReturnNothing(Rewrite):
    """A function returns None instead of its value."""

    before_after = (("def a():\n    return b\n", "def a():\n    return None\n"),)

    def texts(self, node: Any) -> Iterator[str]:
        if node.type == "return_stmt" and len(node.children) > 1 and node.children[1].get_code().strip() != "None":
            yield "return None"


class ChooseBranch(Rewrite):
    """`a if b else c` is replaced by `a`, and by `c`."""

    before_after = (("a if b else c", "(a)"),)

    def texts(self, node: Any) -> Iterator[str]:
        if node.type == "test" and len(node.children) == 5:
            yield f"({code([node.children[0]])})"
            yield f"({code([node.children[4]])})"


class DropComprehensionFilter(Rewrite):
    """The `if` of a comprehension is dropped."""

    before_after = (("[a for a in b if c]", "[a for a in b ]"),)

    def texts(self, node: Any) -> Iterator[str]:
        if node.type == "comp_if":
            yield code(node.children[2:])


class DropElement(Rewrite):
    """One element is dropped from a tuple, list, set or dictionary that is written out."""

    before_after = (("a = (b, c)", "a = ( c,)"), ("a = {b: 1, c: 2}", "a = { c: 2,}"))

    def texts(self, node: Any) -> Iterator[str]:
        if node.type != "atom" or len(node.children) != 3:
            return
        opening, inside, closing = node.children
        if inside.type == "testlist_comp" and inside.children[1].type != "sync_comp_for":
            items = [child.get_code() for child in inside.children if child.type != "operator" or child.value != ","]
        elif inside.type == "dictorsetmaker" and all(c.type != "sync_comp_for" for c in inside.children):
            items = [""]
            for child in inside.children:
                if child.type == "operator" and child.value == ",":
                    items.append("")
                else:
                    items[-1] += child.get_code()
            items = [item for item in items if item.strip()]
        else:
            return
        for n in range(len(items) if len(items) > 1 else 0):
            yield opening.value + "".join(f"{item}," for item in items[:n] + items[n + 1 :]) + closing.get_code()


class ChangeSQL(Rewrite):
    """In SQL that is written out, a condition is made true, or the order or the lock taken out."""

    before_after = (
        ('a = "UPDATE b SET c = %s WHERE d = %s"', 'a = "UPDATE b SET c = %s WHERE (d = %s OR TRUE)"'),
        ('a = "SELECT b FROM c ORDER BY d"', 'a = "SELECT b FROM c "'),
    )
    STATEMENT = re.compile(r"\s*(SELECT|UPDATE|DELETE) ")
    CONDITION = re.compile(r"(?:(?<=WHERE )|(?<= AND ))\w+ (?:[<>=]+|IN) (?:%s|\(\{\w+\}\))")
    REST = re.compile(r"ORDER BY \w+(?: DESC)?|FOR UPDATE")

    def texts(self, node: Any) -> Iterator[str]:
        if node.type != "string" or not self.STATEMENT.match(node.value.lstrip("rb").strip("'\"")):
            return
        for found in self.CONDITION.finditer(node.value):
            yield f"{node.value[: found.start()]}({found.group()} OR TRUE){node.value[found.end() :]}"
        for found in self.REST.finditer(node.value):
            yield node.value[: found.start()] + node.value[found.end() :]


class CatchOthers(Rewrite):
    """A handler catches every Exception, or none."""

    before_after = (("try: a\nexcept KeyError: b\n", "try: a\nexcept Exception: b\n"),)

    def texts(self, node: Any) -> Iterator[str]:
        if node.parent is not None and node.parent.type == "except_clause" and node.parent.children[1] is node:
            if node.get_code().strip() not in ("Exception", "BaseException"):
                yield "Exception"
            yield "()"


OWN: dict[str, type[Rewrite]] = {
    operator.__name__: operator
    for operator in (
        DropKeyword,
        DropClause,
        DropOperand,
        DropCall,
        MoveLookup,
        SwapTwin,
        DropStatement,
        ReturnNothing,
        ChooseBranch,
        DropComprehensionFilter,
        DropElement,
        ChangeSQL,
        CatchOthers,
    )
}
