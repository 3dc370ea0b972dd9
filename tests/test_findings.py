"""Findings as they are stored: they come back as they were, from a text of any version."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchdigits.extract.chunk_builder import DigitSpot, ExtractedItem, StripPlacement
from batchdigits.predict import findings as stored
from batchdigits.predict.decoding import DecodedSign, DecodedStrip
from batchdigits.predict.findings import DigitPrediction, Finding, decode_findings, encode_findings
from batchdigits.predict.numbers import NumberDigit
from batchdigits.state.name_findings import name_findings
from batchdigits.state.raise_findings import raise_findings
from batchdigits.templates.field import Field

FIELDS = [
    Field(name="amount", box=(20.5, 30.0, 60.0, 9.25), cells=6, gap=0.33, decimals=2),
    Field(name="free", box=(0.1, 1 / 3, 40.0, 8.0), optional=True, min=-0.0, max=1e20),
    Field(name="id", box=(1.0, 2.0, 90.0, 10.0), cells=8, pattern=r"[0-9]{8}", check="mod97"),
]
FIELDS_3 = [
    Field(name="sum", label="Sum (EUR)", box=(1, 2, 70, 9), groups=(4, 2), separator=","),
    Field(name="born", box=(1, 2, 80, 9), date="DDMMYYYY", groups=(2, 2, 4), group_gap=4.5),
    Field(name="votes", box=(1, 2, 30, 9), cells=3, filler="x-"),
]
"""Fields as they may be from version 3 of the texts on."""

shares = st.floats(0, 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=12)
digit = st.integers(0, 9)
place = st.tuples(*[st.integers(-5, 9000)] * 4)
status = st.sampled_from([None, "blank", "review", "error"])
spots = st.builds(DigitSpot, status, words, place, st.just(""), st.just(False))
spots_3 = st.builds(DigitSpot, status, words, place, st.sampled_from(["", "x", ","]), st.booleans())
whole_reads = st.builds(
    DigitPrediction, digit, shares, digit, st.booleans(), st.lists(shares, min_size=10, max_size=10)
)
decoded = st.builds(
    DecodedStrip,
    st.lists(st.tuples(st.text("0123456789x", max_size=9), shares), max_size=12),
    st.lists(
        st.builds(DecodedSign, st.sampled_from("0123456789.-x"), st.integers(0, 400)), max_size=9
    ),
)
strips = st.builds(StripPlacement, *[st.tuples(numbers, numbers)] * 2, numbers, st.just(0))
strips_3 = st.builds(StripPlacement, *[st.tuples(numbers, numbers)] * 2, numbers, st.integers(0, 3))
digits = st.builds(NumberDigit, st.sampled_from("0123456789"), shares, words, shares, place)


@st.composite
def short_reads(draw: st.DrawFn) -> DigitPrediction:
    """A reading of an image of one digit, of which the runner-up's probability is kept alone."""
    second, likely = draw(digit), [0.0] * 10
    likely[second] = draw(shares)
    return DigitPrediction(draw(digit), draw(shares), second, draw(st.booleans()), likely)


@st.composite
def some_findings(draw: st.DrawFn, version: int = 3) -> Finding:
    later = version >= 3
    field = draw(st.sampled_from([None, *FIELDS, *(FIELDS_3 if later else ())]))
    places = draw(st.lists(spots_3 if later else spots, max_size=4))
    single = field is None and len(places) == 1
    reads = [draw(st.none() | (short_reads() if single else whole_reads)) for _ in places]
    head = (0, draw(st.integers(1, 9999)), draw(status), draw(words), field, tuple(places))
    strip = draw(st.none() | (strips_3 if later else strips))
    item = ExtractedItem(*head, strip, draw(st.booleans()))
    own = draw(st.lists(digits, max_size=4))
    return Finding(item, tuple(reads), draw(st.none() | decoded), tuple(own))


def encoded_1(findings: list[Finding]) -> str:
    """Write findings as version 1 did, which stays as it was."""
    return json.dumps([_written_1(one) for one in findings], separators=(",", ":"))


def _written_1(finding: Finding) -> list[Any]:
    item = finding.item
    field = item.field.model_dump_json(exclude_defaults=True) if item.field else None
    places = [
        [*spot[:3], _read_1(read, item) if read else None]
        for spot, read in zip(item.spots, finding.reads or [None] * len(item.spots), strict=True)
    ]
    number = finding.number and [finding.number.candidates, finding.number.signs]
    strip = item.number and item.number[:3]
    own = [item.page, item.status, item.detail, field, places, strip, item.described]
    return [*own, number, finding.digits]


def _read_1(read: DigitPrediction, item: ExtractedItem) -> Any:
    if item.field is not None or len(item.spots) > 1:
        return read
    return [*read[:4], {read.second: read.likely[read.second]}]


def alike(found: list[Finding], wanted: list[Finding]) -> None:
    assert found == wanted
    assert repr(found) == repr(wanted), "bit for bit: -0.0 equals 0.0"


@settings(max_examples=200, deadline=None)
@given(st.lists(some_findings(), max_size=4))
def test_what_is_stored_comes_back_as_it_was(findings: list[Finding]) -> None:
    text = encode_findings(findings)
    alike(decode_findings(text), findings)
    assert text.isascii()
    assert "\n" not in text


@settings(max_examples=200, deadline=None)
@given(st.lists(some_findings(version=1), max_size=4))
def test_what_version_1_stored_says_the_same(findings: list[Finding]) -> None:
    named = raise_findings(name_findings(encoded_1(findings)))
    alike(decode_findings(named), findings)
    assert json.loads(named) == json.loads(encode_findings(findings))


TEXTS = {
    "an image of one digit": (
        '[[1,null,"",null,[[null,"",[0,0,28,28],[7,0.9991,2,false,{"2":0.0004}]]],null,true,null,[]]]',
        '{"version":3,"findings":[{"spots":[{"place":[0,0,28,28],'
        '"read":{"digit":7,"confidence":0.9991,"likely":{"2":0.0004}}}]}]}',
    ),
    "a field of two boxes": (
        '[[3,null,"it is askew","{\\"name\\":\\"n\\",\\"box\\":[1.0,2.0,30.0,9.0],\\"cells\\":2}",'
        '[[null,"",[0,0,9,9],[1,0.5,7,true,[0.1,0.5,0,0,0,0,0,0.4,0,0]]],'
        '["blank","no ink",[9,0,9,9],null]],null,false,null,[]]]',
        '{"version":3,"findings":[{"page":3,"detail":"it is askew",'
        '"field":{"name":"n","box":[1.0,2.0,30.0,9.0],"cells":2},"spots":[{"place":[0,0,9,9],'
        '"read":{"digit":1,"confidence":0.5,"second":7,'
        '"likely":[0.1,0.5,0,0,0,0,0,0.4,0,0],"other":true}},'
        '{"place":[9,0,9,9],"status":"blank","detail":"no ink"}],"described":false}]}',
    ),
    "a number": (
        '[[1,null,"",null,[],[[1.5,2.0],[1.0,1.25],-0.5],true,'
        '[[["12",0.9],["17",0.1]],[["1",3],[".",5],["2",8]]],'
        '[["1",0.99,"",0.0,[1,2,3,4]],["2",0.9,"7",0.1,[5,2,3,4]]]]]',
        '{"version":3,"findings":[{"strip":{"origin":[1.5,2.0],"scale":[1.0,1.25],"slant":-0.5},'
        '"number":{"candidates":{"texts":["12","17"],"probabilities":[0.9,0.1]},'
        '"signs":{"names":["1",".","2"],"columns":[3,5,8]}},'
        '"digits":{"names":["1","2"],"confidences":[0.99,0.9],"runners_up":["","7"],'
        '"runner_up_confidences":[0.0,0.1],"places":[[1,2,3,4],[5,2,3,4]]}}]}',
    ),
    "a file that cannot be read": (
        '[[1,"error","it is empty",null,[],null,true,null,[]]]',
        '{"version":3,"findings":[{"status":"error","detail":"it is empty"}]}',
    ),
    "nothing": ("[]", '{"version":3,"findings":[]}'),
}


@pytest.mark.parametrize(("old", "new"), TEXTS.values(), ids=TEXTS.keys())
def test_texts_that_lie_in_states_are_read_for_ever(old: str, new: str) -> None:
    """These are on people's disks: a change that fails here needs a version and a migration."""
    assert raise_findings(name_findings(old)) == new
    assert encode_findings(decode_findings(new)) == new
    assert encoded_1(decode_findings(new)) == old


def test_what_version_3_added_is_read_for_ever() -> None:
    text = (
        '{"version":3,"findings":[{"field":{"name":"sum","box":[1.0,2.0,70.0,9.0],'
        '"label":"Sum","cells":6,"groups":[4,2],"group_gap":3.5,"separator":",","decimals":2,'
        '"filler":"x-"},"spots":[{"place":[0,0,9,9],"mark":"x"},'
        '{"place":[9,0,9,9],"point":true}]}]}'
    )
    (found,) = decode_findings(text)
    assert found.item.field is not None
    assert (found.item.field.groups, found.item.field.filler) == ((4, 2), "x-")
    assert [(spot.mark, spot.point) for spot in found.item.spots] == [("x", False), ("", True)]
    assert encode_findings([found]) == text


FULL = encode_findings(
    [
        Finding(
            ExtractedItem(
                *(0, 1, None, "", FIELDS[0], (DigitSpot(None, "", (0, 0, 9, 9)),)),
                StripPlacement((0.0, 0.0), (1.0, 1.0), 0.0),
            ),
            (DigitPrediction(1, 0.9, 7, False, [0.1] * 10),),
            DecodedStrip([("1", 0.9)], [DecodedSign("1", 3)]),
            (NumberDigit("1", 0.9, "7", 0.1, (0, 0, 9, 9)),),
        )
    ]
)
FIRST = ("findings", 0)
PLACES: list[tuple[str | int, ...]] = [
    (),
    FIRST,
    (*FIRST, "field"),
    (*FIRST, "spots", 0),
    (*FIRST, "spots", 0, "read"),
    (*FIRST, "strip"),
    (*FIRST, "number"),
    (*FIRST, "number", "candidates"),
    (*FIRST, "number", "signs"),
    (*FIRST, "digits"),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)) or "text")
def test_a_key_that_is_not_of_this_version_is_an_error(place: tuple[str | int, ...]) -> None:
    assert len(decode_findings(FULL)) == 1
    text = inner = json.loads(FULL)
    for key in place:
        inner = inner[key]
    inner["mood"] = "good"
    with pytest.raises(ValueError, match="version 3 has unknown keys: mood"):
        decode_findings(json.dumps(text))


@pytest.mark.parametrize("version", [1, 2, 4, None])
def test_a_text_of_another_version_is_an_error(version: int | None) -> None:
    text = json.dumps({"version": version, "findings": []})
    with pytest.raises(
        ValueError, match=f"expected stored findings of version 3, got .* {version}"
    ):
        decode_findings(text)


def test_all_that_a_field_has_is_stored() -> None:
    """An attribute that a template's fields get has to be stored, and needs a version."""
    assert set(Field.model_fields) == stored.FIELD_KEYS


def test_a_stored_field_is_taken_as_it_is_whatever_templates_must_be_by_now() -> None:
    """It was right when it was written, and its file may be gone."""
    text = FULL.replace('"cells":6', '"cells":60')
    with pytest.raises(ValueError, match="expected boxes of 1 mm or more"):
        Field(name="amount", box=(20.5, 30.0, 60.0, 9.25), cells=60, gap=0.33, decimals=2)
    (found,) = decode_findings(text)
    assert found.item.field is not None
    assert found.item.field.cells == 60
