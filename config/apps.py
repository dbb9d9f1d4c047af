from django.apps import AppConfig
from django.core.checks import Tags, register


class SiteConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from .checks import check_cache, check_databases

        register(check_databases, Tags.database)
        register(check_cache, Tags.database)
