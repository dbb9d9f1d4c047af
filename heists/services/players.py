"""Delete the rows of players whose accounts are about to be deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.signals import post_delete, pre_delete

from ..models import (
    EmailPreference,
    Heist,
    HeistNotification,
    HeistToken,
    OutboxEmail,
    Reversal,
    Shield,
    TokenGrant,
    Truce,
)

# Players in one call's statements: a database limits the parameters of one.
BATCH_SIZE = 500
# The models whose rows are deleted with players, and the lookups of those players.
ROWS: dict[type[Model], tuple[str, ...]] = {
    Heist: ("attacker", "victim"),
    Reversal: ("heist__attacker", "heist__victim"),
    HeistToken: ("user",),
    TokenGrant: ("player",),
    Shield: ("player",),
    Truce: ("player",),
    HeistNotification: ("user",),
    OutboxEmail: ("notification__user",),
    EmailPreference: ("player",),
}


def delete_player_rows(player_ids: Iterable[Any]) -> bool:
    """Delete the heists, notifications, emails and tokens of these players; return whether that was done.

    Call it in the transaction that deletes the accounts, before they are deleted: Django then finds no row of heists to
    read and to delete one by one. A heist whose players both stay is missed: PostgreSQL rejects the commit, and
    `audit_heists` reports it. The number of statements does not grow with the rows.

    Does nothing, and returns False, where rows of heists concern another app too: it has a foreign key to them, or
    receives Django's signals of their deletion. Then Django has to delete each row.

    Raises TransactionManagementError outside a transaction.
    """
    using = router.db_for_write(Heist)
    if not connections[using].in_atomic_block:
        raise transaction.TransactionManagementError("Delete the rows of players in the transaction of the accounts.")
    if others_refer_to_rows() or any(
        signal.has_listeners(model) for signal in (pre_delete, post_delete) for model in ROWS
    ):
        return False
    keys = list(player_ids)
    for start in range(0, len(keys), BATCH_SIZE):
        _delete(keys[start : start + BATCH_SIZE], using)
    return True


def others_refer_to_rows() -> bool:
    """Return whether another app has a foreign key to one of these models."""
    label = Heist._meta.app_label
    relations: list[Any] = [relation for model in ROWS for relation in model._meta.related_objects]
    return any(relation.related_model._meta.app_label != label for relation in relations)


def rows_of(model: type[Model], keys: list[Any], using: str) -> QuerySet[Any]:
    """Return the rows of one of these models that are deleted with the players."""
    condition = Q()
    for path in ROWS[model]:
        condition |= Q(**{f"{path}__in": keys})
    # The querysets of append-only rows do not delete.
    return QuerySet(model, using=using).filter(condition)


def _delete(keys: list[Any], using: str) -> None:
    heists = rows_of(Heist, keys, using)
    # The triggers write the opponents' token rows. Two deletions lock them in the same order.
    opponents = heists.values("attacker").union(heists.values("victim"))
    tokens: QuerySet[HeistToken] = QuerySet(HeistToken, using=using).filter(user__in=opponents).order_by("pk")
    list(tokens.select_for_update(no_key=True).values_list("pk"))
    for model in (OutboxEmail, HeistNotification, Reversal):
        rows_of(model, keys, using)._raw_delete(using)
    pks = heists.values("pk")
    QuerySet(HeistNotification, using=using).filter(heist__in=pks).update(heist=None)
    QuerySet(Shield, using=using).filter(used_by__in=pks).update(used_by=None)
    # Before the heists: else the triggers would keep in these rows, too, what is left of each heist.
    rows_of(HeistToken, keys, using)._raw_delete(using)
    heists._raw_delete(using)
