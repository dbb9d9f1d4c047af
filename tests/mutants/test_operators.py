"""The operators of `make mutants` change what they say they change."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is installed by `make`")

from cosmic_ray.mutating import mutate_code

from .. import ROOT
from .mutants import drawn, sample
from .operators import OWN, Rewrite
from .plan import MODULES, TESTS, modules, stages


@pytest.mark.parametrize("operator", OWN.values(), ids=OWN)
def test_each_operator_makes_its_examples(operator: type[Rewrite]) -> None:
    assert operator.examples()

    for example in operator.examples():
        assert mutate_code(example.pre_mutation_code, operator(), example.occurrence) == example.post_mutation_code


def test_what_changes_nothing_is_no_mutant() -> None:
    source = 'def a(b: int | None = None) -> int | None:\n    """Says nothing."""\n\n\n__all__ = ["a", "b"]\n'
    source += "c = lru_cache(maxsize=9)(a)\n"

    assert list(drawn("a.py", source)) == []


def test_the_clauses_of_a_filter_are_dropped_one_by_one() -> None:
    source = "def a(rows):\n    return rows.filter(Q(b=1) | Q(c=2), d__lt=3)\n"

    changed = {mutant.becomes for mutant in drawn("a.py", source)}

    assert {
        "return rows.filter( d__lt=3)",
        "return rows.filter(Q(b=1) | Q(c=2))",
        "return rows.filter(Q(b=1), d__lt=3)",
        "return rows.filter(Q(c=2), d__lt=3)",
        "return rows.filter(Q(b=1) & Q(c=2), d__lt=3)",
        "return rows.filter(Q(b=1) | Q(c=2), d__lte=3)",
        "return rows.filter(Q(b=1) | Q(c=2), d__gte=3)",
        "return rows",
        "return None",
    } <= changed


def test_a_seed_draws_the_same_changes_again() -> None:
    def draw(seed: int) -> list[tuple[str, ...]]:
        return [mutant.key for mutant in sample(["heists/db/atomic.py"], 12, seed, ROOT)[0]]

    assert draw(1) == draw(1) != draw(2)


def test_each_module_has_tests_that_are_there() -> None:
    for pattern in MODULES:
        found = modules(ROOT, (pattern,))
        assert found, pattern
        for module in found:
            assert all(stage.tests for stage in stages(module, ROOT)), module
    for plan in TESTS.values():
        for stage in plan:
            for path in stage.tests:
                assert list(ROOT.glob(path.partition("::")[0])), path


def test_each_excuse_is_about_lines_that_are_there() -> None:
    listed = tomllib.loads((Path(__file__).parent / "excused.toml").read_text(encoding="utf-8"))["excused"]
    assert listed
    for excuse in listed:
        lines = [line.strip() for line in (ROOT / excuse["module"]).read_text(encoding="utf-8").splitlines()]
        assert set(excuse["was"].splitlines()) <= {*lines, ""}, excuse
