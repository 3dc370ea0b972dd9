"""The card of a model: what it may say, and how a damaged one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from predict_models import CARD, ELEVEN, bundle, functional, kept, refused

from batchdigits.errors import ModelError
from batchdigits.predict import (
    Card,
    CarefulCard,
    fingerprint_model,
    load_card,
)


def test_a_card_is_read(tmp_path: Path) -> None:
    assert load_card(bundle(tmp_path, json.dumps(CARD))) == Card("house", 3, 1.25, 0.97, True, CARD)


def test_a_card_may_hold_readings_and_not_a_digit(tmp_path: Path) -> None:
    calibration = {"temperature": 1, "readings": [[0.99, 50, 0], [0.4, 3, 2]]}
    found = load_card(bundle(tmp_path, json.dumps(ELEVEN | {"calibration": calibration})))
    assert found.classes == (*"0123456789", "none")
    assert found.readings == ((0.99, 50, 0), (0.4, 3, 2))


def test_a_card_may_describe_a_careful_network(tmp_path: Path) -> None:
    whole = CARD | {"careful": {"gate": 0.995, "temperature": 1.5, "read again": 0.03}}
    found = load_card(bundle(tmp_path, json.dumps(whole)))
    assert found.careful == CarefulCard(gate=0.995, temperature=1.5)
    assert found.whole == whole
    assert load_card(bundle(tmp_path, json.dumps(CARD))).careful is None


def test_a_card_may_tell_by_how_much_the_odds_of_fields_rise(tmp_path: Path) -> None:
    careful = {"gate": 0.9, "temperature": 1.0, "field_odds": 1.5, "field_power": 1.2}
    found = load_card(bundle(tmp_path, json.dumps(CARD | {"careful": careful})))
    assert found.careful == CarefulCard(0.9, 1.0, 1.5, 1.2)
    for key in ("field_odds", "field_power"):
        none = CARD | {"careful": careful | {key: 0}}
        with pytest.raises(ModelError, match=f"{key} above 0, got 0"):
            load_card(bundle(tmp_path, json.dumps(none)))


def test_each_file_of_a_bundle_is_in_its_fingerprint(tmp_path: Path) -> None:
    """By it a run knows whether what is kept was read by the same model."""
    bundle(tmp_path, json.dumps(CARD))
    (tmp_path / "model.keras").write_bytes(b"quick")
    seen = [fingerprint_model(str(tmp_path))]
    assert fingerprint_model(str(tmp_path)) == seen[0]
    careful = tmp_path / "careful.keras"
    for data in (b"careful", b"another"):
        careful.write_bytes(data)
        seen.append(fingerprint_model(str(tmp_path)))
    reader = careful.rename(tmp_path / "number.keras")
    seen.append(fingerprint_model(str(tmp_path)))
    assert len(set(seen)) == 4
    reader.unlink()
    assert fingerprint_model(str(tmp_path)) == seen[0]


def test_a_plain_file_is_taken_as_uncalibrated(keras: Any, tmp_path: Path) -> None:
    place = kept(functional(keras), tmp_path)
    assert load_card(place) == Card("model.keras", None, 1.0, 0.95, False, {})


@pytest.mark.parametrize(
    "change",
    [
        {"classes": list(range(10))},
        {"threshold": 0},
        {"threshold": 1},
        {"more": None},
        {"careful": None},
        {"careful": {"gate": 0, "temperature": 1}},
        {"careful": {"gate": 1, "temperature": 0.1, "more": "for people"}},
    ],
    ids=[
        *("classes as numbers", "lowest threshold", "highest threshold", "more than is known"),
        *("no careful network", "lowest gate", "highest gate"),
    ],
)
def test_what_a_card_may_say(tmp_path: Path, change: dict[str, Any]) -> None:
    assert load_card(bundle(tmp_path, json.dumps(CARD | change))).name == "house"


def without(name: str) -> str:
    return json.dumps({key: value for key, value in CARD.items() if key != name})


def but(**change: Any) -> str:
    return json.dumps(CARD | change)


def calibration(temperature: Any) -> str:
    return but(calibration={"temperature": temperature})


def readings(listed: Any) -> str:
    return but(calibration={"temperature": 1, "readings": listed})


def careful(**change: Any) -> str:
    return but(careful={"gate": 0.75, "temperature": 1.5} | change)


DAMAGED: list[Any] = [
    pytest.param("", "JSONDecodeError", id="empty"),
    pytest.param(json.dumps(CARD)[:40], "JSONDecodeError", id="cut off"),
    pytest.param(b"\xff\xfe{}", "UnicodeDecodeError", id="not UTF-8"),
    pytest.param("[]", "cannot be used", id="a list"),
    pytest.param("null", "cannot be used", id="nothing"),
    pytest.param(without("name"), "'name'", id="no name"),
    pytest.param(without("classes"), "'classes'", id="no classes"),
    pytest.param(without("preprocessing"), "'preprocessing'", id="no preprocessing"),
    pytest.param(without("calibration"), "'calibration'", id="no calibration"),
    pytest.param(without("threshold"), "'threshold'", id="no threshold"),
    pytest.param(but(calibration={}), "'temperature'", id="no temperature"),
    pytest.param(but(calibration=None), "cannot be used", id="calibration is nothing"),
    pytest.param(but(threshold="high"), "high", id="threshold in words"),
    pytest.param(but(preprocessing=None), "cannot be used", id="preprocessing is nothing"),
    pytest.param(but(classes=None), "cannot be used", id="classes are nothing"),
    pytest.param(but(classes=list("0123456798")), "classes 0 to 9", id="classes in other order"),
    pytest.param(but(classes=list("01234567")), "classes 0 to 9", id="eight classes"),
    pytest.param(but(classes=["cat", "dog"]), "cat, dog", id="other classes"),
    pytest.param(but(threshold=1.01), "1.01", id="threshold over 1"),
    pytest.param(but(threshold=-0.01), "-0.01", id="threshold under 0"),
    pytest.param(but(threshold=float("nan")), "nan", id="threshold NaN"),
    pytest.param(calibration(float("nan")), "nan", id="temperature NaN"),
    pytest.param(calibration(float("inf")), "inf", id="temperature infinite"),
    pytest.param(calibration(0), "0.0", id="temperature 0"),
    pytest.param(calibration(-1), "-1.0", id="temperature below 0"),
    pytest.param(but(preprocessing=float("inf")), "card", id="version inf"),
    pytest.param(calibration(10**400), "card", id="temperature 1e400"),
    pytest.param("[" * 100_000, "card", id="very deep"),
    pytest.param(but(classes=[*"0123456789", "other"]), "'none'", id="another eleventh class"),
    pytest.param(but(classes=["none", *"0123456789"]), "'none'", id="not a digit comes first"),
    pytest.param(readings([[1.01, 1, 1]]), "1.01", id="confidence over 1"),
    pytest.param(readings([[float("nan"), 1, 1]]), "nan", id="confidence NaN"),
    pytest.param(readings([[0.5, -1, 1]]), "-1", id="less than no values"),
    pytest.param(readings([[0.5, 1]]), "cannot be used", id="a reading of two numbers"),
    pytest.param(readings([0.5]), "cannot be used", id="readings without counts"),
    pytest.param(readings(3), "cannot be used", id="readings are a number"),
    pytest.param(readings([["high", 1, 1]]), "high", id="confidence in words"),
    pytest.param(but(calibration=[]), "cannot be used", id="calibration is a list"),
    pytest.param(but(classes=["a\nb"]), "classes", id="line break"),
    pytest.param(but(classes=["a"] * 999), "classes", id="999 classes"),
    pytest.param(
        careful(temperature=0),
        "careful: expected a temperature above 0 and a gate from 0 to 1, got 0.0 and 0.75",
        id="careful temperature 0",
    ),
    pytest.param(careful(temperature=-2), "careful: expected", id="careful temperature below 0"),
    pytest.param(careful(temperature=float("nan")), "got nan", id="careful temperature NaN"),
    pytest.param(careful(temperature=float("inf")), "got inf", id="careful temperature inf"),
    pytest.param(careful(temperature="high"), "careful.temperature: ", id="careful in words"),
    pytest.param(careful(gate=1.01), "got 1.5 and 1.01", id="gate over 1"),
    pytest.param(careful(gate=-0.01), "got 1.5 and -0.01", id="gate under 0"),
    pytest.param(careful(gate=float("nan")), "got 1.5 and nan", id="gate NaN"),
    pytest.param(careful(gate=None), "careful.gate: ", id="gate is nothing"),
    pytest.param(but(careful={"temperature": 1}), "careful: expected 'gate'", id="no gate"),
    pytest.param(
        but(careful={"gate": 1}), "careful: expected 'temperature'", id="no careful temperature"
    ),
    pytest.param(but(careful=[0.5, 1]), "careful: expected an object", id="careful is a list"),
]


@pytest.mark.parametrize(("content", "word"), DAMAGED)
def test_a_damaged_card_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, word: str
) -> None:
    said = refused(bundle(tmp_path, content))
    assert str(tmp_path / "card.json") in said
    assert word in said


def test_a_card_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.json").mkdir()
    assert "cannot be used" in refused(str(tmp_path))
