"""A worked client of the heist API, with nothing but Python's standard library.

    python docs/client.py http://127.0.0.1:8000 USERNAME PASSWORD

`play_a_day` is a session of one player; `Client` repeats requests safely when answers are lost.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

# Seconds: before a silent connection is given up, and between two attempts.
TIMEOUT = 10
PAUSES = (0.2, 1, 3)


class Problem(Exception):
    """An error of the API (RFC 9457). Decide by `code`; show `detail` to the player."""

    def __init__(self, status: int, body: dict[str, Any], retry_after: str | None) -> None:
        super().__init__(f"{status} {body.get('code')}: {body.get('detail')}")
        self.status, self.body = status, body
        self.code = body.get("code")
        # Seconds, from the server.
        self.retry_after = int(retry_after) if retry_after and retry_after.isdigit() else None


class Client:
    """Sends JSON to one site for one player."""

    def __init__(self, site: str) -> None:
        self.site = site.rstrip("/")
        self.token: str | None = None

    def log_in(self, username: str, password: str) -> None:
        self.token = self.post("/api/auth/login/", {"username": username, "password": password})["token"]

    def get(self, path: str, **query: Any) -> Any:
        return self.send_again_if_lost("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def post(self, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Any:
        """Post. Without a key, a lost answer is an error: the request may or may not have been carried out."""
        if key is None:
            return self.send("POST", path, body)
        return self.send_again_if_lost("POST", path, body, key)

    def send_again_if_lost(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Send, and repeat the request if the answer is lost or the server asks to wait."""
        for pause in (*PAUSES, None):
            try:
                return self.send(method, path, body, key)
            except Problem as problem:
                # 409 is a final answer. 429 and 503 ask us to wait; not longer than a player would.
                if pause is None or problem.status not in (429, 503) or problem.code == "feature_disabled":
                    raise
                pause = max(pause, min(problem.retry_after or 0, 60))
            except (OSError, http.client.HTTPException):
                if pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError("unreachable")

    def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Token {self.token}"
        if key:
            headers["Idempotency-Key"] = key
        url = path if path.startswith(self.site) else self.site + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the site we were given
        try:
            return self.read(request)
        except urllib.error.HTTPError as error:
            with error:
                raise Problem(error.code, json.load(error), error.headers["Retry-After"]) from None

    def read(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - the same
            return json.load(answer)

    def every(self, path: str, **query: Any) -> Any:
        """Yield the results of all pages."""
        page = self.get(path, **query)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self.get(page["next"])

    def rob(self, victim: Any) -> Any:
        """Rob a player exactly once, even if the connection drops."""
        # One key for one intention, made before the first attempt.
        return self.post("/api/heists/", {"victim": victim}, key=str(uuid.uuid4()))


def play_a_day(site: str, username: str, password: str) -> list[str]:
    """Log in, rob the best target, try once more, and read what happened. Return one line for each step."""
    client, diary = Client(site), []
    client.log_in(username, password)

    token = client.get("/api/heists/token/")
    diary.append(f"I have {token['balance']} tokens.")

    # The list is in leaderboard order, so the first eligible player is worth the most.
    target = next((row for row in client.every("/api/heists/targets/", page_size=100) if row["eligible"]), None)
    if target is None:
        diary.append("Nobody can be robbed today.")
        return diary
    diary.append(f"{target['player']['name']} is worth {target['potential_points']} points.")

    try:
        heist = client.rob(target["player"]["id"])
        # A shield may have blocked it; the API never shows one beforehand.
        diary.append(heist["message"])
        client.rob(target["player"]["id"])
        diary.append("And once more!")
    except Problem as problem:
        if problem.status != 409:
            raise
        until = problem.body.get("retry_at")
        diary.append(f"Rejected ({problem.code}){f' until {until}' if until else ''}: {problem.body['detail']}")

    preview = client.get(f"/api/heists/targets/{target['player']['id']}/")
    diary.append("In the way now: " + ", ".join(reason["code"] for reason in preview["reasons"]))

    inbox = client.get("/api/heists/notifications/", read="false")
    diary.append(f"{inbox['unread_count']} unread.")
    diary += [row["message"] for row in inbox["results"]]
    client.post("/api/heists/notifications/read-all/")

    stats = client.get("/api/heists/stats/")
    diary.append(f"All in all: {stats['net_points']:+} points.")
    return diary


if __name__ == "__main__":
    print("\n".join(play_a_day(*sys.argv[1:4])))
