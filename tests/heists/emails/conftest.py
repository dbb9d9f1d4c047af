from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def known_site_url(site_url: None) -> None:
    """Emails of these tests have links."""
