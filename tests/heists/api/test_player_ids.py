"""Player ids in JSON and in paths, for each type of key that a host's users may have."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

import pytest
from django.db import models

from heists import user_model
from heists.api import player_ids

ID = "6f1c2b3a-0000-4000-8000-00000000000a"


class Case(NamedTuple):
    """A key's field, ids that are its keys, ids and path segments that are none, and the schema of an id."""

    field: models.Field[Any, Any]
    good: list[tuple[Any, Any]]
    bad: list[Any]
    bad_paths: list[str]
    schema: dict[str, Any]


NO_NUMBERS = ["01", "00", "-0", "-01", "+1", "1.0", "1_0", " 1", "1 ", "1\n", "٣", "²", "", "x", "1" * 20, "9" * 5000]
CASES = {
    "big integer": Case(
        models.BigAutoField(),
        [(1, 1), (0, 0), (-5, -5), (10, 10), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))],
        ["1", True, False, 1.0, 2**63, -(2**63) - 1, None, [], {}, "x", "", "None"],
        [*NO_NUMBERS, str(2**63), str(-(2**63) - 1), "True", "None"],
        {"type": "integer", "format": "int64"},
    ),
    "small integer": Case(
        models.SmallIntegerField(), [(7, 7)], [1.5, 2**63], NO_NUMBERS, {"type": "integer", "format": "int64"}
    ),
    "UUID": Case(
        models.UUIDField(),
        [(ID, uuid.UUID(ID)), (ID.upper(), uuid.UUID(ID))],
        [1, ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f" {ID}", "x", "", "\ud800", "None", None, [ID], True],
        ["1", ID.replace("-", ""), f"{{{ID}}}", "x", ""],
        {"type": "string", "format": "uuid"},
    ),
    "text": Case(
        models.CharField(max_length=8),
        [(text, text) for text in ("alice", "Alice", "ä", " ", "12", "0", "-7", "007", "a/b", "x" * 8)],
        [1, 0, "", "x" * 9, "\x00", "\ud800", None, [], True],
        ["", "x" * 9, "\x00"],
        {"type": "string", "minLength": 1, "maxLength": 8},
    ),
    "text without a limit": Case(
        models.TextField(), [("x" * 300, "x" * 300)], ["", 1], [""], {"type": "string", "minLength": 1}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_id_has_the_type_of_the_hosts_key(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    for module in (player_ids, user_model):
        monkeypatch.setattr(module, "key_field", lambda: case.field)

    assert player_ids.json_schema() == case.schema
    for value, key in case.good:
        for read in (player_ids.from_json(value), player_ids.from_path(str(value))):
            assert (type(read), read) == (type(key), key)
        written = value.lower() if isinstance(key, uuid.UUID) else value
        assert (type(player_ids.to_json(key)), player_ids.to_json(key)) == (type(written), written)
    for value in case.bad:
        with pytest.raises(ValueError):
            player_ids.from_json(value)
    for text in case.bad_paths:
        with pytest.raises(ValueError):
            player_ids.from_path(text)
