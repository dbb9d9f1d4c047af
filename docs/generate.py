"""Writes the documents that are generated from the code: `make docs`.

`docs/settings.md` comes from `heists.conf.SETTINGS` and the messages in `heists/checks/`, `docs/openapi.yaml` from the
views. `tests/docs/test_generated.py` fails while either file is out of date.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parent
CHECKS = DOCS.parent / "heists" / "checks"
LEVELS = ("Error", "Warning")

SETTINGS_HEAD = """# Settings and system checks

*Generated from `heists/conf.py` and `heists/checks/` by `make docs`. Do not edit.*

## Settings

All settings are keys of one dictionary, `HEISTS`, in your settings module. Only `ECONOMY` is required. Values are read
at call time, so they may change while the site runs; each heist keeps the rules it was judged by. Once staff have
changed the rules ([admin](admin.md)), their changes count, and the check `heists.W022` says where the settings differ.

```python
HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy", "COOLDOWN_HOURS": 12}
```

The example site reads each key from the environment as `HEIST_<KEY>`, for instance `HEIST_COOLDOWN_HOURS=12`.

| Key | Default | Unit, range | Meaning |
|---|---|---|---|
"""
CHECKS_HEAD = """
## System checks

`manage.py check` reports what is wrong and what to type. Checks marked *deploy* run with `check --deploy`; those
marked *database* run with `migrate` and `check --database default`. To silence one, add its id to
`SILENCED_SYSTEM_CHECKS`. In the messages, `…` stands for a value of your site.

| Id | Message | What to do |
|---|---|---|
"""


class Message(NamedTuple):
    """One message of a system check, as it stands in the source."""

    id: str
    text: str
    hint: str
    function: str


def settings_page() -> str:
    """Return docs/settings.md."""
    from heists.conf import SETTINGS

    page = SETTINGS_HEAD
    for key, setting in SETTINGS.items():
        extent = ", ".join(filter(None, (setting.unit, _range(setting.minimum, setting.maximum))))
        page += f"| `{key}` | `{setting.default!r}` | {extent} | {setting.meaning} |\n"
    page += CHECKS_HEAD
    for message in sorted(check_messages(), key=lambda message: message.id):
        page += f"| `{message.id}`{_mark(message.function)} | {_cell(message.text)} | {_cell(message.hint)} |\n"
    return page


def openapi() -> str:
    """Return docs/openapi.yaml: the schema of the example site."""
    from drf_spectacular.generators import SchemaGenerator
    from drf_spectacular.renderers import OpenApiYamlRenderer

    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    rendered: bytes = OpenApiYamlRenderer().render(document, renderer_context={})  # type: ignore[no-untyped-call]
    return rendered.decode()


def check_messages() -> Iterator[Message]:
    """Yield every message that a check can give, read from the source: most appear only on a broken site."""
    for path in sorted(CHECKS.glob("*.py")):
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(function, ast.FunctionDef):
                calls = [call for call in ast.walk(function) if isinstance(call, ast.Call)]
                for call in sorted(calls, key=lambda call: call.lineno):
                    if isinstance(call.func, ast.Name) and call.func.id in LEVELS:
                        named = {keyword.arg: keyword.value for keyword in call.keywords}
                        code = ast.literal_eval(named["id"])
                        yield Message(code, _text(call.args[0]), _text(named.get("hint")), function.name)


def _text(node: ast.expr | None) -> str:
    """Return a literal or f-string, with `…` for each value; empty where it is computed elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.FormattedValue():
            return "…"
    return ""


def _name(check: Any) -> str:
    return str(check.__name__)


def _mark(function: str) -> str:
    from django.core.checks import Tags, registry

    if function in {_name(check) for check in registry.registry.deployment_checks}:
        return " *deploy*"
    tagged = (c for c in registry.registry.registered_checks if Tags.database in getattr(c, "tags", ()))
    return " *database*" if function in {_name(check) for check in tagged} else ""


def _range(minimum: int | None, maximum: int | None) -> str:
    return "" if minimum is None or maximum is None else f"{minimum:,} to {maximum:,}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def main() -> None:
    # The site's own .env file must not change what is written.
    os.environ |= {"DEBUG": "true", "ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "config.settings"}
    import django

    django.setup()
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    (DOCS / "openapi.yaml").write_text(openapi(), encoding="utf-8")


if __name__ == "__main__":
    main()
