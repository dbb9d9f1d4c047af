"""Checks every constraint of the models on the rows: a constraint may have been dropped, or rows loaded without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import CheckConstraint, Count, Field, Min, Model, Q, UniqueConstraint

from ..models import (
    Heist,
    HeistNotification,
    HeistToken,
    OutboxEmail,
    Reversal,
    RuleChange,
    RuleSet,
    Shield,
    TokenGrant,
    Truce,
)
from .base import AuditData, Broken, Check

MODELS: tuple[type[Model], ...] = (
    HeistToken,
    TokenGrant,
    Heist,
    Reversal,
    HeistNotification,
    Shield,
    OutboxEmail,
    RuleSet,
    RuleChange,
    Truce,
)


def _check_constraint(model: type[Model], condition: Q, name: str) -> Check:
    def find(data: AuditData) -> Broken:
        yield data.rows(model).filter(~condition)

    fields = sorted({_field(name) for name, _value in _leaves(condition)})
    return Check(
        name, f"Every row satisfies the constraint {name}.", find, {model._meta.model_name or "": "pk"}, tuple(fields)
    )


def _unique_constraint(model: type[Model], fields: tuple[str, ...], condition: Q, name: str) -> Check:
    def find(data: AuditData) -> Broken:
        rows = data.rows(model).filter(condition).order_by().values(*fields)
        yield rows.annotate(first=Min("pk"), times=Count("pk")).filter(times__gt=1)

    return Check(name, f"Every row satisfies the constraint {name}.", find, {"first": "first"}, (*fields, "times"))


def _leaves(condition: Q) -> Iterator[tuple[str, Any]]:
    children: list[Any] = list(condition.children)
    for child in children:
        if isinstance(child, Q):
            yield from _leaves(child)
        elif isinstance(child, tuple):
            yield child[0], child[1]


def _field(lookup: str) -> str:
    return lookup.split("__")[0]


def _checks() -> Iterator[Check]:
    for model in MODELS:
        for constraint in model._meta.constraints:
            if isinstance(constraint, CheckConstraint) and isinstance(constraint.condition, Q):
                yield _check_constraint(model, constraint.condition, constraint.name)
            elif isinstance(constraint, UniqueConstraint):
                yield _unique_constraint(model, tuple(constraint.fields), constraint.condition or Q(), constraint.name)
        for column in model._meta.concrete_fields:
            if isinstance(column, Field) and column.unique and not column.primary_key:
                name = f"{model._meta.db_table}_{column.name}_unique"
                present = Q(**{f"{column.name}__isnull": False})
                yield _unique_constraint(model, (column.name,), present, name)


CHECKS = tuple(_checks())
