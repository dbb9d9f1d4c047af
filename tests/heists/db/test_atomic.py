"""What a durable transaction raises, by when it fails: in its block, during COMMIT, or in a hook after it."""

from __future__ import annotations

from unittest import mock

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from heists.db.atomic import durable_atomic
from heists.errors import OutcomeUnknown
from heists.models import EmailPreference
from tests.factories import player

pytestmark = pytest.mark.django_db(transaction=True)


def lost() -> OperationalError:
    error = OperationalError("server closed the connection unexpectedly")
    error.__cause__ = type("Broken", (Exception,), {"sqlstate": None})()
    return error


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_hook_that_fails_is_logged_and_what_was_written_stays(repeatable: bool) -> None:
    alice = player()

    with mock.patch("heists.db.atomic.logger.exception") as logged, durable_atomic("default", repeatable=repeatable):
        EmailPreference.objects.create(player=alice)
        transaction.on_commit(mock.Mock(side_effect=lost()))

    logged.assert_called_once_with("an on_commit hook raised; the transaction is committed")
    assert EmailPreference.objects.exists()


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_connection_that_is_lost_before_commit_wrote_nothing_for_certain(repeatable: bool) -> None:
    with pytest.raises(OperationalError), durable_atomic("default", repeatable=repeatable):
        EmailPreference.objects.create(player=player())
        raise lost()

    assert not EmailPreference.objects.exists()


@pytest.mark.parametrize(
    ("repeatable", "error", "raised"),
    [
        (False, lost(), OutcomeUnknown),
        (True, lost(), OperationalError),
        (False, IntegrityError("deferred"), IntegrityError),
    ],
)
def test_only_a_connection_that_is_lost_during_commit_leaves_the_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, repeatable: bool, error: Exception, raised: type[Exception]
) -> None:
    monkeypatch.setattr(connection, "_commit", mock.Mock(side_effect=error))

    with pytest.raises(raised) as found, durable_atomic("default", repeatable=repeatable):
        pass
    monkeypatch.undo()

    assert found.value is error or found.value.__cause__ is error


def test_it_is_never_a_part_of_another_transaction() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError), durable_atomic("default", repeatable=True):
        pass
