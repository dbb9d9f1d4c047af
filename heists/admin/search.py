"""Finds players, and the rows that belong to them, by indexed columns.

A search is resolved to user keys first: an OR over joined tables would read a whole table.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import router
from django.db.models import Q

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
    exact = Q(**{User.USERNAME_FIELD: text})
    if "@" in text and (email := _email_field()):
        exact |= Q(**{email: text})
    users = User._default_manager.order_by("pk").values_list("pk", flat=True)
    found = set(users.filter(exact)[:MAX_PLAYERS])
    if by_id := player_by_id(text):
        found.add(by_id.pk)
    return sorted(found) or list(users.filter(**{f"{User.USERNAME_FIELD}__startswith": text})[:MAX_PLAYERS])


def address(text: str) -> str | None:
    """Return the IP address in this text as the database stores it; None where it is not one."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def of_players(model_admin: Any, ids: Collection[Any]) -> Q:
    """Return the condition that a row belongs to one of these players by any of the admin's `player_paths`."""
    condition = Q()
    for path in model_admin.player_paths:
        condition |= Q(**{f"{path}__in": list(ids)})
    return condition


def _email_field() -> str | None:
    User = get_user_model()
    name = User.get_email_field_name()
    try:
        User._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return name
