"""The example host passes the conformance suite."""

from __future__ import annotations

from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.test import TransactionTestCase

from heists.testing import EconomyConformance
from tests.factories import UserFactory, player

# Hashing one takes longer than the rest of a test.
NO_PASSWORD = factory.Transformer.Force("!")


class TestGamificationEconomy(EconomyConformance, TransactionTestCase):
    def make_player(self, points: int, coins: int = 0) -> Any:
        return player(points=points, coins=coins, password=NO_PASSWORD)

    def make_player_without_balance(self) -> Any:
        return get_user_model().objects.get(pk=UserFactory.create(password=NO_PASSWORD).pk)
