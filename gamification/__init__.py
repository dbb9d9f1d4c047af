"""The host site's points app, and the example of a host for `heists` (docs/specification.md, "The two apps")."""
