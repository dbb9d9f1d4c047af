"""The German and Spanish catalogues of the apps and the site: complete, compiled, and in step with the sources."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import django
import polib
import pytest
import rest_framework
from django.utils import translation

from heists.messages import failure_message
from tests import ROOT

APPS = ["heists", "gamification", "config"]
LANGUAGES = ["de", "es"]
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[srd%]|\{\w*\}")


# Each catalogue: the app and the language.
every_catalogue = pytest.mark.parametrize(("app", "language"), list(product(APPS, LANGUAGES)))


def catalogue(app: str, language: str, root: Path = ROOT) -> polib.POFile:
    return polib.pofile(root / app / "locale" / language / "LC_MESSAGES" / "django.po")


def texts(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("app", APPS)
def test_there_are_two_languages(app: str) -> None:
    assert sorted(path.name for path in (ROOT / app / "locale").iterdir()) == LANGUAGES


@every_catalogue
def test_nothing_is_missing_fuzzy_or_left_over(app: str, language: str) -> None:
    found = catalogue(app, language)

    assert [entry.msgid for entry in found if not entry.translated()] == []
    assert [entry.msgid for entry in found.fuzzy_entries()] == []
    assert [entry.msgid for entry in found.obsolete_entries()] == []


@every_catalogue
def test_every_translation_fills_in_the_same_values(app: str, language: str) -> None:
    wrong = []
    for entry in catalogue(app, language):
        # A singular may omit its number.
        known = set(PLACEHOLDER.findall(entry.msgid)) | set(PLACEHOLDER.findall(entry.msgid_plural or ""))
        for text in texts(entry):
            used = set(PLACEHOLDER.findall(text))
            if used != known and not (entry.msgid_plural and used < known):
                wrong.append((entry.msgid, text))

    assert wrong == []


@every_catalogue
def test_the_compiled_catalogue_matches_its_source(app: str, language: str) -> None:
    compiled = polib.mofile(ROOT / app / "locale" / language / "LC_MESSAGES" / "django.mo")

    assert {entry.msgid: texts(entry) for entry in compiled} == {
        entry.msgid: texts(entry) for entry in catalogue(app, language)
    }, "run `make messages`"


@every_catalogue
def test_no_marked_text_is_missing(app: str, language: str) -> None:
    """xgettext does not see those inside an f-string, for one."""
    known = {entry.msgid for entry in catalogue(app, language)}

    assert {text for path in (ROOT / app).rglob("*.py") for text in marked(path) if text not in known} == set()


def marked(path: Path) -> Iterator[str]:
    """Yield the texts that are passed to a function of gettext."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name == "_" or name.removesuffix("_lazy").removesuffix("_noop") in ("gettext", "ngettext", "pgettext"):
                text = node.args[name.startswith("p")]
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value


@pytest.mark.parametrize("app", APPS)
def test_the_catalogues_have_the_texts_of_the_sources(tmp_path: Path, app: str) -> None:
    if shutil.which("xgettext") is None:
        pytest.skip("gettext is not installed.")
    copy = tmp_path / app
    shutil.copytree(ROOT / app, copy, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    command = [sys.executable, "-m", "django", "makemessages", "--locale", "de", "--locale", "es", "--no-obsolete"]

    environ = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(command, cwd=copy, env=environ, check=True, capture_output=True)

    for language in LANGUAGES:
        now, committed = catalogue(app, language, tmp_path), catalogue(app, language)
        assert {entry.msgid for entry in now} == {entry.msgid for entry in committed}, "run `make messages`"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "You can't rob yourself."),
        ("de", "Du kannst dich nicht selbst ausrauben."),
        ("es", "No puedes atracarte a ti mismo."),
        ("fr", "You can't rob yourself."),
    ],
)
def test_a_player_reads_their_own_language(language: str, sentence: str) -> None:
    with translation.override(language):
        assert failure_message("self_target") == sentence


@every_catalogue
def test_no_translation_replaces_one_of_django(app: str, language: str) -> None:
    """Catalogues of all apps are merged, so a text that Django also has would change Django's own pages."""
    ours = {entry.msgid: entry.msgstr for entry in catalogue(app, language) if not entry.msgctxt}
    changed: dict[str, tuple[str, str]] = {}
    for package in (django, rest_framework):
        for path in Path(package.__path__[0]).glob(f"**/locale/{language}/LC_MESSAGES/django.mo"):
            theirs = {entry.msgid: entry.msgstr for entry in polib.mofile(path) if not entry.msgctxt}
            changed |= {
                text: (ours[text], theirs[text])
                for text in ours.keys() & theirs.keys()
                if theirs[text] and ours[text] != theirs[text]
            }

    assert changed == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_of_several_catalogues_is_translated_alike(language: str) -> None:
    """Catalogues are merged: of two translations of one text, only one is shown."""
    found: dict[tuple[str, str], set[str]] = {}
    for app in APPS:
        for entry in catalogue(app, language):
            found.setdefault((entry.msgctxt or "", entry.msgid), set()).update(texts(entry)[:1])

    assert {text: translations for text, translations in found.items() if len(translations) > 1} == {}
