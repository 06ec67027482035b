"""A signed letter says what was signed and nothing else; a sealed one lies where it was left, as it was left."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain import proofs
from dagctl_provider.domain.proofs import Place, ProofError, SigningKey

KEY = SigningKey.new()
KEYS = dict([proofs.read_public_key(KEY.public)])
PLACE = Place("dag", "run", "task", "result", "try-1")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
letters = st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda name: name not in ("seal", "try_id")), values, max_size=4)


@given(letters)
def test_what_was_signed_is_read(letter: dict[str, Any]) -> None:
    signed = json.loads(json.dumps(proofs.sign(KEY, "grant", letter)))
    assert proofs.verified(KEYS, "grant", signed) == letter
    with pytest.raises(ProofError):
        proofs.verified(KEYS, "decision", signed)
    with pytest.raises(ProofError):
        proofs.verified({}, "grant", signed)


@given(letters, st.data())
def test_one_changed_character_is_enough(letter: dict[str, Any], data: st.DataObject) -> None:
    signed = proofs.sign(KEY, "grant", letter)
    name = data.draw(st.sampled_from(sorted(signed)))
    at = data.draw(st.integers(0, len(signed[name]) - 1))
    other = chr(ord(signed[name][at]) ^ 1)
    with pytest.raises(ProofError):
        proofs.verified(KEYS, "grant", {**signed, name: signed[name][:at] + other + signed[name][at + 1 :]})


@given(values | st.dictionaries(st.sampled_from(["payload", "signature", "key_id"]), values))
def test_hostile_letters_are_one_error(letter: Any) -> None:
    with pytest.raises(ProofError):
        proofs.verified(KEYS, "grant", letter)


@pytest.mark.parametrize("text", ["", "%", "bm90IGEga2V5", "ü", "A" * 1000])
def test_what_is_no_key_is_said(text: str) -> None:
    with pytest.raises(ProofError, match="no public key"):
        proofs.read_public_key(text)


def test_the_private_half_is_not_shown() -> None:
    assert repr(KEY) == f"SigningKey({KEY.id})"


@given(letters, letters)
def test_a_seal_holds_for_one_letter(letter: dict[str, Any], other: dict[str, Any]) -> None:
    sealed = json.loads(json.dumps(proofs.sealed("key", PLACE, letter)))
    assert proofs.unsealed("key", PLACE, sealed)
    assert not proofs.unsealed("other key", PLACE, sealed)
    assert not proofs.unsealed("key", PLACE, letter)
    if other != letter:
        assert not proofs.unsealed("key", PLACE, {**other, "seal": sealed["seal"], "try_id": sealed["try_id"]})


@pytest.mark.parametrize("field", [field.name for field in fields(Place)])
def test_and_at_one_place(field: str) -> None:
    sealed = proofs.sealed("key", PLACE, {"outcome": "succeeded"})
    elsewhere = replace(PLACE, **{field: "another"})
    assert not proofs.unsealed("key", elsewhere, sealed)
    assert not proofs.unsealed("key", elsewhere, {**sealed, "try_id": elsewhere.try_id})


@pytest.mark.parametrize("seal", [None, 1, "", "ü", ["x"]])
def test_what_is_no_seal_is_none(seal: Any) -> None:
    assert not proofs.unsealed("key", PLACE, {**proofs.sealed("key", PLACE, {}), "seal": seal})


def test_a_key_for_one_purpose_is_none_for_another() -> None:
    keys = {proofs.derived("key"), proofs.derived("key", "a"), proofs.derived("key", "a", "b"), proofs.derived("key", "ab")}
    assert len(keys) == 4


@given(st.binary(max_size=200))
def test_what_is_locked_for_a_try_is_opened_by_it_alone(content: bytes) -> None:
    text = proofs.locked("key", "try-1", content)
    assert proofs.opened("key", "try-1", text) == content
    assert text != proofs.locked("key", "try-1", content), "the same twice looks different"
    for secret, try_id, changed in (
        ("other", "try-1", text),
        ("key", "try-2", text),
        ("key", "try-1", text[:-8] + "AAAAAAA="),
        ("key", "try-1", ""),
        ("key", "try-1", "no base64"),
    ):
        with pytest.raises(ProofError):
            proofs.opened(secret, try_id, changed)
