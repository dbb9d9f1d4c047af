"""Checks the host's economy (docs/specification.md, "The two apps")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.models import DateTimeField, EmailField, Field, IntegerField, QuerySet, Subquery
from django.db.models.sql import Query
from django.utils.module_loading import import_string

from .. import conf
from ..economy import Economy
from .settings import well_formed

# The methods that every economy implements.
NEEDED = ("players", "lock", "transfer")
NEEDED_WITH_COINS = ("coins", "spend_coins")


def check_economy(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check that the economy is named and complete, and that heists can join its players."""
    if not well_formed("ECONOMY"):
        return
    path = conf.raw("ECONOMY")
    if not path:
        yield Error(
            "HEISTS names no economy.",
            hint=(
                "Write a subclass of heists.economy.Economy and name it: "
                'HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}.'
            ),
            id="heists.E002",
        )
        return
    try:
        economy = import_string(path)
    except Exception as error:
        yield Error(
            f'HEISTS["ECONOMY"] = {path!r} can\'t be imported: {error}',
            hint='Write the dotted path of your economy class: "yourapp.economy.YourEconomy".',
            id="heists.E003",
        )
        return
    if not (isinstance(economy, type) and issubclass(economy, Economy)):
        yield Error(
            f'HEISTS["ECONOMY"] = {path!r} is not a subclass of heists.economy.Economy.',
            hint="Write: from heists.economy import Economy; class YourEconomy(Economy).",
            id="heists.E003",
        )
        return
    needed = (*NEEDED, *(NEEDED_WITH_COINS if economy.has_coins else ()))
    if missing := [name for name in needed if getattr(economy, name) is getattr(Economy, name)]:
        yield Error(
            f"{path} does not implement {', '.join(f'{name}()' for name in missing)}.",
            hint="Implement each as its docstring in heists.economy.Economy says.",
            id="heists.E003",
        )
        return
    yield from _players(path, economy)
    yield from _user_key()


def _user_key() -> Iterator[CheckMessage]:
    user_model = get_user_model()
    if isinstance(user_model._meta.pk, EmailField):
        yield Warning(
            f"The primary key of {user_model._meta.label} is an email address, and the API shows players' keys as "
            "their ids.",
            hint='Give the user model another primary key, or accept it: SILENCED_SYSTEM_CHECKS = ["heists.W019"].',
            id="heists.W019",
        )


def _players(path: str, economy: type[Economy]) -> Iterator[CheckMessage]:
    user_model = get_user_model()
    try:
        players = economy().players()
    except Exception as error:
        yield Error(
            f"{path}.players() raises {type(error).__name__}: {error}",
            hint="Return a queryset and run no query: players() is also called before `migrate`.",
            id="heists.E010",
        )
        return
    if not isinstance(players, QuerySet) or not issubclass(players.model, user_model):
        yield Error(
            f"{path}.players() does not return a queryset of {user_model._meta.label}.",
            hint='Begin with get_user_model().objects and annotate "monthly_points".',
            id="heists.E010",
        )
        return
    query = players.query
    values = query.values_select or query.annotation_select_mask
    if query.group_by is not None or query.distinct or query.is_sliced or query.combinator or values:
        yield Error(
            f"{path}.players() groups, combines, slices or flattens its rows.",
            hint="Annotate a column or a Subquery; the joins of heists would multiply an aggregate over a join.",
            id="heists.E011",
        )
    else:
        yield from _monthly_points(path, players)
        yield from _joined_at(path, players)


def _monthly_points(path: str, players: QuerySet[Any]) -> Iterator[CheckMessage]:
    annotation = players.query.annotations.get("monthly_points")
    try:
        source: Any = annotation.output_field if annotation else players.model._meta.get_field("monthly_points")
    except FieldDoesNotExist:
        yield Error(
            f'{path}.players() has no "monthly_points".',
            hint='Annotate it: .annotate(monthly_points=F("profile__points")).',
            id="heists.E012",
        )
        return
    except FieldError:
        source = None
    if not isinstance(source, IntegerField):
        yield Error(
            f'{path}.players() has a "monthly_points" that is not an integer.',
            hint="Use an IntegerField: Coalesce(…, 0, output_field=IntegerField()).",
            id="heists.E012",
        )
    elif _on_user_row(annotation or source):
        yield Warning(
            f'The "monthly_points" of {path}.players() are a column of {players.model._meta.label}; saving a whole '
            "user, as SetPasswordForm does, writes old points back.",
            hint=(
                "Keep the points in a table of their own, or let save() of the user model leave that column out "
                'and silence this check: SILENCED_SYSTEM_CHECKS = ["heists.W018"].'
            ),
            id="heists.W018",
        )
    # From Django 6.1 on, a query keeps a bare Subquery as the Query in it.
    elif isinstance(annotation, Subquery | Query) or (annotation is None and source.null):
        yield Warning(
            f'{path}.players() may have a "monthly_points" that is null.',
            hint="Wrap it: Coalesce(Subquery(…), 0).",
            id="heists.W002",
        )


def _joined_at(path: str, players: QuerySet[Any]) -> Iterator[CheckMessage]:
    """Check the optional `joined_at`, which protects newcomers."""
    annotation = players.query.annotations.get("joined_at")
    try:
        source: Any = annotation.output_field if annotation else players.model._meta.get_field("joined_at")
    except FieldDoesNotExist:
        if well_formed("NEWCOMER_DAYS") and conf.raw("NEWCOMER_DAYS"):
            yield Warning(
                f'{path}.players() has no "joined_at", so NEWCOMER_DAYS protects nobody.',
                hint='Annotate it: .annotate(joined_at=F("date_joined")); or write "NEWCOMER_DAYS": 0.',
                id="heists.W021",
            )
        return
    except FieldError:
        source = None
    if not isinstance(source, DateTimeField):
        yield Error(
            f'{path}.players() has a "joined_at" that is not a DateTimeField.',
            hint="Annotate a DateTimeField, or nothing of this name.",
            id="heists.E020",
        )


def _on_user_row(expression: Any) -> bool:
    """Whether an expression reads a column of the user model itself, and not of a related table."""
    if isinstance(expression, Query):
        # A subquery: it has rows of its own.
        return False
    field = getattr(expression, "target", expression)
    if isinstance(field, Field):
        # The user model's own fields, and those of its parents if it inherits from another table.
        return field in get_user_model()._meta.concrete_fields
    nested: list[Any] = getattr(expression, "get_source_expressions", list)()
    return any(_on_user_row(part) for part in nested if part is not None)
