from __future__ import annotations

import io

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from gamification.models import PointEventTypeMaster
from heists.choices import GrantReason
from heists.models import Heist
from heists.services import execute_heist, grant_tokens
from tests import ROOT
from tests.factories import player

from .books import assert_books_balance

FIXTURES = ROOT / "fixtures"
pytestmark = pytest.mark.django_db(transaction=True)


def load(name: str) -> None:
    call_command("loaddata", str(FIXTURES / name), verbosity=0)


def test_the_event_types_load_twice_over_the_migrated_ones() -> None:
    PointEventTypeMaster.objects.filter(name="CHECKIN").delete()

    load("point_event_types.json")
    load("point_event_types.json")

    assert PointEventTypeMaster.objects.count() == 9


def test_the_small_world_loads_twice_and_its_books_balance() -> None:
    load("point_event_types.json")
    load("small_world.json")
    load("small_world.json")

    assert_books_balance()
    call_command("audit_heists", stdout=io.StringIO())
    assert set(get_user_model().objects.values_list("username", flat=True)) == {"nina", "otto", "pia", "rosa"}
    assert Heist.objects.count() == 5


def test_the_game_goes_on_in_the_small_world_beside_other_players() -> None:
    other = player("other", points=500)
    load("point_event_types.json")
    load("small_world.json")
    nina = get_user_model().objects.get(username="nina")
    grant_tokens(player=nina, amount=1, reason=GrantReason.PROMOTION, source="again")

    heist = execute_heist(attacker_id=nina.pk, victim_id=other.pk)

    assert heist.points_stolen == 25
