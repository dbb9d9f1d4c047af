"""Player-versus-player heists for a Django site."""

__version__ = "1.0.0"
