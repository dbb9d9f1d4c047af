"""Two players without referrals."""

from __future__ import annotations

from typing import Any

import pytest

from gamification import services

PASSWORD = "correct horse battery"


@pytest.fixture
def alice(db: None) -> Any:
    return services.sign_up(username="alice", password=PASSWORD)


@pytest.fixture
def bob(db: None) -> Any:
    return services.sign_up(username="bob", password=PASSWORD)


@pytest.fixture
def profile() -> Any:
    """A function that reads a player's profile from the database."""
    from gamification.models import PlayerProfile

    return lambda user: PlayerProfile.objects.get(user=user)
