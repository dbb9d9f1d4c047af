"""The host site's points app, and the example of a host for `heists` (spec section 2)."""
