"""Which user names are too much like another one (docs/specification.md, "HTTP API")."""

from __future__ import annotations

import unicodedata

# Alphabets whose letters look like each other's. A name has letters of one of them at most.
ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
# Latin letters, and the letters of other alphabets that look like them.
LOOK_ALIKES = (
    dict(zip("aceopxyijskbhmt", "асеорхуіјѕквнмт", strict=True)),
    dict(zip("aoxyiktvp", "αοχγικτνρ", strict=True)),
)


def mixes_alphabets(name: str) -> bool:
    """Return whether a name has letters of two alphabets that look alike."""
    first_words = {unicodedata.name(letter, "").split(" ")[0] for letter in name if letter.isalpha()}
    return len(first_words.intersection(ALPHABETS)) > 1


def look_alikes(name: str) -> list[str]:
    """Return the name in lower case, and what looks the same in another alphabet."""
    name = name.casefold()
    found = [name]
    for latin in LOOK_ALIKES:
        for letters in (latin, {other: letter for letter, other in latin.items()}):
            if all(letter in letters for letter in name if letter.isalpha()):
                found.append("".join(letters.get(letter, letter) for letter in name))
    return list(dict.fromkeys(found))
