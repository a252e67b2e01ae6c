"""Cards: the same bytes on both sides, and nothing that contradicts itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hisauto.approval.card import Card, Fact
from hisauto.errors import Invalid

BASE: dict[str, Any] = {
    "what": "approve",
    "run": "r-1",
    "plan_digest": "ab" * 32,
    "gate": "two-agree",
    "person": "dba-1",
    "at": "2026-11-23T03:00:00.000Z",
    "nonce": "00" * 16,
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def test_the_bytes_are_these() -> None:
    fact = Fact(name="replica", value={"lag": 0}, source="db2", taken_at="2026-11-23T02:59:59.000Z")
    card = Card(**BASE | {"question": "Promote db2?", "facts": (fact,)})
    assert card.message() == (
        b'{"answer":null,"at":"2026-11-23T03:00:00.000Z","break_glass":false,"facts":[{"known":true,"name":"replica",'
        b'"source":"db2","taken_at":"2026-11-23T02:59:59.000Z","value":{"lag":0}}],"format":"hisauto-card/1",'
        b'"gate":"two-agree","incident":null,"level":null,"nonce":"00000000000000000000000000000000","person":"dba-1",'
        b'"plan_digest":"abababababababababababababababababababababababababababababababab","question":"Promote db2?",'
        b'"reason":null,"run":"r-1","what":"approve"}'
    )


@given(VALUES)
def test_whatever_a_fact_holds_can_be_signed_and_read_back(value: Any) -> None:
    card = Card(**BASE | {"facts": (Fact(name="f", value=value, source="db1"),)})
    assert Card.parse(card.message()) == card


def test_a_number_that_json_cannot_hold_is_shown_as_text() -> None:
    assert Fact(name="system", value=[7234567890123456789, 7], source="db1").value == ["7234567890123456789", 7]


@pytest.mark.parametrize(
    "change",
    [
        {"what": "shout"},
        {"gate": None},
        {"what": "run"},
        {"what": "cancel"},
        {"what": "decide"},
        {"what": "reject", "answer": "adopt"},
        {"break_glass": True},
        {"break_glass": True, "incident": "i-1", "level": 1},
        {"break_glass": True, "reason": "now"},
        {"what": "reject", "break_glass": True, "incident": "i-1", "level": 1, "reason": "now"},
        {"incident": "i-1"},
        {"level": 1},
        {"incident": "i-1", "level": 0},
        {"person": ""},
        {"nonce": ""},
        {"run": 7},
        {"extra": 1},
        {"format": "hisauto-card/2"},
        {"facts": [{"name": "f", "value": 1, "source": "db1", "known": False}]},
        {"facts": [{"name": "f", "value": 1}]},
    ],
    ids=str,
)
def test_a_card_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    assert Card(**BASE)
    with pytest.raises(ValidationError):
        Card(**BASE | change)
    written = json.loads(Card(**BASE).message()) | change
    with pytest.raises(Invalid, match="not a card"):
        Card.parse(json.dumps(written, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"what": "run", "gate": None, "incident": "i-1", "level": 1},
        {"what": "cancel", "gate": None},
        {"what": "reject"},
        {"what": "decide", "answer": "again"},
        {"answer": "adopt"},
        {"break_glass": True, "incident": "i-1", "level": 1, "reason": "now"},
        {"facts": (Fact(name="loss", source="db1 is dead", known=False),)},
    ],
    ids=str,
)
def test_each_kind_of_card_can_be_made(change: dict[str, Any]) -> None:
    card = Card(**BASE | change)
    assert Card.parse(card.message()) == card


@pytest.mark.parametrize("message", [b"", b"null", b"[]", b"\xff", b"{", b"[" * 100_000])
def test_bytes_that_are_no_card(message: bytes) -> None:
    with pytest.raises(Invalid, match="not a card"):
        Card.parse(message)


def test_only_the_canonical_bytes_are_the_card() -> None:
    message = Card(**BASE).message()
    for other in (message + b"\n", message.replace(b":", b": ", 1), message.replace(b'"facts":[],', b"")):
        with pytest.raises(Invalid, match="canonical"):
            Card.parse(other)
    with pytest.raises(Invalid, match="canonical"):
        Card.parse(message.replace(b'"run":"r-1"', b'"run":"r-2","run":"r-1"'))


def test_a_refusal_does_not_repeat_what_it_read() -> None:
    with pytest.raises(Invalid) as raised:
        Card.parse(b'{"what":"a secret"}')
    assert "a secret" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "\ud800"},
        {"facts": [{"name": "f", "value": "\ud800", "source": "db1"}]},
        {"facts": [{"name": "f", "value": {"\ud800": 1}, "source": "db1"}]},
        {"facts": [{"name": "f", "value": b"bytes", "source": "db1"}]},
        {"facts": [{"name": "f", "value": object(), "source": "db1"}]},
    ],
    ids=range(5),
)
def test_what_is_not_text_is_not_signed(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Card.make(**BASE | change).message()


def test_a_card_is_made_of_plain_values() -> None:
    card = Card.make(**BASE | {"facts": [{"name": "f", "value": [1], "source": "db1"}]})
    assert card.facts == (Fact(name="f", value=[1], source="db1"),)
