"""From where a request came, as far as it can be believed (spec section 6)."""

from __future__ import annotations

import ipaddress
import re

from django.http import HttpRequest

from .. import conf

# 203.0.113.7:4711 or [2001:db8::1]:4711, as some proxies write.
WITH_PORT = re.compile(r"\[([0-9a-fA-F:.]+(?:%[^\]]*)?)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address; None where it can't be known.

    Each proxy appends whom it heard from to X-Forwarded-For, so the trusted entries stand at the right; whatever stands
    further left the client may have made up. Without a trusted proxy only REMOTE_ADDR is believed.
    """
    heard_from = [request.META.get("REMOTE_ADDR", "")]
    trusted = conf.trusted_proxies()
    if trusted:
        heard_from = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") + heard_from
    # Fewer entries than proxies: the request did not come the way the host described.
    return _canonical(heard_from[-1 - trusted]) if len(heard_from) > trusted else None


def _canonical(text: str) -> str | None:
    text = text.strip()
    if found := WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
