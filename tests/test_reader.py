"""The reader of numbers: what it learns from, its loss, its training, and its place in a bundle."""

import json
import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_sets import pen_set

from batchdigits import calibrate, cli, predict, report
from batchdigits.cli import words
from batchdigits.errors import ModelError
from batchdigits.labelled import NO_DIGIT_LABEL, LabelledCrops
from batchdigits.normalize.strips import HEIGHT, strip
from batchdigits.predict import NumberReader
from batchdigits.predict.decoding import DecodedSign, DecodedStrip, decode_logits
from batchdigits.training import (
    bundle,
    corpus,
    material,
    number_bundle,
    number_data,
    numbers,
    reading,
    strings,
)
from batchdigits.training.corpus import Corpus
from batchdigits.training.lines import FLOURISH, OTHER, SEPARATOR, in_row
from batchdigits.training.lines import Sign as Written
from batchdigits.training.material import Material, Real
from batchdigits.training.numbers import Plan
from batchdigits.training.paper import rescanned
from batchdigits.training.reader import BLANK, CLASSES, STRIDE, loss, network
from batchdigits.training.signs import stacked, struck
from batchdigits.training.strokes import drawn as stroked
from batchdigits.training.strokes import writer


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def digits() -> Corpus:
    crops = [drawn(n % 10, seed=n // 10) for n in range(60)]
    return corpus.gather({"drawn": LabelledCrops(crops, np.arange(60) % 10, [""] * 60)})


# --- strings that are composed ---


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_composed_string_is_a_scan_with_its_labels(digits: Corpus, seed: int) -> None:
    hands = strings.Hands(digits)
    scan, labels = hands.strip(random(seed))
    again, same = hands.strip(random(seed))
    assert scan.dtype == np.uint8
    assert scan.ndim == 2
    assert min(scan.shape) >= 8
    assert labels == same
    assert np.array_equal(scan, again)
    assert 1 <= len(labels) <= 40
    assert set(labels) <= {*range(10), SEPARATOR, FLOURISH, OTHER}


def test_strings_are_composed_of_what_a_pen_wrote_too() -> None:
    none = np.where(np.arange(40) % 13 == 12, NO_DIGIT_LABEL, np.arange(40) % 10)
    written = replace(pen_set(40), labels=none)
    hands = strings.Hands(corpus.gather({"pen": written}))
    labels = set()
    for seed in range(40):
        scan, said = hands.strip(random(seed))
        assert np.array_equal(scan, hands.strip(random(seed))[0])
        assert not strip(scan).fault
        labels |= set(said)
    assert labels >= {*range(10)}


def test_a_string_that_a_pen_wrote_is_drawn_with_its_labels() -> None:
    points = np.array([[0, 0], [0, 0.4]], np.float32)
    string = strings.PenString(
        tuple(np.add(points, (x, 0)) for x in (-0.5, -0.2, 0.1)), [1, SEPARATOR, 1, 1]
    )
    digits = corpus.gather({"pen": pen_set(40)})
    hands, chance = strings.Hands(digits, written=[string]), random(1)
    some = [hands.written(chance) for _ in range(100)]
    drawn_by_pen = [one for one in some if one.labels == string.labels]
    assert 5 <= len(drawn_by_pen) <= 30
    for one in drawn_by_pen:
        count, _ = cv2.connectedComponents((one.ink > 100).astype(np.uint8), connectivity=8)
        assert count - 1 == 3


def test_strings_have_all_that_amounts_have(digits: Corpus) -> None:
    hands, chance = strings.Hands(digits), random(3)
    some = [hands.written(chance) for _ in range(300)]
    lengths = [sum(label < 10 for label in one.labels) for one in some]
    assert {1, 2, 3, 4, 5, 6, 7} <= set(lengths)
    assert max(lengths) <= 20
    for sign in (*range(10), SEPARATOR, FLOURISH, OTHER):
        assert any(sign in one.labels for one in some)
    assert any(one.boxed for one in some)


def test_boxes_hold_a_digit_each(digits: Corpus) -> None:
    hands, chance = strings.Hands(digits), random(4)
    some = [one for one in (hands.written(chance) for _ in range(300)) if one.boxed]
    for one in some:
        assert len(one.boxed) == len(one.labels) + 1
        for left, right in zip(one.boxed, one.boxed[1:], strict=False):
            assert (one.ink[:, left:right] > 100).any()


@pytest.mark.parametrize(("labels", "taken"), [(range(10), True), ([1] * 10, False)])
def test_a_favourite_source_is_taken_if_it_has_all_digits(
    digits: Corpus, labels: list[int], taken: bool
) -> None:
    bars = [np.full((40, 3), 255, np.uint8)] * 10
    sources = np.concatenate([digits.sources, np.ones(10, np.int64)])
    known = np.concatenate([digits.labels, np.array(labels)])
    hands = strings.Hands(Corpus([*digits.inks, *bars], digits.plain, known, sources), 1.0)
    chance = random(0)
    plain = [one for one in (hands.written(chance) for _ in range(80)) if max(one.labels) < 10]
    narrow = [one.ink.shape[1] / one.ink.shape[0] / len(one.labels) < 0.5 for one in plain]
    assert (np.mean(narrow) > 0.5) == taken


@pytest.mark.parametrize("seed", range(8))
def test_signs_stand_in_order(seed: int) -> None:
    bars = [Written(1, np.full((40, wide), 255, np.uint8)) for wide in (4, 30, 8)]
    ink = in_row(bars, random(seed)).ink
    assert (ink > 100).any()
    found = in_row(bars[:1], random(seed)).ink
    assert found.shape[1] < ink.shape[1]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_struck_out_or_stacked_has_more_ink(seed: int) -> None:
    ink = np.zeros((44, 120), np.uint8)
    ink[4:40, 10:14] = ink[4:40, 60:64] = 255
    assert np.count_nonzero(struck(ink, random(seed))) > np.count_nonzero(ink)
    both = stacked(ink, ink, random(seed))
    assert both.shape[0] > ink.shape[0]


def test_digits_drawn_by_strokes_are_what_they_say() -> None:
    chance, crops, labels = random(1), [], []
    for digit in range(10):
        for _ in range(20):
            crops.append(np.pad(stroked(digit, writer(chance), chance), 4))
            labels.append(digit)
    logits, legible, *_ = bundle.crops_read(
        crops, predict.load_classifier(predict.load_card(None)).logits, invert="no"
    )
    assert legible.all()
    right = logits[:, :10].argmax(axis=1) == labels
    assert right.mean() > 0.75  # it has not seen all of these shapes: therefore they are drawn


def test_one_writer_keeps_to_one_shape() -> None:
    chance = random(2)
    by = writer(chance)
    first, second = (stroked(7, by, chance) for _ in range(2))
    assert not np.array_equal(first, second)
    assert by.pen == by._replace().pen
    wide = np.count_nonzero(stroked(1, by._replace(pen=5), random(0)))
    assert wide > np.count_nonzero(stroked(1, by._replace(pen=2), random(0)))


@pytest.mark.parametrize("seed", range(10))
def test_a_real_string_scanned_again_is_read_alike(seed: int) -> None:
    crop = np.full((50, 140), 220, np.uint8)
    crop[10:40, 30:34] = crop[10:40, 70:74] = crop[10:40, 100:104] = 50
    out = rescanned(crop, random(seed))
    assert out.dtype == np.uint8
    assert not strip(out).fault
    assert 0.5 < out.size / crop.size < 2.5 or out.shape[0] < crop.shape[0]


# --- the loss ---


def labelled(*texts: tuple[int, list[int]]) -> NDArray[np.int32]:
    longest = max(len(text) for _, text in texts)
    return np.array([[flag, *text, *[BLANK] * (longest - len(text))] for flag, text in texts])


def test_the_loss_is_what_the_decoder_promises(keras: Any) -> None:
    logits = random(7).normal(0, 2, (6, 5, CLASSES)).astype(np.float32)
    for row, one in enumerate(logits):
        text, share = next(
            (text, share)
            for text, share in decode_logits(one, 4000).candidates
            if 0 < len(text) < 4
        )
        signs = [OTHER if name == "x" else int(name) for name in text]
        told = float(np.asarray(loss(labelled((1, signs)), logits[row : row + 1]))[0])
        assert told == pytest.approx(-math.log(share), rel=0.02)


def test_signs_that_are_not_told_of_cost_nothing(keras: Any) -> None:
    logits = np.full((1, 5, CLASSES), -20.0, np.float32)
    for column, name in enumerate((1, SEPARATOR, 2, FLOURISH, BLANK)):
        logits[0, column, name] = 20
    untold = float(np.asarray(loss(labelled((1, [1, 2])), logits))[0])
    told = float(np.asarray(loss(labelled((0, [1, SEPARATOR, 2, FLOURISH])), logits))[0])
    silent = float(np.asarray(loss(labelled((0, [1, 2])), logits))[0])
    assert untold == pytest.approx(0, abs=1e-3)
    assert told == pytest.approx(0, abs=1e-3)
    assert silent > 10


# --- training ---


def test_a_training_goes_on_where_it_was_interrupted(
    keras: Any, digits: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "ROUND", 100)
    monkeypatch.setattr(numbers, "SHARD", 100)
    monkeypatch.setattr(numbers, "SHOWN", 1)
    monkeypatch.setattr(numbers, "COLUMNS", 1400)
    crop = np.full((50, 140), 220, np.uint8)
    crop[10:40, 30:34] = crop[10:40, 70:74] = 50
    real = Real([crop], ["11"], digits.inks, digits.labels.tolist())
    plan = Plan(2, 1, tmp_path / "checkpoint.keras", real=0.3)
    told: list[tuple[int, float]] = []

    def tell(number: int, mean: float, _: object) -> None:
        told.append((number, mean))
        if len(told) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        numbers.fit(Material(digits, (), real), plan, tell=tell)
    model = numbers.fit(Material(digits, (), real), plan, tell=tell)
    assert [number for number, _ in told] == [1, 2]
    assert all(math.isfinite(mean) for _, mean in told)
    out = NumberReader(model, "cpu:0").logits([np.zeros((HEIGHT, 96), np.uint8)])
    assert out[0].shape == (96 // STRIDE, CLASSES)
    with pytest.raises(ModelError, match="another training"):
        numbers.fit(Material(digits), plan.finer(3, 1e-4, 0.5))


@pytest.fixture
def tiny(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each epoch a few strings, each shown once; batches of each width have their own size,
    as in a real training: where two widths share one, TensorFlow on a CPU fails."""
    for name, value in {"ROUND": 100, "SHARD": 100, "SHOWN": 1, "COLUMNS": 1400}.items():
        monkeypatch.setattr(numbers, name, value)
    monkeypatch.setattr(number_bundle, "COMPOSED_STRINGS", 40)
    monkeypatch.setattr(material, "FOLD_COUNT", 2)
    monkeypatch.setattr(number_data, "MIN_STRINGS", 20)


def draw_number(text: str, seed: int) -> NDArray[np.uint8]:
    return np.hstack([drawn(int(digit), seed=seed) for digit in text])


def save_digits(count: int = 100) -> None:
    np.savez(
        "digits.npz",
        x=np.stack([drawn(n % 10, seed=n) for n in range(count)]),
        y=np.arange(count) % 10,
    )


def save_numbers(place: str, *names: str) -> None:
    """Draw numbers into folders of their names, every second one light on dark."""
    for seed, name in enumerate(names):
        Path(place, name).mkdir(parents=True, exist_ok=True)
        crop = draw_number(name, seed)
        cv2.imwrite(f"{place}/{name}/{seed}.png", 255 - crop if seed % 2 else crop)


def shipped_files() -> set[str]:
    """Return the names of the files in the package's bundle, which may have a careful network."""
    return {path.name for path in predict.resolve_model_path(None).iterdir()}


def train(*more: object) -> int:
    line = ("train", "--recipe", "numbers", "--out", "made", "--epochs", 1, "--device", "cpu")
    return cli._run_command_line([*map(str, line), *map(str, more)])


def test_a_number_reader_is_trained_on_digits_alone_and_joins_the_package_s_model(
    tiny: None, inbox: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_digits()
    assert train("--data", "digits.npz") == 0
    out, err = capfd.readouterr()
    told = dict(line.split(" ", 1) for line in out.splitlines())
    assert list(told) == ["recipe", "epochs", "held_out_strings", "held_out_accuracy", "model"]
    assert (told["recipe"], told["epochs"], told["held_out_strings"]) == ("numbers", "1", "40")
    assert err.startswith("composed: epoch 1 of 1: loss ")
    assert {path.name for path in Path("made").iterdir()} == shipped_files() | {"number.keras"}
    assert not Path("made.training").exists()
    card, shipped = predict.load_card("made"), predict.load_card(None)
    assert card.name == "made"
    for name in shipped_files() - {"card.json", "number.keras"}:
        assert (card.place / name).read_bytes() == (shipped.place / name).read_bytes()
    assert card.careful == shipped.careful
    assert card.whole["numbers"]["training"] == [{"source": "digits.npz", "crops": 100}]


def test_a_number_reader_goes_on_from_a_bundle_with_strings_of_ones_own(
    tiny: None, inbox: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_digits()
    chance = random(5)
    save_numbers("own", *(f"{n:03d}" for n in chance.integers(0, 999, 30)))
    shipped = predict.resolve_model_path(None)
    line = ("--data", "digits.npz", "--data", "own", "--fine-tune", shipped, "--quiet")
    assert train(*line) == 0
    assert capfd.readouterr() == ("", "")
    said = predict.load_card("made").whole["numbers"]
    assert said["measured"]["strings"] == 30
    assert said["measured"]["right"] > 0.5, "it starts from a reader that can read"
    assert {"source": "strings of --data", "strings": 30} in said["training"]
    weights = [
        np.concatenate(
            [np.ravel(one) for one in predict.load_keras_model(place).trainable_variables]
        )
        for place in (shipped / "number.keras", Path("made", "number.keras"))
    ]
    assert 0 < np.abs(weights[1] - weights[0]).max() < 0.1, "a few steps from where it started"
    cv2.imwrite("number.png", draw_number("4207", 3))
    line = ("run", "number.png", "--as", "number", "--out", "-", "--workers", "0", "--quiet")
    assert cli._run_command_line([*line, "--model", "made"]) == 0
    assert capfd.readouterr().out.splitlines()[1].startswith("number.png,1,,4207,")


def test_an_interrupted_training_of_a_number_reader_goes_on(
    tiny: None, inbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_digits()
    save_numbers("own", *(str(n) for n in range(100, 130)))
    line = ("--data", "digits.npz", "--data", "own")

    def stop(text: str) -> None:
        if text.startswith("fold-0: "):
            raise words.StoppedBySignal(signal.SIGINT, at_once=True)

    with monkeypatch.context() as patch:
        patch.setattr(report, "print_text", stop)
        assert train(*line) == 130
    assert "made.training' keeps what was learned" in capsys.readouterr().err
    kept = {path.name for path in Path("made.training").iterdir()}
    assert kept == {"composed.keras", "fold-0.keras"}
    assert train(*line, "--seed", 5) == 6
    assert "composed.keras' is of another training: remove it" in capsys.readouterr().err
    assert train(*line) == 0
    told = [one.partition(":")[0] for one in capsys.readouterr().err.splitlines()]
    assert told == ["fold-1", "all"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--data", "missing"), 2, "'missing' do not exist"),
        (("--data", "few.npz"), 2, "expected a set with 10 or more of each of the ten digits"),
        (("--data", "few"), 2, "expected 20 strings or more in which something can be read, got 2"),
        (("--data", "mixed"), 2, "'word' is no digit 0 to 9: say what it means"),
        (("--data", "mixed", "--labels", "word=none"), 2, "by --labels 'word=skip'"),
        (("--fine-tune", "missing"), 6, "'missing' does not exist"),
        (("--fine-tune", "plain.keras"), 6, "expected a bundle's folder, got a .keras file"),
        (("--out", "digits.npz"), 5, "is no bundle"),
    ],
)
def test_what_the_recipe_numbers_refuses_in_one_line(
    more: tuple[str, ...],
    code: int,
    said: str,
    tiny: None,
    small: Any,
    inbox: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    save_digits()
    np.savez("few.npz", x=np.stack([drawn(n % 10) for n in range(90)]), y=np.arange(90) % 10)
    save_numbers("few", "12", "13")
    save_numbers("mixed", "12")
    Path("mixed", "word").mkdir()
    cv2.imwrite("mixed/word/1.png", drawn(1))
    small.save("plain.keras")
    data = () if "few.npz" in more else ("--data", "digits.npz")
    assert train(*data, *more) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not Path("made").exists()
    assert not Path("made.training").exists()


# --- the model ---


@pytest.fixture(scope="module")
def small(keras: Any) -> Any:
    keras.utils.set_random_seed(1)
    return network()


def strips(count: int) -> list[NDArray[np.uint8]]:
    chance = random(5)
    widths = (96, 128, 384)
    return [chance.integers(0, 256, (HEIGHT, widths[n % 3])).astype(np.uint8) for n in range(count)]


def test_a_strip_reads_the_same_whatever_is_read_beside_it(small: Any) -> None:
    reader, some = NumberReader(small, "cpu:0"), strips(9)
    together = reader.logits(some)
    alone = [reader.logits([one])[0] for one in some]
    for one, other, picture in zip(together, alone, some, strict=True):
        assert one.shape == (picture.shape[1] // STRIDE, CLASSES)
        assert np.array_equal(one, other)
    assert reader.logits([]) == []


def test_a_network_that_reads_no_strips_is_refused(keras: Any) -> None:
    wrong = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    with pytest.raises(ModelError, match="does not read strips"):
        NumberReader(wrong, "cpu:0")


def test_a_reader_that_gives_no_numbers_is_refused(keras: Any, small: Any) -> None:
    broken = keras.models.clone_model(small)
    broken.set_weights([np.full_like(one, np.nan) for one in small.get_weights()])
    with pytest.raises(ModelError, match="no numbers"):
        NumberReader(broken, "cpu:0").logits(strips(1))


def test_the_network_is_small_enough_for_the_bundle(small: Any) -> None:
    assert 4 * small.count_params() <= 4_000_000, "bytes"


def test_joined_sets_of_strings_stay_what_they_are() -> None:
    crops = [np.full((8, 9 + n), n, np.uint8) for n in range(5)]
    first = Real(crops[:2], ["0", "1"], crops[3:4], [7], [1], [3.0, 3.0])
    joined = material.join_strings(first, Real(crops[2:3], ["2"], crops[4:], [8], [0]))
    assert joined.digits == ["0", "1", "2"]
    assert (joined.labels, joined.owners, joined.weights) == ([7, 8], [1, 2], [3, 3, 1])
    assert material.join_strings(first, None) is first
    last = material.select_strings(joined, np.array([False, True, True]))
    assert (last.digits, last.labels, last.owners) == (["1", "2"], [7, 8], [0, 1])
    assert last.weights == [3, 1]


# --- calibration ---


def made_up(count: int, temperature: float) -> tuple[list[DecodedStrip], list[str]]:
    """Make up readings that are right as often as their probabilities say at a temperature."""
    chance, found, truth = random(11), [], []
    for n in range(count):
        share = float(chance.uniform(0.4, 0.999))
        pair = [(str(100 + n), share), (str(500 + n), 1 - share)]
        sure = dict(calibrate.calibrate_candidates(pair, temperature))[str(100 + n)]
        truth.append(str(100 + n) if chance.random() < sure else str(500 + n))
        pair.sort(key=lambda one: -one[1])
        found.append(
            DecodedStrip(pair, [DecodedSign(c, 3 + 6 * at) for at, c in enumerate(pair[0][0])])
        )
    return found, truth


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.0])
def test_a_temperature_is_found_again(temperature: float) -> None:
    found, truth = made_up(2500, temperature)
    assert reading.temperature([(found, truth)]) == pytest.approx(temperature, rel=0.12)


def test_a_temperature_above_one_makes_less_sure() -> None:
    candidates = [("12", 0.9), ("17", 0.06)]
    mild = dict(calibrate.calibrate_candidates(candidates, 2.0))
    assert 0.5 < mild["12"] < 0.9
    assert mild["17"] > 0.06
    same = dict(calibrate.calibrate_candidates(candidates, 1.0))
    assert same["12"] == pytest.approx(0.9)


def test_a_card_says_how_held_out_strings_were_read() -> None:
    parts = [made_up(300, 1.0), made_up(300, 1.0)]
    said = reading.calibrated(parts)
    assert said["measured"]["strings"] == 600
    assert 0.5 < said["measured"]["right"] < 1
    assert said["threshold"] == reading.THRESHOLD
    assert said["measured"]["wrong among ok"] <= 600 * (1 - reading.THRESHOLD)
    assert said["measured"]["wrong among the surest 90%"] <= 1 - said["measured"]["right"]


@pytest.fixture
def joined(small: Any, tmp_path: Path) -> Path:
    """A bundle with a number reader that has learned nothing."""
    place = tmp_path / "bundle"
    shutil.copytree(predict.resolve_model_path(None), place)
    small.save(tmp_path / "reader.keras")
    said = reading.calibrated([made_up(200, 1.0), made_up(200, 1.0)])
    card = {**predict.load_card(str(place)).whole, "numbers": said}
    bundle.write(str(place), str(place), card, reader=tmp_path / "reader.keras")
    return place


def test_a_number_reader_joins_a_bundle(joined: Path) -> None:
    assert {path.name for path in joined.iterdir()} == shipped_files() | {"number.keras"}
    card = predict.load_card(str(joined))
    assert card.numbers is not None
    assert card.name == predict.load_card(None).name
    (logits,) = predict.load_number_reader(predict.load_card(str(joined))).logits(strips(1))
    assert logits.shape[1] == CLASSES


def test_a_bundle_that_is_written_anew_keeps_its_number_reader(
    joined: Path, tmp_path: Path
) -> None:
    card = predict.load_card(str(joined)).whole
    bundle.write(str(tmp_path / "again"), str(joined), card)
    before, after = (place / "number.keras" for place in (joined, tmp_path / "again"))
    assert before.read_bytes() == after.read_bytes()
    bundle.write(str(tmp_path / "again"), str(joined), card)  # over a bundle with a reader


@pytest.mark.parametrize(
    ("numbers_", "said"),
    [
        ({"preprocessing": 1, "calibration": {"temperature": 0}, "threshold": 0.9}, "above 0"),
        ({"preprocessing": 1, "calibration": {"temperature": 1}, "threshold": 2}, "from 0 to 1"),
        ({"preprocessing": 1, "threshold": 0.9}, "cannot be used"),
        (3, "cannot be used"),
    ],
)
def test_a_card_that_says_nonsense_of_numbers_is_refused(
    joined: Path, numbers_: object, said: str
) -> None:
    card = json.loads((joined / "card.json").read_text())
    card["numbers"] = numbers_
    (joined / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=said):
        predict.load_card(str(joined))


def test_a_card_whose_number_reader_is_gone_is_refused(joined: Path) -> None:
    (joined / "number.keras").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        predict.load_number_reader(predict.load_card(str(joined)))
