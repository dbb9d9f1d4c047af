"""Finds players by the name that others see (docs/specification.md, "HTTP API")."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import F, QuerySet
from django.db.models.expressions import OrderBy

from ..economy import Economy

# The annotation by which the players that a search finds are ordered.
NAME = "heists_search_name"


def players_named(text: str, economy: Economy) -> QuerySet[Any] | None:
    """Return the users whose shown name begins with `text`, annotated with `NAME`; None where names can't be searched.

    `NAME` is what the economy's search orders them by. Raises ImproperlyConfigured where it has no order.
    """
    players = economy.search_players(text)
    if players is None:
        return None
    query = players.query
    order = query.order_by or (query.get_meta().ordering if query.default_ordering else ())
    if not order:
        raise ImproperlyConfigured(f"{type(economy).__name__}.search_players() has to order the players by name.")
    named: QuerySet[Any] = players.annotate(**{NAME: _expression(order[0])})
    return named


def _expression(term: Any) -> Any:
    """Return an argument of `order_by()` as an expression, without its direction."""
    if isinstance(term, str):
        return F(term.removeprefix("-"))
    return term.expression if isinstance(term, OrderBy) else term
