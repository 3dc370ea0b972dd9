"""Shared by the test modules: drawn digits, and a classifier that needs no Keras."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from batchdigits import options, predict
from batchdigits.job import Inputs, Job, resolve_job
from batchdigits.normalize import normalize, strips
from batchdigits.normalize.strips import strip
from batchdigits.paths import resolve_paths
from batchdigits.predict import backend
from batchdigits.records import Row
from batchdigits.run import PlannedFile, find_files, plan_files, read_rows

SECRET = "never-in-a-line"
"""The secret key of the server of objects."""

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")


def drawn(digit: int, *, side: int = 28, seed: int = 0) -> NDArray[np.uint8]:
    """Draw a digit, dark on light, each seed in another place and thickness."""
    random = np.random.default_rng(1000 * digit + seed)
    canvas = np.full((112, 112), 255, np.uint8)
    place = (25 + int(random.integers(0, 12)), 80 + int(random.integers(0, 12)))
    cv2.putText(canvas, str(digit), place, 0, 2.4, 0, int(random.integers(4, 8)), cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA))


def resolve(*inputs: str, listed: Sequence[str] = (), **settings: Any) -> Job:
    """Resolve a job as the command line does; without INPUTs, that of the folder `inbox`."""
    chosen = options.RunOptions.from_settings({"workers": 0, "device": "cpu", **settings})
    return resolve_job(chosen, Inputs(inputs or ([] if listed else ["inbox"]), listed))


def read(*inputs: str, **settings: Any) -> list[Row]:
    """Read as the command line does; return the rows."""
    return [row for batch in read_rows(resolve(*inputs, **settings)) for row in batch]


def plan(**settings: Any) -> list[PlannedFile]:
    """Plan the files of the folder `inbox` as the command line does."""
    chosen = options.RunOptions.from_settings({"workers": 0, **settings})
    found = find_files(Inputs(["inbox"]), resolve_paths(chosen))
    return list(plan_files(found.sources, chosen))


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Run the block as an ordinary user: root may read and write everything."""
    root = os.geteuid() == 0
    if root:
        try:
            os.seteuid(65534)
        except OSError as refused:  # as where user 65534 is not mapped into a container
            pytest.skip(f"root cannot become an ordinary user here: {refused}")
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


class FakeClassifier:
    """Reads a digit off the picture's grey levels: nonsense, but never another picture's."""

    device = "fake"

    def logits(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        levels = np.rint(pictures.reshape(len(pictures), -1) * 255).astype(np.int64)
        marks = (levels * np.arange(1, 785)).sum(axis=1)
        out = np.zeros((len(pictures), 10), np.float32)
        out[np.arange(len(out)), marks % 10] = 2 + marks % 7
        return out

    def value(self, crop: NDArray[np.uint8]) -> str:
        return str(self.logits(normalize([crop]).pictures)[0].argmax())


class FakeReader:
    """Reads two digits off a strip's grey levels: nonsense, but never another strip's."""

    def logits(self, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        out = np.zeros((picture.shape[1] // 4, 14), np.float32)
        out[:, 13] = 20
        for column, digit in zip((3, 8), self.digits(picture), strict=True):
            out[column, digit] = 40
        return out

    def digits(self, picture: NDArray[np.uint8]) -> tuple[int, int]:
        levels = picture.astype(np.int64).ravel()
        mark = int((levels * (np.arange(len(levels)) % 997)).sum())
        return mark % 10, mark // 10 % 10

    def value(self, crop: NDArray[np.uint8]) -> str:
        return "{}{}".format(*self.digits(strip(crop).picture))


@pytest.fixture(scope="module")
def keras() -> Any:
    """Import Keras as the package does, with the random numbers of a fixed seed."""
    backend.prepare_environment()
    with backend.silence_stderr():
        import keras

        keras.utils.set_random_seed(7)
    return keras


@pytest.fixture
def fake_classifier(monkeypatch: pytest.MonkeyPatch) -> FakeClassifier:
    """Have every run use the fake classifier, and the fake reader, with the shipped card."""
    fake = FakeClassifier()
    monkeypatch.setattr(predict, "load_classifier", lambda card, **_: fake)
    monkeypatch.setattr(predict, "load_number_reader", lambda card, device: FakeReader())
    return fake


@pytest.fixture
def fake_reader(fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> FakeReader:
    """Have every run use the fake reader, as if the shipped bundle had one."""
    card = replace(
        predict.load_card(None), numbers=predict.NumberReaderCard(strips.VERSION, 1.0, 0.9)
    )
    monkeypatch.setattr(predict, "load_card", lambda path: card)
    return FakeReader()


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """Run a server that speaks S3: an `ObjectServer`."""
    from objects_server import ObjectServer

    server = ObjectServer()
    with server.running():
        yield server


@pytest.fixture
def server(
    running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_classifier: FakeClassifier
) -> Iterator[Any]:
    """Serve an empty bucket `scans`, in an empty folder, with credentials in the environment."""
    from s3fs import S3FileSystem

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    pauses = (0.0, 0.01, 0.01, 0.01, 0.01)
    monkeypatch.setattr("batchdigits.objects.store.PAUSES_SECONDS", pauses)
    monkeypatch.setattr("batchdigits.objects.fetch.PAUSES_SECONDS", pauses)
    S3FileSystem.clear_instance_cache()
    running.faults.clear()
    running.requests.clear()
    client = running.client()
    client.create_bucket(Bucket="scans")
    yield running
    running.faults.clear()
    for one in client.list_objects_v2(Bucket="scans").get("Contents", []):
        client.delete_object(Bucket="scans", Key=one["Key"])


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files that a test has just written, instead of leaving them to the next run."""
    monkeypatch.setattr(options, "SETTLE_SECONDS", 0.0)
    monkeypatch.setenv("BATCHDIGITS_SETTLE", "0")


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change into a temporary folder that holds nothing but an empty folder `inbox`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


Save = Callable[[str, NDArray[np.uint8]], None]


@pytest.fixture
def save(inbox: Path) -> Save:
    """Write pictures into the inbox by name."""

    def write(name: str, picture: NDArray[np.uint8]) -> None:
        place = inbox / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(cv2.imencode(".png", picture)[1].tobytes())

    return write
