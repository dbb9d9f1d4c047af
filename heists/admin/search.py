"""Finds players, and the rows that belong to them, by indexed columns.

A search is resolved to user keys first: an OR over joined tables would read a whole table.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, router
from django.db.models import Q, QuerySet
from django.db.models.functions import Collate

from .. import user_model
from ..economy import get_economy
from ..models import TokenGrant

# Players that one search finds at most.
MAX_PLAYERS = 20


def players_by_id(texts: Iterable[str]) -> list[Any]:
    """Return the users with these primary keys, in key order; a text that is no key is ignored."""
    keys = [key for key in map(user_model.key_from_text, texts) if key is not None]
    # In the database where tokens are granted, so that a new player is found.
    users = get_user_model()._default_manager.using(router.db_for_write(TokenGrant))
    return list(users.filter(pk__in=keys).order_by("pk")) if keys else []


def player_by_id(text: str) -> Any:
    """Return the user with this primary key; None where there is none."""
    return next(iter(players_by_id([text])), None)


def player_ids(text: str) -> list[Any]:
    """Return the keys of the players with this name, email address or key; else of those whose name starts with it.

    A name is the user name, or the name that players see (`Economy.search_players`).
    Email addresses are compared exactly; a host with many players wants an index on that column.
    """
    spellings = user_model.spellings(text)
    if not text or not spellings:
        return []
    users = get_user_model()._default_manager.order_by("pk")
    exact = Q(**{f"{get_user_model().USERNAME_FIELD}__in": spellings})
    if "@" in text and (email := user_model.concrete_field(user_model.email_field_name())):
        exact |= Q(**{email.name: text})
    found = set(users.filter(exact).values_list("pk", flat=True)[:MAX_PLAYERS])
    if by_id := player_by_id(text):
        found.add(by_id.pk)
    found |= _shown_as(text, exact=True)
    if not found:
        found = {*_starting_with(users, spellings[-1]).values_list("pk", flat=True)[:MAX_PLAYERS], *_shown_as(text)}
    return sorted(found)[:MAX_PLAYERS]


def _shown_as(text: str, *, exact: bool = False) -> set[Any]:
    economy = get_economy()
    # User names are searched above.
    if economy.shows_user_names:
        return set()
    rows = economy.search_players(text, exact=exact)
    return set() if rows is None else set(rows.values_list("pk", flat=True)[:MAX_PLAYERS])


def address(text: str) -> str | None:
    """Return the IP address in this text as the database stores it; None where it is not one."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def of_players(paths: Iterable[str], ids: Collection[Any]) -> Q:
    """Return the condition that a row belongs to one of these players by any of these lookups."""
    condition = Q()
    for path in paths:
        condition |= Q(**{f"{path}__in": list(ids)})
    return condition


def _starting_with(users: QuerySet[Any], start: str) -> QuerySet[Any]:
    """Return the users whose name starts with this text."""
    name = get_user_model().USERNAME_FIELD
    if connections[users.db].vendor != "postgresql":
        return users.filter(**{f"{name}__startswith": start})
    # PostgreSQL before 18 rejects LIKE on a column with a nondeterministic collation. An index for LIKE serves both.
    found: QuerySet[Any] = users.alias(name_in_c=Collate(name, "C")).filter(name_in_c__startswith=start)
    return found
