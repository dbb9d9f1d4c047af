"""Summarizes the rows that are deleted with users: counted, not listed, because a player may have tens of thousands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import NestedObjects
from django.db import router
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import capfirst

from ..services.players import ROWS, others_refer_to_rows, rows_of
from . import links
from .formats import number


class _Collector(NestedObjects):
    """Collects as Django's does, except the rows of heists."""

    def related_objects(self, related_model: Any, related_fields: Any, objs: Any) -> Any:
        rows = super().related_objects(related_model, related_fields, objs)
        return rows.none() if related_model in ROWS else rows


def deleted_objects(objs: Any, request: HttpRequest, site: AdminSite) -> tuple[Any, ...] | None:
    """Return what `ModelAdmin.get_deleted_objects` does, with one line and one count for each model of heists.

    None where models of other apps refer to rows of heists: those may forbid the deletion, so Django has to collect
    every row.
    """
    # Read where they will be deleted.
    users = list(objs.using(router.db_for_write(objs.model)) if isinstance(objs, QuerySet) else objs)
    if not users or others_refer_to_rows():
        return None
    using = router.db_for_write(type(users[0]))
    collector = _Collector(using=using, origin=users)
    collector.collect(users)
    perms_needed: set[Any] = set()

    def line(row: Model) -> Any:
        name = capfirst(row._meta.verbose_name)
        if not site.is_registered(type(row)):
            return f"{name}: {row}"
        if not site.get_model_admin(type(row)).has_delete_permission(request, row):
            perms_needed.add(row._meta.verbose_name)
        return format_html("{}: {}", name, links.link(links.page_url(site, row), row))

    to_delete = collector.nested(line)
    protected = [line(row) for row in collector.protected]
    collected: dict[Any, set[Any]] = collector.model_objs
    counts = {model._meta.verbose_name_plural: len(rows) for model, rows in collected.items()}
    for model, count in _counts([user.pk for user in users], using):
        names = model._meta.verbose_name_plural
        counts[names] = count
        to_delete.append(f"{capfirst(names)}: {number(count)}")
        if site.is_registered(model) and not site.get_model_admin(model).has_delete_permission(request):
            perms_needed.add(model._meta.verbose_name)
    return to_delete, counts, perms_needed, protected


def _counts(keys: list[Any], using: str) -> Iterator[tuple[type[Model], int]]:
    for model in ROWS:
        if count := rows_of(model, keys, using).count():
            yield model, count
