"""How rows are read and differences are printed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heists import audit
from heists.audit.base import Difference, check
from heists.economy import get_economy
from heists.models import Heist

from .rows import NOW, found, heist, rule_set


def test_a_difference_is_printed_with_its_ids_and_its_numbers() -> None:
    assert str(Difference("code", {"heist": 1, "player": "a"}, {"cost": 2, "paid": []})) == (
        "code: heist 1, player a: cost 2, paid []"
    )
    assert str(Difference("code", {"heist": 1}, {})) == "code: heist 1"


def test_differences_and_checks_are_values() -> None:
    data = audit.AuditData("default", get_economy(), NOW)
    for value, name in ((Difference("code", {}, {}), "code"), (audit.CHECKS[0], "code"), (data, "now")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


def test_a_check_is_made_of_a_function_whose_docstring_is_the_promise() -> None:
    @check("code", ids={"heist": "pk"}, numbers=("a__b",))
    def promise(data: Any) -> Any:
        """It holds."""
        yield {"pk": 5, "a__b": 7}

    @check("other", ids={})
    def without(data: Any) -> Any:
        return []

    assert (promise.code, promise.promise, promise.ids, promise.numbers) == (
        "code",
        "It holds.",
        {"heist": "pk"},
        ("a__b",),
    )
    assert [str(one) for one in promise.differences(None)] == ["code: heist 5: a b 7"]  # type: ignore[arg-type]
    assert without.promise == "other"


def test_a_site_without_rows_has_no_difference(people: SimpleNamespace) -> None:
    # Without rule sets, a window has no length.
    assert {check.code: found(check.code) for check in audit.CHECKS} == {check.code: [] for check in audit.CHECKS}


def test_every_promise_is_a_sentence() -> None:
    assert all(check.promise.endswith(".") and check.ids for check in audit.CHECKS)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5])
def test_heists_are_read_in_chunks_each_once_in_order(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("heists.audit.base.CHUNK_ROWS", 2)
    expected = [(heist(people.alice, people.bob, rule_set()).pk, "SUCCESS") for _ in range(rows)]
    with audit.open_snapshot("default") as data, CaptureQueriesContext(connection) as queries:
        chunks = list(data.heists_in_chunks("status"))

    assert [row for chunk in chunks for row in chunk] == expected
    assert [len(chunk) for chunk in chunks] == [2] * (rows // 2) + [1] * (rows % 2)
    assert len(queries) == len(chunks) + 1


def test_a_heist_with_the_number_0_is_read(people: SimpleNamespace) -> None:
    heist(people.alice, people.bob, rule_set(), pk=0)

    with audit.open_snapshot("default") as data:
        assert [row for chunk in data.heists_in_chunks() for row in chunk] == [(0,)]


def test_rows_that_a_hosts_default_manager_hides_are_audited(
    people: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = heist(people.alice, people.bob, rule_set(), points=51)
    monkeypatch.setattr(type(Heist.objects), "get_queryset", lambda self: Heist._base_manager.none())

    assert found("heist_amount")[0].startswith(f"heist {row.pk},")


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_the_snapshot_is_one_that_on_postgresql_is_read_only_and_repeatable() -> None:
    with audit.open_snapshot("default") as data, connection.cursor() as cursor:
        assert connection.in_atomic_block
        if connection.vendor == "postgresql":
            cursor.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
            assert cursor.fetchone() == ("repeatable read", "on")
        assert list(data.heists_in_chunks()) == []
