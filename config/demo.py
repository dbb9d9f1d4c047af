"""Prepares the database of `make run` and says where to look: `python -m config.demo HOST PORT`."""

import os
import sys


def main(host: str, port: str) -> None:
    """Migrate; fill a database that has no users with the demo world; print the addresses and sign-ins."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    if not users.exists():
        call_command("seed_demo")

    address = "localhost" if host in ("0.0.0.0", "::", "[::]") else host  # noqa: S104
    print(f"\n  site   http://{address}:{port}/")
    print(f"  docs   http://{address}:{port}/api/docs/")
    print(f"  admin  http://{address}:{port}/admin/")
    if users.filter(username="alice").exists():
        print("\n  player alice, staff member staff; the password of both is heist-demo")
    if not os.environ.get("EMAIL_URL"):
        print(f"\n  letters become files in {settings.VAR_DIR / 'mail'}, sent by")
        print("    DEBUG=true .venv/bin/python manage.py send_heist_emails")
        if os.environ.get("DATABASE_URL"):
            print("    with the same DATABASE_URL as here")
    print(flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
