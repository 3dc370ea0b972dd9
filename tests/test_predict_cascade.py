"""Two networks in one bundle: which pictures the careful one reads, and what becomes of that."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from predict_models import (
    CARD,
    Pictures,
    bundle,
    functional,
    kept,
    one_line,
    pictures,
    two_networks,
)

from batchdigits import predict
from batchdigits.calibrate import predict_digits
from batchdigits.errors import ModelError
from batchdigits.extract.chunk_builder import DigitSpot, ExtractedChunk, ExtractedItem
from batchdigits.extract.tasks import Task
from batchdigits.predict import (
    CAREFUL_FILE,
    MODEL_BATCH_SIZE,
    Card,
    CarefulCard,
    Cascade,
    find_doubted,
    load_card,
    load_classifier,
    load_network,
)
from batchdigits.predict.predictor import Predictor
from batchdigits.records import Source

Logits = NDArray[np.float32]


class Fixed:
    """Gives for picture n, whose first pixel is n / 255, row n of its logits; notes each n."""

    device = "fake:0"

    def __init__(self, rows: Logits) -> None:
        self.rows, self.read = rows, list[list[int]]()

    def logits(self, some: Pictures) -> Logits:
        numbers = np.rint(some[:, 0, 0, 0] * 255).astype(int)
        self.read.append(numbers.tolist())
        return self.rows[numbers]


def numbered(*numbers: int) -> Pictures:
    out = np.zeros((len(numbers), 28, 28, 1), np.float32)
    out[:, 0, 0, 0] = np.array(numbers) / 255
    return out


def sure(*confidences: float, classes: int = 10, temperature: float = 1.0) -> Logits:
    """Return logits by which the digit 3 has these confidences at a temperature."""
    share = np.array(confidences)
    out = np.zeros((len(share), classes))
    out[:, 3] = np.log(share / (1 - share) * (classes - 1)) * temperature
    return out.astype(np.float32)


def joined(quick: Fixed, careful: Fixed, gate: float, temperature: float, own: float) -> Cascade:
    return Cascade(quick, lambda: careful, CarefulCard(gate, own), temperature)


# --- which pictures are read again ---


@pytest.mark.parametrize(
    ("gate", "doubted"),
    [
        (0.0, []),
        (0.2, []),
        (0.21, [2]),
        (0.9, [0, 2]),
        (0.91, [0, 1, 2]),
        (0.9999, [0, 1, 2]),  # no confidence in a table is higher
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_what_is_less_sure_than_the_gate_is_read_again(gate: float, doubted: list[int]) -> None:
    rows = sure(0.5, 0.90001, 0.20001, 0.999999)
    assert np.flatnonzero(find_doubted(rows, 1.0, gate)).tolist() == doubted
    quick, careful = Fixed(rows), Fixed(sure(0.7, 0.7, 0.7, 0.7))
    joined(quick, careful, gate, 1.0, 1.0).logits(numbered(0, 1, 2, 3))
    assert quick.read == [[0, 1, 2, 3]]
    assert careful.read == ([doubted] if doubted else [])


def test_doubt_is_by_the_quick_network_s_temperature() -> None:
    rows = sure(0.6, 0.95, temperature=3.0)
    assert find_doubted(rows, 3.0, 0.9).tolist() == [True, False]
    assert find_doubted(rows, 1.0, 0.9).tolist() == [False, False]


def test_what_is_taken_for_no_digit_is_read_again() -> None:
    """Its digit's confidence is low, however sure it is that there is none."""
    none = np.zeros((1, 11), np.float32)
    none[0, 10] = 30
    assert find_doubted(none, 1.0, 0.5).all()


def test_logits_of_the_careful_network_are_scaled_and_the_others_stay() -> None:
    """So that one temperature, the quick network's, is right for all."""
    before, again = sure(0.99, 0.4, 0.98, 0.3, temperature=1.5), sure(*[0.8] * 4, temperature=0.5)
    quick, careful = Fixed(before), Fixed(again)
    found = joined(quick, careful, 0.9, 1.5, 0.5).logits(numbered(3, 2, 1, 0))
    assert careful.read == [[3, 1]]
    assert found.dtype == np.float32
    assert (found[[1, 3]] == before[[2, 0]]).all()
    np.testing.assert_allclose(found[[0, 2]], again[[3, 1]] * 3)
    assert predict_digits(found, 1.5).confidence[[0, 2]] == pytest.approx([0.8, 0.8], abs=1e-4)


def test_the_careful_network_is_loaded_once_and_only_for_doubt() -> None:
    loaded = []
    careful = Fixed(sure(0.7, 0.7))

    def load() -> Fixed:
        loaded.append(1)
        return careful

    cascade = Cascade(Fixed(sure(0.99, 0.2)), load, CarefulCard(0.9, 1.0), 1.0)
    assert cascade.device == "fake:0"
    cascade.logits(numbered())
    cascade.logits(numbered(0, 0, 0))
    assert loaded == []
    for _ in range(3):
        cascade.logits(numbered(0, 1))
    assert loaded == [1]
    assert careful.read == [[1]] * 3


# --- several looks at the boxes of a field ---


class Moved:
    """Gives fixed logits to each of its calls, in order; keeps the pictures that it was given."""

    device = "fake:0"

    def __init__(self, *rows: Logits) -> None:
        self.rows, self.seen = list(rows), list[Pictures]()

    def logits(self, some: Pictures) -> Logits:
        self.seen.append(some)
        return self.rows[len(self.seen) - 1]


def read_field(
    quick: Logits, careful: list[Logits], odds: float = 1.0, power: float = 1.0
) -> float:
    """Return how sure a box of a field is of its likeliest digit."""
    card = CarefulCard(0.9, 1.0, odds, power)
    cascade = Cascade(Moved(quick), lambda: Moved(*careful), card, 1.0)
    found = predict_digits(cascade.read_fields(np.zeros((1, 28, 28, 1), np.float32)), 1.0)
    return float(found.likely.max())


@pytest.mark.parametrize(
    ("odds", "power", "expected", "why"),
    [
        (1.0, 1.0, 0.9, "looks that agree are as sure as each"),
        (1.5, 1.0, 13.5 / 14.5, "odds of 9 to 1 become 13.5 to 1"),
        (1.0, 2.0, 81 / 82, "odds of 9 to 1 become 81 to 1"),
        (0.5, 2.0, 40.5 / 41.5, "the factor comes after the power"),
    ],
)
def test_looks_that_agree_raise_the_odds_by_the_card(
    odds: float, power: float, expected: float, why: str
) -> None:
    found = read_field(sure(0.9), [sure(0.9)] * 3, odds, power)
    assert found == pytest.approx(expected, abs=1e-6), why


def test_one_sure_look_does_not_outvote_three_in_doubt() -> None:
    assert 0.5 < read_field(sure(0.999), [sure(0.5)] * 3) < 0.9


def test_looks_that_disagree_leave_doubt() -> None:
    """Each is sure, of a 3 or of a 5: so mistakes of one network are not `ok`."""
    five = np.roll(sure(0.999), 2, axis=1)
    assert read_field(sure(0.999), [five, sure(0.999), five]) < 0.6


def test_what_is_most_likely_no_digit_gets_no_better_odds() -> None:
    none = np.zeros((1, 11), np.float32)
    none[0, 10] = 3
    plain, raised = (read_field(none, [none] * 3, odds, odds) for odds in (1.0, 2.0))
    assert plain == raised


def test_the_careful_network_looks_at_leaning_pictures_too() -> None:
    upright = np.zeros((1, 28, 28, 1), np.float32)
    upright[:, 4:24, 13:15] = 1
    careful = Moved(*[sure(0.9)] * 3)
    Cascade(Moved(sure(0.9)), lambda: careful, CarefulCard(0.9, 1.0), 1.0).read_fields(upright)
    same, right, left = (seen[0, ..., 0] for seen in careful.seen)
    assert (same == upright[0, ..., 0]).all()
    columns = np.arange(28)
    top, middle, foot = (
        [float(one[row] @ columns / one[row].sum()) for one in (left, same, right)]
        for row in (5, 13, 22)
    )
    assert top[0] < top[1] - 0.5 < top[2] - 1
    assert foot[0] > foot[1] + 0.5 > foot[2] + 1
    assert np.ptp(middle) < 0.2


def test_fields_of_several_boxes_are_looked_at_several_times_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lone digit has one confidence, whether it is a file of its own or a box."""
    quick, careful = Fixed(sure(*[0.99] * 4)), Fixed(sure(*[0.6] * 4))
    cascade = Cascade(quick, lambda: careful, CarefulCard(0.9, 1.0), 1.0)
    monkeypatch.setattr("batchdigits.predict.load_classifier", lambda *_, **__: cascade)
    spot = DigitSpot(None, "", (0, 0, 9, 9))
    blank = spot._replace(status="blank")
    rows = [(spot,), (spot, blank, spot), (spot,)]
    items = [ExtractedItem(0, 1, None, "", None, spots) for spots in rows]
    some = np.rint(numbered(0, 1, 2, 3) * 255).astype(np.uint8)
    card = Card("fake", 2, 1.0, 0.9, True, {})
    batch = [([Task(Source("", ""))], ExtractedChunk(items, some))]
    (chunk,) = Predictor(card, "cpu").predict_batch(batch)
    (found,) = chunk.list_findings()
    reads = [[read and round(read.confidence, 1) for read in one.reads] for one in found.findings]
    lone, (first, none, last), other = reads
    assert lone == other == [1.0]
    assert none is None
    assert first == last < 0.9
    assert careful.read[0] == [1, 2]


# --- a bundle of two networks ---


@pytest.fixture(scope="module")
def two(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return two_networks(keras, tmp_path_factory.mktemp("two"), doubted=0.3)


def test_a_bundle_s_logits_are_those_of_the_network_that_each_picture_goes_to(two: str) -> None:
    card, some = load_card(two), pictures(600)
    assert card.careful is not None
    quick = load_network(card, card.network, device="cpu").logits(some)
    careful = load_network(card, card.place / CAREFUL_FILE, device="cpu").logits(some)
    doubted = find_doubted(quick, card.temperature, card.careful.gate)
    assert 0.25 < doubted.mean() < 0.35
    found = load_classifier(card, device="cpu").logits(some)
    assert (found[~doubted] == quick[~doubted]).all()
    scale = card.temperature / card.careful.temperature
    np.testing.assert_allclose(found[doubted], careful[doubted] * scale, rtol=1e-4, atol=1e-6)
    assert np.abs(found[doubted] - quick[doubted]).max() > 0.01, "they are two"


@pytest.mark.parametrize("count", [1, 31, 33, MODEL_BATCH_SIZE + 1])
def test_a_picture_has_the_same_bits_however_many_are_read_at_once(two: str, count: int) -> None:
    classifier, some = load_classifier(load_card(two), device="cpu"), pictures(600)
    whole = classifier.logits(some)
    parts = [classifier.logits(some[at : at + count]) for at in range(0, 600, count)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_only_what_is_needed_is_loaded(two: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = predict.load_keras_model

    def note(place: Path) -> Any:
        loaded.append(place.name)
        return load(place)

    monkeypatch.setattr(predict, "load_keras_model", note)
    card, some = load_card(two), pictures(600)
    assert card.careful is not None
    classifier = load_classifier(card, device="cpu")
    quick = load_network(card, card.network, device="cpu").logits(some)
    doubted = find_doubted(quick, card.temperature, card.careful.gate)
    loaded.clear()
    classifier.logits(some[~doubted])
    assert loaded == []
    classifier.logits(some)
    classifier.logits(some)
    assert loaded == [CAREFUL_FILE]


def test_a_bundle_without_its_careful_network_is_refused_in_one_line(
    keras: Any, tmp_path: Path
) -> None:
    (Path(two_networks(keras, tmp_path)) / CAREFUL_FILE).unlink()
    with pytest.raises(ModelError) as caught:
        load_classifier(load_card(str(tmp_path)), device="cpu")
    said = one_line(caught.value)
    assert str(tmp_path) in said
    assert "expected careful.keras, which its card describes" in said


def no_model(keras: Any, place: Path) -> None:
    place.write_bytes(b"no model")


def eleven_outputs(keras: Any, place: Path) -> None:
    layers = keras.layers
    keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(11)]).save(place)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(no_model, "cannot be loaded"), (eleven_outputs, "10 outputs")],
    ids=["no model", "another number of classes"],
)
def test_a_careful_network_that_cannot_be_used_is_refused_in_one_line(
    keras: Any, tmp_path: Path, damage: Any, words: str
) -> None:
    place = two_networks(keras, tmp_path)
    damage(keras, tmp_path / CAREFUL_FILE)
    with pytest.raises(ModelError) as caught:
        load_classifier(load_card(place), device="cpu").logits(pictures(600))
    said = one_line(caught.value)
    assert str(tmp_path / CAREFUL_FILE) in said
    assert words in said


def test_a_careful_network_that_no_card_tells_of_is_not_used(keras: Any, tmp_path: Path) -> None:
    model = functional(keras)
    kept(model, tmp_path)
    no_model(keras, tmp_path / CAREFUL_FILE)
    card = load_card(bundle(tmp_path, json.dumps(CARD)))
    some = pictures(2)
    found = load_classifier(card, device="cpu").logits(some)
    np.testing.assert_allclose(found, model.predict_on_batch(some[..., 0]), rtol=1e-5, atol=1e-5)
