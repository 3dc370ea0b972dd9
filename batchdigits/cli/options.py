"""What commands share: how an option is declared, and how a file gives settings."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from batchdigits.errors import UsageError


def _from_file(context: typer.Context, path: str | None) -> str | None:
    """Take a configuration file's settings as defaults: command line and environment win."""
    if path is None:
        return None
    try:
        settings = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not TOML
        raise UsageError(f"--config '{path}': expected a TOML file; {error}") from None
    known = {_spelled(p.name): p for p in context.command.params if p.name != "_config"}
    defaults = {}
    for name, value in settings.items():
        parameter = known.get(_spelled(name))
        if parameter is None:
            from batchdigits.options import nearest  # noqa: PLC0415

            close = nearest(_spelled(name), list(known))
            raise UsageError(f"--config '{path}': unknown option '{name}'{close}")
        if parameter.name in defaults:
            raise UsageError(f"--config '{path}': '{name}' is given twice, in two spellings")
        several = getattr(parameter, "multiple", False) or parameter.name == "inputs"
        values = value if several and isinstance(value, list) else [value]
        if fault := next(filter(None, map(_fault, values)), ""):
            raise UsageError(f"--config '{path}': '{name}': {fault}")
        single = several and isinstance(value, str)
        defaults[str(parameter.name)] = [value] if single else value
    context.default_map = {**defaults, **(context.default_map or {})}
    return path


def _fault(value: Any) -> str:
    """Say what is wrong with a setting of a file; a table would be taken for a file's name."""
    if isinstance(value, dict | list):
        return f"expected one value, got a {'table' if isinstance(value, dict) else 'list'}"
    return f"expected no zero byte, got {value!r}" if "\0" in str(value) else ""


def _spelled(name: str | None) -> str:
    """Spell an option as on the command line: `as_` → `as`, `min_confidence` → `min-confidence`."""
    return str(name).rstrip("_").replace("_", "-")


def option(name: str, text: str, metavar: str | None = None, *names: str, **more: Any) -> Any:
    """Declare an option that also reads `BATCHDIGITS_` and its name from the environment."""
    variable = f"BATCHDIGITS_{name.upper().replace('-', '_')}"
    return typer.Option(f"--{name}", *names, metavar=metavar, envvar=variable, help=text, **more)


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Folders (read with all below them), files, or - for paths on standard input.",
        show_default=False,
    ),
]
Config = Annotated[
    str | None,
    option(
        "config",
        "TOML file with these options by name; command line and environment win.",
        "FILE",
        callback=_from_file,
        is_eager=True,
    ),
]
Invert = Annotated[
    str,
    option(
        "invert", "Whether ink is dark on light paper (yes) or light on dark (no).", "auto|yes|no"
    ),
]
Device = Annotated[str, option("device", "Where the model runs.", "auto|cpu|gpu|gpu:N")]
Quiet = Annotated[bool, option("quiet", "Print nothing while all goes well.", None, "-q")]
