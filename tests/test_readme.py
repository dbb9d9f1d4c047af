"""The README's curl session works, word for word, against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gamification.models import PointEvent
from heists.models import Heist

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def session() -> str:
    """The commands under "A heist with curl"."""
    chapter = README.read_text(encoding="utf-8").split("## A heist with curl", 1)[1]
    found = re.search(r"```sh\n(.*?)```", chapter, re.DOTALL)
    assert found
    return found[1]


def answers(text: str) -> list[Any]:
    """The JSON documents that stand behind one another in the output."""
    decoder, found, text = json.JSONDecoder(), [], text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].strip()
    return found


@pytest.mark.django_db(transaction=True)
def test_the_curl_session_works_word_for_word(live_server: Any) -> None:
    for tool in ("bash", "curl", "python3"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed, which the README's session needs.")
    script = session().replace("http://127.0.0.1:8000", live_server.url)

    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    # Each answer is a line of its own in the terminal.
    assert len(done.stdout.splitlines()) == 10
    ben, token, notified, preview, heist, replay, history, dora, rejection, carlas = answers(done.stdout)
    assert {ben["username"], dora["username"]} == {"ben", "dora"}
    assert (token["balance"], notified["unread_count"]) == (1, 1)
    assert notified["results"][0]["message"] == "You earned a Heist Token! ben joined using your referral code."
    assert preview["eligible"] is True
    assert (heist["status"], heist["points_stolen"], heist["tokens_remaining"]) == (
        "SUCCESS",
        preview["potential_points"],
        0,
    )
    assert replay["id"] == heist["id"]
    assert [row["id"] for row in history["results"]] == [heist["id"]]
    assert (rejection["status"], rejection["code"]) == (409, "cooldown")
    assert rejection["retry_at"] == heist["cooldown_ends_at"]
    assert carlas["results"][0]["type"] == "HEIST_VICTIM"
    events = PointEvent.objects.filter(reference=f"heist:{heist['id']}").values_list("type", flat=True)
    assert set(events) == {"HEIST_GAIN", "HEIST_LOSS"}
    assert Heist.objects.count() == 2
