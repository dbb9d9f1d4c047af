"""An example client of the heist API that needs only Python's standard library.

    python docs/client.py http://127.0.0.1:8000 USERNAME PASSWORD

`play` is the session of one player; `Client` repeats requests safely when an answer is lost.
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

TIMEOUT_SECONDS = 10
# Between the attempts to send a request.
PAUSES_SECONDS = (0.2, 1, 3)
# The longest wait for `Retry-After`.
MAX_PAUSE_SECONDS = 60


class Problem(Exception):
    """An error of the API (RFC 9457). Decide by `code`; show `detail` to the player."""

    def __init__(self, status: int, body: dict[str, Any], retry_after: str | None) -> None:
        super().__init__(f"{status} {body.get('code')}: {body.get('detail')}")
        self.status, self.body = status, body
        self.code = body.get("code")
        # Seconds; None where the server does not ask to repeat.
        self.retry_after = int(retry_after) if retry_after and retry_after.isdigit() else None

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may be repeated later.

        429 and 503 may be, with Retry-After. Without it, `feature_disabled` does not pass soon, and `outcome_unknown`
        needs a look at the history first. 409 is final, although it may have Retry-After: a rule failed.
        """
        if self.code is None:
            # Not an answer of the API, but of a proxy that can't reach it.
            return self.status in (502, 503, 504)
        return self.status in (429, 503) and self.retry_after is not None


class Client:
    """Sends JSON to one site for one player."""

    def __init__(self, site: str) -> None:
        self.site = site.rstrip("/")
        self.token: str | None = None
        # The last answer of each URL that has an ETag, with that ETag.
        self.answers: dict[str, tuple[str, Any]] = {}

    def log_in(self, username: str, password: str) -> None:
        self.token = self.post("/api/auth/login/", {"username": username, "password": password})["token"]

    def get(self, path: str, **query: Any) -> Any:
        return self.send_repeatedly("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def post(self, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Any:
        """Send a POST. It is repeated only with a key: without one, a repeated request might be carried out twice."""
        if key is None:
            return self.send("POST", path, body)
        return self.send_repeatedly("POST", path, body, key)

    def send_repeatedly(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Send, and repeat the request while answers are lost or the server asks to repeat it."""
        for pause in (*PAUSES_SECONDS, None):
            try:
                return self.send(method, path, body, key)
            except Problem as problem:
                if pause is None or not problem.is_temporary:
                    raise
                pause = max(pause, min(problem.retry_after or 0, MAX_PAUSE_SECONDS))
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
        if method == "GET" and url in self.answers:
            headers["If-None-Match"] = self.answers[url][0]
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the URL of the command line
        try:
            return self.read(request)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.NOT_MODIFIED:
                    return self.answers[url][1]
                raise Problem(error.code, self.problem_body(error), error.headers["Retry-After"]) from None

    def read(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the same
            body = json.load(answer)
            if etag := answer.headers["ETag"]:
                self.answers[request.full_url] = (etag, body)
            return body

    def problem_body(self, error: urllib.error.HTTPError) -> dict[str, Any]:
        try:
            body = json.load(error)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def all_results(self, path: str, **query: Any) -> Any:
        """Yield the results of all pages."""
        page = self.get(path, **query)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self.get(page["next"])

    def rob(self, victim: Any) -> Any:
        """Rob a player once, even if the connection is lost."""
        # One key for one intention, created before the first attempt.
        return self.post("/api/heists/", {"victim": victim}, key=str(uuid.uuid4()))


def play(site: str, username: str, password: str) -> list[str]:
    """Log in, rob the best target, try again, and read the notifications. Return one line for each step."""
    client, lines = Client(site), []
    client.log_in(username, password)

    # One request for the whole screen; while nothing changes, the next ones are answered without a body.
    me = client.get("/api/heists/me/")
    lines.append(f"Tokens: {me['tokens']['balance']}.")
    if me["as_attacker"]["code"]:
        lines.append(f"No heist now ({me['as_attacker']['code']}).")
        return lines

    # The list is in the order of the leaderboard, so the first eligible player has the most points.
    target = next(client.all_results("/api/heists/targets/", eligible="true"), None)
    if target is None:
        lines.append("There is nobody to rob.")
        return lines
    lines.append(f"{target['player']['name']} has {target['potential_points']} points to steal.")

    try:
        heist = client.rob(target["player"]["id"])
        # The message says so if a shield blocked it; no preview reveals a shield.
        lines.append(heist["message"])
        client.rob(target["player"]["id"])
        lines.append("The second heist succeeded, too.")
    except Problem as problem:
        if problem.status != 409:
            raise
        until = problem.body.get("retry_at")
        lines.append(f"Rejected ({problem.code}){f' until {until}' if until else ''}: {problem.body['detail']}")

    preview = client.get(f"/api/heists/targets/{target['player']['id']}/")
    lines.append("Rules that fail now: " + ", ".join(reason["code"] for reason in preview["reasons"]))

    me = client.get("/api/heists/me/")
    lines.append(f"Points: {me['monthly_points']}. Unread: {me['unread_count']}.")
    unread = client.get("/api/heists/notifications/", read="false")
    lines += [row["message"] for row in unread["results"]]
    client.post("/api/heists/notifications/read-all/")

    stats = client.get("/api/heists/stats/")
    lines.append(f"Net points: {stats['net_points']:+}.")
    return lines


if __name__ == "__main__":
    print("\n".join(play(*sys.argv[1:4])))
