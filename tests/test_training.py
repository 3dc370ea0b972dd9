"""Training by the default recipe: interruptions, and the way from labelled sets to a bundle."""

import io
import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from conftest import drawn
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_sets import (
    Stopped,
    command,
    history,
    labelled,
    light,
    told_fixture,  # noqa: F401
)

from batchdigits import cli, predict, report
from batchdigits.errors import ModelError
from batchdigits.labelled import NO_DIGIT_LABEL, LabelledCrops
from batchdigits.normalize import VERSION
from batchdigits.options import TrainOptions
from batchdigits.training import default, shipped
from batchdigits.training.network import KINDS, Kind
from batchdigits.training.network import network as default_network
from batchdigits.training.recipes import RECIPES, network

# --- a training by the recipe default ---


@given(st.lists(st.integers(-1, 10), max_size=160))
def test_of_each_class_the_last_is_held_out(labels: list[int]) -> None:
    crops = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1)
    found = LabelledCrops(crops, np.array(labels, np.int64), [str(n) for n in range(len(labels))])
    learned, held = default.held_out(found)
    for one in (learned, held):
        assert [int(crop[0, 0]) for crop in one.crops] == [int(name) for name in one.names]
        assert [labels[int(name)] for name in one.names] == one.labels.tolist()
    for label in set(labels):
        places = [n for n, one in enumerate(labels) if one == label]
        kept = len(places) - len(places) // 10
        assert [n for n in map(int, learned.names) if labels[n] == label] == places[:kept]
        assert [n for n in map(int, held.names) if labels[n] == label] == places[kept:]


def test_no_more_is_held_out_than_serves() -> None:
    found = LabelledCrops(np.zeros((5000, 1, 1), np.uint8), np.arange(5000) % 2 * 7, [""] * 5000)
    learned, held = default.held_out(found._replace(labels=np.where(np.arange(5000) < 40, 3, 7)))
    assert np.bincount(held.labels, minlength=8)[[3, 7]].tolist() == [4, 496]
    assert np.bincount(learned.labels, minlength=8)[[3, 7]].tolist() == [36, 4464]
    found = LabelledCrops(np.zeros((6000, 1, 1), np.uint8), np.zeros(6000, np.int64), [""] * 6000)
    assert [len(part.labels) for part in default.held_out(found)] == [5500, 500]


class Whole(NamedTuple):
    """A network trained for two epochs without a break, what was told, and the batches' losses."""

    kind: Kind
    model: Any
    told: list[float]
    losses: list[tuple[float, int]]


@pytest.fixture(scope="module", params=KINDS)
def whole(
    request: pytest.FixtureRequest, keras: Any, tmp_path_factory: pytest.TempPathFactory
) -> Whole:
    place = tmp_path_factory.mktemp("whole") / "checkpoint.keras"
    plan = default.DefaultPlan(request.param, 2, 7, place)
    told: list[float] = []
    losses: list[tuple[float, int]] = []
    original = keras.Sequential.train_on_batch

    def spy(self: Any, x: Any, y: Any) -> Any:
        losses.append((float(original(self, x, y)), len(x)))
        return losses[-1][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default, "BATCH", 24)
        patch.setattr(keras.Sequential, "train_on_batch", spy)
        model = default.fit({"a": labelled(60)}, plan, tell=lambda _, loss, __: told.append(loss))
    return Whole(plan.kind, model, told, losses)


def test_the_loss_that_is_told_is_of_the_whole_epoch(whole: Whole) -> None:
    half = len(whole.losses) // 2
    assert half == 3
    for told, batches in zip(whole.told, (whole.losses[:half], whole.losses[half:]), strict=True):
        losses, sizes = zip(*batches, strict=True)
        assert told == pytest.approx(np.average(losses, weights=sizes))
        assert len(set(losses)) == half


def test_a_training_can_be_interrupted_and_repeated_bit_by_bit(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default, "BATCH", 24)
    told: list[int] = []

    def stop(epoch: int, loss: float, model: Any) -> None:
        told.append(epoch)
        if told == [1]:
            raise Stopped

    data = labelled(60)
    plan = default.DefaultPlan(whole.kind, 2, 7, tmp_path / "checkpoint.keras")
    with pytest.raises(Stopped):
        default.fit({"a": data}, plan, tell=stop)
    assert list(tmp_path.iterdir()) == [plan.checkpoint]
    others: list[tuple[LabelledCrops, default.DefaultPlan, Any]] = [
        (data, replace(plan, seed=8), None),
        (data, replace(plan, count=3), None),
        (data, replace(plan, kind="careful" if plan.kind == "quick" else "quick"), None),
        (data._replace(labels=data.labels[::-1]), plan, None),
        (data, plan, whole.model),
    ]
    before = plan.checkpoint.read_bytes()
    for other, another, start in others:
        with pytest.raises(ModelError, match="is of another training") as caught:
            default.fit({"a": other}, another, start=start)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="is of another training"):
        default.fit({"a": data}, plan, teachers=[whole.model])
    assert plan.checkpoint.read_bytes() == before

    model = default.fit({"a": data}, plan, tell=stop)
    assert told == [1, 2]
    for one, two in zip(model.get_weights(), whole.model.get_weights(), strict=True):
        assert (one == two).all()


def test_teachers_are_asked_about_digits_and_not_about_marks(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[NDArray[np.float32]] = []

    def spy(_: Any, __: Any, y: NDArray[np.float32]) -> float:
        shown.append(y)
        return 0.5

    monkeypatch.setattr(keras.Sequential, "train_on_batch", spy)
    teacher = default_network("careful")
    kernel, _ = teacher.layers[-1].get_weights()
    teacher.layers[-1].set_weights([0 * kernel, np.eye(11, dtype=np.float32)[4] * 5])
    plan = default.DefaultPlan("quick", 1, 7, tmp_path / "checkpoint.keras")
    default.fit({"a": labelled(60)}, plan, teachers=[teacher])
    targets = np.concatenate(shown)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    marks = targets[:, NO_DIGIT_LABEL] > 0.5
    assert marks.any()
    assert (targets[marks, NO_DIGIT_LABEL] == 1).all(), (
        "a mark is a mark, whatever a teacher thinks"
    )
    assert (targets[~marks, 4] > 0.6).all(), "of each digit this teacher thinks that it is a 4"


def test_what_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    plan = default.DefaultPlan("quick", 2, 7, tmp_path / "checkpoint.keras")
    plan.checkpoint.write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot be loaded"):
        default.fit({"a": labelled(20)}, plan)


# --- from labelled sets to a bundle ---


class Stage(NamedTuple):
    """A training that was interrupted: what it said, and the files that it kept."""

    err: str
    kept: set[str]


class Made(NamedTuple):
    """A bundle trained by the command, interrupted twice, and what the command said in the end."""

    place: Path
    stages: list[Stage]
    out: str
    err: str


def train_default(place: Path, *more: object) -> tuple[int, str, str]:
    """Train into the bundle `made` by the command: its exit code, output, and words."""
    out, err = io.StringIO(), io.StringIO()
    line = ("train", "--recipe", "default", "--out", place / "made", "--device", "cpu")
    with redirect_stdout(out), redirect_stderr(err):
        code = command(*line, *more)
    return code, out.getvalue(), err.getvalue()


def few(place: Path, count: int, *left_out: int) -> Path:
    """Write a set of drawn digits without a test part."""
    x, y = light(count), np.arange(count) % 10
    some = ~np.isin(y, left_out)
    np.savez(place, x=x[some], y=y[some])
    return place


def interrupt(place: Path, at: str, *more: object) -> Stage:
    """Train as `train_default` does, and interrupt it when a line that starts with `at` is told."""
    show_ = report.print_text

    def stop(text: str) -> None:
        show_(text)
        if text.startswith(at):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, cli._handle_signal)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(report, "print_text", stop)
            code, out, err = train_default(place, *more)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    assert not (place / "made").exists()
    return Stage(err, {path.name for path in (place / "made.training").iterdir()})


@pytest.fixture(scope="module")
def made(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("made")
    more = ("--data", few(place / "set.npz", 1000), "--epochs", 2, "--seed", 0)
    stages = [interrupt(place, f"{kind}: epoch 1 of 2", *more) for kind in KINDS[::-1]]
    code, out, err = train_default(place, *more)
    assert code == 0, err
    return Made(place, stages, out, err)


def told_epochs(err: str) -> list[str]:
    """Return of which networks and epochs lines were told."""
    return [line.partition(" of ")[0] for line in err.splitlines() if ": epoch " in line]


def test_a_training_of_the_default_goes_on_whichever_network_was_interrupted(made: Made) -> None:
    careful, quick = made.stages
    first = {"samples.png", "careful_history.csv", "careful.checkpoint.keras"}
    second = {"careful_curves.png", "quick_history.csv", "quick.checkpoint.keras"}
    assert careful.kept == first
    assert quick.kept == first | second
    place = made.place / "made.training"
    for stage in made.stages:
        assert stage.err.splitlines()[-1] == (
            f"batchdigits: interrupted: '{place}' keeps what was learned: the same command goes on "
            "from there"
        )
    assert told_epochs(careful.err) == ["careful: epoch 1"]
    assert told_epochs(quick.err) == ["careful: epoch 2", "quick: epoch 1"]
    assert told_epochs(made.err) == ["quick: epoch 2"]
    for kind in KINDS:
        assert [line["epoch"] for line in history(place, f"{kind}_history.csv")] == ["1", "2"]


def test_the_default_recipe_leaves_a_bundle_and_what_is_shown(made: Made) -> None:
    assert {path.name for path in made.place.iterdir()} == {"set.npz", "made", "made.training"}
    assert {path.name for path in (made.place / "made").iterdir()} == {
        *("card.json", "model.keras", "careful.keras"),
    }
    place = made.place / "made.training"
    assert {path.name for path in place.iterdir()} == {
        *("samples.png", "quick_history.csv", "quick_curves.png"),
        *("careful_history.csv", "careful_curves.png"),
    }
    sheet = cv2.imread(str(place / "samples.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    assert all(sheet[34:400, 6 + 62 * n : 62 * n + 62].min() == 0 for n in range(10)), "all digits"
    told = dict(line.split(" ", 1) for line in made.out.splitlines())
    assert list(told) == ["recipe", "epochs", "held_out_digits", "held_out_accuracy", "model"]
    assert (told["recipe"], told["epochs"]) == ("default", "2 2")
    assert told["held_out_digits"] == "200", "10 of 100 of each digit, as they are and altered"
    assert told["model"] == str(made.place / "made")

    card = predict.load_card(told["model"])
    assert card.classes == (*"0123456789", "none")
    assert card.preprocessing == VERSION
    assert (card.name, card.calibrated) == ("made", True)
    assert card.careful is not None
    assert card.careful.gate == default.GATE
    (about,) = card.whole["training"]
    assert about["source"] == str(made.place / "set.npz")
    assert (about["crops"], about["epochs"], about["seed"]) == (900, [2, 2], 0)


def test_both_networks_of_the_bundle_are_those_that_were_trained(made: Made) -> None:
    shapes = [
        [weight.shape for weight in predict.load_keras_model(made.place / "made" / name).weights]
        for name in ("model.keras", "careful.keras")
    ]
    wanted = [[weight.shape for weight in default_network(kind).weights] for kind in KINDS]
    assert shapes == wanted


def test_run_reads_with_it(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("7.png", drawn(7))
    line = ("run", "7.png", "--out", "-", "--workers", 0, "--device", "cpu", "--quiet")
    assert command(*line, "--model", made.place / "made") == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[1].startswith("7.png,1,,")
    assert err == "", "it is calibrated"


def test_the_default_recipe_starts_from_a_bundle_with_several_sets(
    made: Made, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, two = few(tmp_path / "one.npz", 500, 7, 8), few(tmp_path / "two.npz", 700)
    more = ("--data", one, "--data", two, "--epochs", 1, "--fine-tune", made.place / "made")
    assert train_default(tmp_path, *more, "--quiet") == (0, "", "")
    assert capfd.readouterr() == ("", "")
    training = predict.load_card(str(tmp_path / "made")).whole["training"]
    assert [part["source"] for part in training] == [str(one), str(two)]
    assert [part["crops"] for part in training] == [8 * 45, 10 * 63]
    for name in ("model.keras", "careful.keras"):
        before, after = (
            np.concatenate([one.ravel() for one in predict.load_keras_model(place).get_weights()])
            for place in (made.place / "made" / name, tmp_path / "made" / name)
        )
        assert 0 < np.abs(after - before).max() < 0.1, "a few steps from where it started"


@pytest.mark.parametrize(
    ("count", "left_out", "more", "code", "words"),
    [
        (1000, (7, 9), (), 2, "expected all ten digits to learn from, got none of 7, 9: add a set"),
        (190, (), (), 2, "expected 200 labelled digits or more to calibrate on, got 20: add some"),
        (1000, (), ("--fine-tune", "mlp.keras"), 6, "is not of recipe default"),
        (1000, (), ("--fine-tune", "half"), 6, "is not of recipe default"),
        (1000, (), ("--fine-tune", "none.keras"), 6, "expected a bundle's folder or a .keras file"),
        (1000, (), ("--fine-tune", "set.npz"), 6, "cannot be loaded"),
        (1000, (), ("--data", "missing.npz"), 2, "'missing.npz' do not exist"),
        (1000, (), ("--out", "set.npz"), 5, "is no bundle"),
        (1000, (), ("--out", "file"), 5, "file.training' cannot be written: File exists"),
    ],
)
def test_what_the_default_recipe_refuses_in_one_line(
    count: int,
    left_out: tuple[int, ...],
    more: tuple[str, ...],
    code: int,
    words: str,
    keras: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    few(Path("set.npz"), count, *left_out)
    network(RECIPES["mlp"]).save("mlp.keras")
    Path("half").mkdir()
    default_network("quick").save("half/model.keras")
    network(RECIPES["mlp"]).save("half/careful.keras")
    Path("file.training").write_text("mine")
    found, out, err = train_default(Path(), "--data", "set.npz", *more)
    assert (found, out) == (code, "")
    assert words in err
    assert err.count("\n") == 1
    assert not Path("made").exists()
    assert not list(Path().glob("**/*checkpoint.keras"))


def test_no_finished_epoch_is_said(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Stopped

    monkeypatch.setattr(shipped, "fit", stop)
    options = {"recipe": "default", "data": (str(few(tmp_path / "set.npz", 1000)),)}
    with pytest.raises(Stopped) as stopped:
        shipped.run(
            TrainOptions.from_settings({**options, "out": str(tmp_path / "made")}), lambda _: None
        )
    assert stopped.value.__notes__ == ["no epoch was finished, no model is kept"]


@pytest.mark.parametrize("with_careful", [True, False])
def test_a_training_starts_from_the_networks_that_a_bundle_has(
    with_careful: bool, keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, name in zip(KINDS, ("model.keras", "careful.keras"), strict=True):
        if kind == "quick" or with_careful:
            default_network(kind).save(tmp_path / name)
    starts = {}

    def note(_: Any, plan: default.DefaultPlan, *, tell: Any, start: Any, teachers: Any) -> Any:
        starts[plan.kind] = start
        if plan.kind == "quick":
            raise Stopped
        trained = start or default_network("careful")
        tell(1, 0.5, trained)
        return trained

    monkeypatch.setattr(shipped, "fit", note)
    options = {"data": (str(few(tmp_path / "set.npz", 1000)),), "fine_tune": str(tmp_path)}
    with pytest.raises(Stopped):
        shipped.run(
            TrainOptions.from_settings(
                {**options, "recipe": "default", "out": str(tmp_path / "made")}
            ),
            lambda _: None,
        )
    for kind, name in zip(KINDS, ("model.keras", "careful.keras"), strict=True):
        if kind == "careful" and not with_careful:
            assert starts[kind] is None
            continue
        kept = predict.load_keras_model(tmp_path / name)
        for one, two in zip(starts[kind].get_weights(), kept.get_weights(), strict=True):
            assert (one == two).all()


@pytest.mark.parametrize("recipe", ["mlp", "conv3"])
def test_the_tutorials_learn_from_one_set(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("train", "--recipe", recipe, "--out", tmp_path / "out", "--data", "a", "--data", "b")
    assert command(*line) == 2
    err = capsys.readouterr().err
    assert f"recipe {recipe} learns from one set, got 2" in err
    assert err.count("\n") == 1


def test_a_configuration_file_may_name_one_set_or_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few(Path("a.npz"), 60, 1)
    few(Path("b.npz"), 60, 1, 2)
    for data, missing in (('"b.npz"', "1, 2"), ('["b.npz", "a.npz"]', "1")):
        Path("settings.toml").write_text(f"data = {data}\n")
        code, _, err = train_default(Path(), "--config", "settings.toml")
        assert code == 2
        assert f"got none of {missing}: " in err
