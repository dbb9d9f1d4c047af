"""The example site: `heists` beside a points app, as a host would set it up."""
