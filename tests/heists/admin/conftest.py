from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import player


@pytest.fixture
def boss(client: Client) -> Any:
    """A superuser, signed in."""
    user = player("boss", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def auditor(client: Client) -> Any:
    """A member of staff who may view everything of heists and do nothing, signed in."""
    user = player("auditor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="heists", codename__startswith="view_"))
    client.force_login(user)
    return user
