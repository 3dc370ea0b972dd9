"""Imports go to lower floors only, and Keras is imported in two rooms alone."""

import ast
from pathlib import Path

import pytest

import batchdigits

PACKAGE = Path(batchdigits.__file__).parent
FLOORS = (
    {"records", "errors", "formats"},
    {"files", "summary", "layout", "options", "workers", "objects"},
    {"templates"},
    {"sources", "pages", "register", "cells", "normalize", "calibrate"},
    {"extract"},
    {"predict"},
    {"postprocess"},
    {"paths", "corrections"},
    {"views"},
    {"outputs"},
    {"job"},
    {"state", "labelled", "cluster"},
    {"archive"},
    {"run"},
    {"review"},
    {"training", "report", "progress", "evaluate"},
    {"api"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {"keras", "tensorflow", "jax", "torch"}
MAY_BE_HEAVY = {"predict", "training"}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """All that a file imports, by full name, and whether it does so as soon as it is imported."""
    tree = ast.parse(path.read_text("utf-8"))
    found = []
    for node in ast.walk(tree):
        at_top = node in tree.body
        if isinstance(node, ast.Import):
            found += [(name.name, at_top) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide the room"
            found += [(f"{node.module}.{name.name}", at_top) for name in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return  # the package's own door: it names `api`
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "batchdigits" or parts[1] in (room, "__version__"):
            continue
        assert FLOOR[parts[1]] < FLOOR[room], f"{room} imports {parts[1]}, which is no lower"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_keras_is_imported_in_two_rooms_and_only_when_called(path: Path) -> None:
    for name, at_top in imports(path):
        if name.split(".")[0] in HEAVY:
            assert room_of(path) in MAY_BE_HEAVY
            assert not at_top


def test_every_room_has_its_floor_and_its_tests() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms == set(FLOOR)
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert (
        rooms - {"records", "errors", "files", "summary", "report", "__main__"} <= tested
    )  # these through the others
