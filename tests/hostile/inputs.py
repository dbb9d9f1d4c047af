"""Hostile requests, each with the statuses that may answer it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple


class Hostile(NamedTuple):
    """A request. The test fills in `{victim}` in the body, and `{other_heist}`, `{other_notification}` in the path."""

    name: str
    method: str = "POST"
    path: str = "/api/heists/"
    body: bytes = b'{"victim": {victim}}'
    content_type: str = "application/json"
    headers: dict[str, str] = {}
    signed_in: bool = True
    answers: tuple[int, ...] = (400,)


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "half an object": b"{",
    "half a string": b'{"victim": "1',
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "a string": b'"victim"',
    "an empty object": b"{}",
    "a null victim": b'{"victim": null}',
    "a list of victims": b'{"victim": [{victim}]}',
    "an object as victim": b'{"victim": {"id": {victim}}}',
    "an empty victim": b'{"victim": ""}',
    "a blank victim": b'{"victim": " "}',
    "SQL": b'{"victim": "1 OR 1=1"}',
    "more SQL": b'{"victim": "1; DROP TABLE heists_heist; --"}',
    "a union": b'{"victim": "0 UNION SELECT password FROM auth_user"}',
    "zero": b'{"victim": 0}',
    "a negative": b'{"victim": -1}',
    "a fraction": b'{"victim": 1.5}',
    "an exponent": b'{"victim": 1e400}',
    "not a number": b'{"victim": NaN}',
    "infinity": b'{"victim": Infinity}',
    "true": b'{"victim": true}',
    "beyond 32 bits": b'{"victim": 2147483648}',
    "beyond 63 bits": b'{"victim": 9223372036854775808}',
    "beyond 64 bits": b'{"victim": 18446744073709551616}',
    "400 digits": b'{"victim": ' + b"9" * 400 + b"}",
    "5000 digits": b'{"victim": ' + b"9" * 5000 + b"}",
    "5000 digits in quotes": b'{"victim": "' + b"9" * 5000 + b'"}',
    "an escaped NUL": b'{"victim": "\\u0000"}',
    "a NUL after the id": b'{"victim": "{victim}\\u0000"}',
    "a raw NUL": b'{"victim": "\x00"}',
    "a lone surrogate": b'{"victim": "\\ud800"}',
    "a surrogate as a key": b'{"\\udfff": 1}',
    "other digits": '{"victim": "\u0661\u0662"}'.encode(),
    "full-width digits": '{"victim": "\uff11\uff12"}'.encode(),
    "a superscript": '{"victim": "²"}'.encode(),
    "an underscore": b'{"victim": "1_0"}',
    "a template": b'{"victim": "{{7*7}}"}',
    "a script": b'{"victim": "<script>alert(1)</script>"}',
    "a path": b'{"victim": "../../etc/passwd"}',
    "a lookup": b'{"victim__gt": 0}',
    "a prototype": b'{"__proto__": {"victim": 1}}',
    "a deep list": b"[" * 100_000,
    "a deep object": b'{"a":' * 50_000,
    "a deep and closed list": b"[" * 20_000 + b"]" * 20_000,
    "a deep victim": b'{"victim": ' + b"[" * 900 + b"]" * 900 + b"}",
    "a duplicate key": b'{"victim": {victim}, "victim": 1}',
    "a comment": b'{"victim": {victim} /* please */}',
    "single quotes": b"{'victim': {victim}}",
    "two documents": b'{"victim": {victim}}{"victim": {victim}}',
    "bytes that are no UTF-8": b'{"victim": "\xff\xfe\xfa"}',
    "an overlong slash": b'{"victim": "\xc0\xaf"}',
    "UTF-16": '{"victim": 1}'.encode("utf-16"),
    "UTF-32": '{"victim": 1}'.encode("utf-32"),
    "a form": b"victim={victim}",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><victim>&b;</victim>',
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
}
CONTENT_TYPES = {
    "text": "text/plain",
    "XML": "application/xml",
    "a form": "application/x-www-form-urlencoded",
    "a multipart without boundary": "multipart/form-data",
    "a multipart": "multipart/form-data; boundary=x",
    "no type": "application/octet-stream",
    "nonsense": ";;;=",
}
CHARSETS = ["utf-7", "utf-16", "latin-1", "nonsense", "ebcdic-cp-us", "idna", "undefined", "zlib", "x" * 1000]
TOKENS = {
    "nothing": "",
    "a scheme alone": "Token",
    "a scheme and blanks": "Token   ",
    "two tokens": "Token a b",
    "an unknown one": "Token " + "0" * 64,
    "a long one": "Token " + "a" * 100_000,
    "a NUL": "Token \x00",
    "an umlaut": "Token ünïcode",
    "SQL": "Token ' OR '1'='1",
    "another scheme": "Bearer 123",
    "a password": "Basic " + base64.b64encode(b"admin:admin").decode(),
    "a bad password": "Basic %%%",
    "a lower case scheme": "token " + "0" * 64,
    "JWT without signature": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
}
KEYS = {
    "an empty key": "",
    "a key of 256": "k" * 256,
    "a key of 100,000": "k" * 100_000,
    "a NUL": "a\x00b",
    "an umlaut": "schlüssel",
    "a line break": "a\r\nX-Injected: 1",
    "a tab": "a\tb",
    "an emoji": "\U0001f600",
}
CURSORS = {
    "a word": "x",
    "SQL": "' OR 1=1 --",
    "base64 of nothing": base64.b64encode(b"").decode() or "=",
    "base64 of a word": base64.b64encode(b"p=yesterday").decode(),
    "a far future": base64.b64encode(b"p=99999-01-01T00:00:00Z").decode(),
    "a negative offset": base64.b64encode(b"o=-1").decode(),
    "an enormous offset": base64.b64encode(b"o=" + b"9" * 50).decode(),
    "JSON": base64.urlsafe_b64encode(b'["2026-01-01T00:00:00Z", "x"]').decode(),
    "JSON with a large id": base64.urlsafe_b64encode(b'["2026-01-01T00:00:00Z", 99999999999999999999]').decode(),
    "JSON with NaN": base64.urlsafe_b64encode(b"[NaN, NaN]").decode(),
    "JSON with an object": base64.urlsafe_b64encode(b'{"$gt": ""}').decode(),
    "deep JSON": base64.urlsafe_b64encode(b"[" * 5000).decode(),
    "a NUL": "%00",
    "a surrogate": "%ED%A0%80",
    "10,000 characters": "A" * 10_000,
}
QUERIES = [
    "status=' OR 1=1 --",
    "status=STOLEN",
    "status=%00",
    "role=admin",
    "role[]=attacker",
    "created_after=yesterday",
    "created_after=0000-00-00",
    "created_after=99999-12-31T23:59:59Z",
    "created_before=2026-02-30T00:00:00Z",
    "created_before=2026-01-01T00:00:00%2B99:99",
    "page_size=0",
    "page_size=-1",
    "page_size=1e9",
    "page_size=" + "9" * 5000,
    "page_size=%D9%A1",
    "created_after=%00",
]
TARGET_QUERIES = [
    "eligible=false",
    "eligible=%00",
    "eligible[]=true",
    "search=",
    "search=%00%00",
    "search=%ED%A0%80%ED%A0%80",
    "search=%F0%9F%92%B0%F0%9F%92%B0",
    "search=e%CC%81",
    "search=%25%25",
    "search=' OR 1=1 --",
    "search=" + "x" * 10_000,
    "search=ab&search=cd",
    "search[]=ab",
]
# Valid dates that leave the range of datetime in another time zone.
EDGES = ["created_after=0001-01-01T00:00:00%2B14:00", "created_before=9999-12-31T23:59:59-14:00"]
IDS = [
    "0",
    "-1",
    "1.5",
    "abc",
    "9223372036854775808",
    "1" * 5000,
    "%00",
    "1%00",
    "%ED%A0%80",
    "1%20OR%201=1",
    "..%2f..",
    "%D9%A1",
]


def table() -> Iterator[Hostile]:
    """Yield every hostile request."""
    for name, body in BODIES.items():
        answers = (400, 413) if len(body) > 64 * 1024 else (400,)
        yield Hostile(f"body: {name}", body=body, answers=answers)
    yield Hostile("body: 10 MB", body=b'{"victim": "' + b"1" * 10_000_000 + b'"}', answers=(400, 413))
    yield Hostile("body: 10 MB of keys", body=b'{"a":1,' * 1_400_000, answers=(400, 413))
    for name, kind in CONTENT_TYPES.items():
        yield Hostile(f"content type: {name}", content_type=kind, answers=(400, 415))
    for charset in CHARSETS:
        kind = f"application/json; charset={charset}"
        # JSON is always UTF-8, so a charset may be ignored or rejected.
        yield Hostile(f"charset: {charset[:20]}", content_type=kind, body=b'{"victim": 0}', answers=(400, 415))
    for name, token in TOKENS.items():
        headers = {"Authorization": token}
        yield Hostile(f"token: {name}", headers=headers, signed_in=False, answers=(401,))
        yield Hostile(f"token to read: {name}", "GET", headers=headers, signed_in=False, answers=(401,))
    for name, key in KEYS.items():
        yield Hostile(f"key: {name}", headers={"Idempotency-Key": key})
    for name, cursor in CURSORS.items():
        for where in ("", "notifications/", "targets/"):
            yield Hostile(
                f"cursor of {where}: {name}", "GET", f"/api/heists/{where}?cursor={cursor}", answers=(400, 404)
            )
    for query in QUERIES:
        yield Hostile(f"query: {query[:40]}", "GET", f"/api/heists/?{query}", answers=(200, 400))
    for query in TARGET_QUERIES:
        yield Hostile(f"targets: {query[:40]}", "GET", f"/api/heists/targets/?{query}", answers=(200, 400))
    for query in EDGES:
        yield Hostile(f"query: {query}", "GET", f"/api/heists/?{query}", answers=(200, 400))
    for value in IDS:
        for where in ("{}/", "targets/{}/"):
            yield Hostile(f"id: {where} {value[:30]}", "GET", "/api/heists/" + where.format(value), answers=(400, 404))
        read = f"/api/heists/notifications/{value}/read/"
        yield Hostile(f"id: read {value[:30]}", "POST", read, body=b"{}", answers=(400, 404))
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        yield Hostile(f"method: {method}", method, answers=(405,))
        yield Hostile(f"method on one: {method}", method, "/api/heists/{other_heist}/", answers=(404, 405))
    for header in ("X-HTTP-Method-Override", "X-Method-Override"):
        yield Hostile(f"header: {header}", "GET", headers={header: "DELETE"}, answers=(200,))
    yield Hostile("header: an unknown host", headers={"Host": "evil.example"})
    yield Hostile("header: a broken host", headers={"Host": "a b\x00"})
    yield Hostile("header: a language of 10,000", "GET", headers={"Accept-Language": "xx-" * 3_000}, answers=(200,))
    yield Hostile("header: an accept of nonsense", "GET", headers={"Accept": ";;q=x,,"}, answers=(200, 406))
    yield Hostile("header: only pictures", "GET", headers={"Accept": "image/png"}, answers=(200, 406))
    for path in ("me/", "token/", "notifications/"):
        for tags in ('"' * 5_000, "W/" * 5_000, '"a",' * 2_000, "\x80"):
            headers = {"If-None-Match": tags}
            yield Hostile(
                f"tags of {path}: {tags[:8]!r}", "GET", f"/api/heists/{path}", headers=headers, answers=(200,)
            )
    yield Hostile("header: a range", "GET", headers={"Range": "bytes=0-0"}, answers=(200,))
    yield Hostile("somebody else's heist", "GET", "/api/heists/{other_heist}/", answers=(404,))
    yield Hostile(
        "somebody else's notification",
        path="/api/heists/notifications/{other_notification}/read/",
        body=b"{}",
        answers=(404,),
    )


TABLE = tuple(table())


def names(inputs: tuple[Hostile, ...]) -> list[Any]:
    return [one.name for one in inputs]
