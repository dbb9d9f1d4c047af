from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from gamification.models import PointEventTypeMaster

pytestmark = pytest.mark.django_db


def test_it_adds_the_two_event_types_and_is_safe_twice() -> None:
    PointEventTypeMaster.objects.filter(name__startswith="HEIST").delete()
    out = io.StringIO()

    call_command("seed_heists", stdout=out)
    call_command("seed_heists", stdout=out)

    assert out.getvalue().splitlines() == [
        "HEIST_GAIN: added",
        "HEIST_LOSS: added",
        "HEIST_GAIN: already there",
        "HEIST_LOSS: already there",
    ]
    assert not get_user_model().objects.exists()


def test_without_a_table_of_event_types_it_names_the_setting(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "POINT_EVENT_TYPE_MODEL": None}
    out = io.StringIO()

    call_command("seed_heists", stdout=out)

    assert "POINT_EVENT_TYPE_MODEL" in out.getvalue()
