"""A failure reason is stored in the site's language; the API answers in the reader's."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from heists.models import Heist
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db
SENTENCES = {
    "en": "You can't rob yourself.",
    "de": "Du kannst dich nicht selbst ausrauben.",
    "es": "No puedes atracarte a ti mismo.",
}


@pytest.mark.parametrize("site", SENTENCES)
@pytest.mark.parametrize("reader", SENTENCES)
def test_a_reason_is_stored_in_the_sites_language_and_read_in_ones_own(
    signed_in: Any, settings: Any, site: str, reader: str
) -> None:
    settings.LANGUAGE_CODE = site
    me = player(tokens=1)

    with translation.override(reader):
        pk = execute_heist(attacker_id=me.pk, victim_id=me.pk).pk
        # The service leaves the reader's language active.
        assert translation.get_language() == reader
    shown = signed_in(me).get(f"/api/heists/{pk}/", headers={"accept-language": reader}).json()

    assert Heist.objects.get(pk=pk).failure_reason == SENTENCES[site]
    assert shown["failure_reason"] == SENTENCES[reader]
