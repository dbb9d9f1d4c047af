"""Finds players, and the rows that belong to them, by indexed columns.

A search is resolved to user keys first: an OR over joined tables would read a whole table.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections, router
from django.db.models import Q, QuerySet
from django.db.models.functions import Collate

from ..models import TokenGrant

# Players that one search finds at most.
MAX_PLAYERS = 20


def players_by_id(texts: Iterable[str]) -> list[Any]:
    """Return the users whose keys these texts name, in key order; a text that can't be a key is ignored."""
    User = get_user_model()
    keys = []
    for text in texts:
        try:
            keys.append(User._meta.pk.clean(User._meta.pk.to_python(text), None))
        except (ValidationError, ValueError, TypeError, OverflowError):
            continue
    keys = [key for key in keys if "\x00" not in str(key)]
    # Where tokens are granted, so that a new player is found.
    users = User._default_manager.using(router.db_for_write(TokenGrant))
    return list(users.filter(pk__in=keys).order_by("pk")) if keys else []


def player_by_id(text: str) -> Any:
    """Return the user whose key this text names, or None."""
    return next(iter(players_by_id([text])), None)


def player_ids(text: str) -> list[Any]:
    """Return the keys of the players that this text finds: by name, email address or key, else by start of name.

    Email addresses are compared exactly; a host with many players wants an index on that column.
    """
    User = get_user_model()
    if not text or "\x00" in text:
        return []
    # Sign-up may have normalized the name, so both spellings are looked up.
    normalized = getattr(User, "normalize_username", str)(text)
    exact = Q(**{f"{User.USERNAME_FIELD}__in": {text, normalized}})
    if "@" in text and (email := _email_field()):
        exact |= Q(**{email: text})
    users = User._default_manager.order_by("pk")
    found = set(users.filter(exact).values_list("pk", flat=True)[:MAX_PLAYERS])
    if by_id := player_by_id(text):
        found.add(by_id.pk)
    return sorted(found) or list(_starting_with(users, normalized).values_list("pk", flat=True)[:MAX_PLAYERS])


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


def _email_field() -> str | None:
    User = get_user_model()
    # Only AbstractBaseUser has the method.
    name = User.get_email_field_name() if hasattr(User, "get_email_field_name") else "email"
    try:
        User._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return name
