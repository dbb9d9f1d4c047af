from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient


@pytest.fixture
def signed_in() -> Callable[[Any], APIClient]:
    """Return a function that returns a client of a player; its requests take no statement for the sign-in."""

    def client_of(player: Any) -> APIClient:
        client = APIClient()
        client.force_authenticate(player)
        return client

    return client_of
