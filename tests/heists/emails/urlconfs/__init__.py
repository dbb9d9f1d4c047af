"""URLconfs of hosts that include `heists.urls` in different ways."""
