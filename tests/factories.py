"""Players: users with a profile, and tokens that were granted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import factory
from django.contrib.auth.models import User
from django.db import connection, models

from gamification.models import CoinEntry, CoinReason, PlayerProfile, PointEvent
from heists.choices import GrantReason
from heists.models import HeistToken, Shield
from heists.services import grant_tokens

PASSWORD = "a-long-enough-password"


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"player{n}")
    password = factory.django.Password(PASSWORD)


class ProfileFactory(factory.django.DjangoModelFactory[PlayerProfile]):
    class Meta:
        model = PlayerProfile

    user = factory.SubFactory(UserFactory)
    points = factory.SelfAttribute("monthly_points")
    monthly_points = 0


def player(name: str | None = None, *, points: int = 0, tokens: int = 0, coins: int = 0, **fields: Any) -> Any:
    """Return a user with these monthly points, tokens and coins; `fields` are the user's own."""
    if name is not None:
        fields["username"] = name
    user = UserFactory.create(**fields)
    ProfileFactory.create(user=user, monthly_points=points, coins=coins)
    if points:
        PointEvent.objects.create(user=user, type_id="ACHIEVEMENT_UNLOCK", points=points)
    if coins:
        CoinEntry.objects.create(user=user, amount=coins, reason=CoinReason.AWARD)
    if tokens:
        grant_tokens(player=user, amount=tokens, reason=GrantReason.PROMOTION, source=f"test:{user.pk}")
    return user


def bought_shield(user: Any, at: dt.datetime) -> Shield:
    """Return a shield that the user bought at this time under the default rules, with its ledger entry."""
    shield = Shield.objects.create(player=user, cost=50, bought_at=at, expires_at=at + dt.timedelta(days=7))
    CoinEntry.objects.create(user=user, amount=-50, reason=CoinReason.SHIELD, reference=f"shield:{shield.pk}")
    return shield


def tokens_of(user: Any) -> HeistToken:
    """Return the player's token row as it is now in the database."""
    return HeistToken.objects.get(user=user)


def points_of(user: Any) -> int:
    """Return the player's monthly points as they are now in the database."""
    return PlayerProfile.objects.values_list("monthly_points", flat=True).get(user=user)


def rewrite(heists: Any, **fields: Any) -> None:
    """Change heists, a queryset or one row, past the guards of the ORM and the database: to move them in time."""
    if isinstance(heists, models.Model):
        heists = type(heists)._default_manager.filter(pk=heists.pk)
    with without_triggers():
        models.QuerySet.update(heists, **fields)


@contextmanager
def without_triggers() -> Iterator[None]:
    """Turn the triggers of heists off in this transaction, as the owner of the database can."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            try:
                yield
            finally:
                cursor.execute("SET session_replication_role = origin")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'heists_%'")
        triggers = cursor.fetchall()
        for name, _sql in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        try:
            yield
        finally:
            for _name, sql in triggers:
                cursor.execute(sql)
