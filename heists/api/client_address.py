"""The client's IP address. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

import ipaddress
import re

from django.http import HttpRequest

from .. import conf

# 203.0.113.7:4711 or [2001:db8::1]:4711, as some proxies write it.
ADDRESS_WITH_PORT = re.compile(r"\[([0-9a-fA-F:.]+(?:%[^\]]*)?)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address; None where it is unknown.

    Each proxy appends the address of its own client to X-Forwarded-For, so the entries of trusted proxies are on the
    right; a client can forge the entries to their left. Without trusted proxies the address is REMOTE_ADDR.
    """
    addresses = [request.META.get("REMOTE_ADDR", "")]
    trusted = conf.trusted_proxies()
    if trusted:
        addresses = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") + addresses
    # Fewer entries than trusted proxies: the request did not pass through all of them.
    return _canonical(addresses[-1 - trusted]) if len(addresses) > trusted else None


def _canonical(text: str) -> str | None:
    text = text.strip()
    if found := ADDRESS_WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
