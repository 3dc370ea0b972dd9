"""Options as Typer takes them, and the configuration file.

The options of `run` and `train` are declared in `batchdigits.options`; here they are made into
Typer's.
"""

import inspect
import tomllib
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from batchdigits.errors import UsageError
from batchdigits.options import RunOptions, suggest_name
from batchdigits.options.declaration import (
    Declaration,
    Options,
    format_option_name,
    list_declarations,
)

Chosen = TypeVar("Chosen", bound=Options)


def _load_config(context: typer.Context, path: str | None) -> str | None:
    """Use the settings of a configuration file as defaults; command line and environment win."""
    if path is None:
        return None
    try:
        settings = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not TOML
        raise UsageError(f"--config '{path}': expected a TOML file; {error}") from None
    parameters = {
        format_option_name(str(p.name)): p for p in context.command.params if p.name != "_config"
    }
    defaults = {}
    for name, value in settings.items():
        parameter = parameters.get(format_option_name(name))
        if parameter is None:
            close = suggest_name(format_option_name(name), list(parameters))
            raise UsageError(f"--config '{path}': unknown option '{name}'{close}")
        if parameter.name in defaults:
            raise UsageError(f"--config '{path}': '{name}' is given twice, in two spellings")
        several = getattr(parameter, "multiple", False) or parameter.name == "inputs"
        values = value if several and isinstance(value, list) else [value]
        if fault := next(filter(None, map(_describe_bad_value, values)), ""):
            raise UsageError(f"--config '{path}': '{name}': {fault}")
        single = several and isinstance(value, str)
        defaults[str(parameter.name)] = [value] if single else value
    context.default_map = {**defaults, **(context.default_map or {})}
    return path


def _describe_bad_value(value: Any) -> str:
    """Return what is wrong with a setting of a file, or nothing.

    Typer would take a table for the name of a file.
    """
    if isinstance(value, dict | list):
        return f"expected one value, got a {'table' if isinstance(value, dict) else 'list'}"
    return f"expected no zero byte, got {value!r}" if "\0" in str(value) else ""


def make_option(  # noqa: PLR0913
    name: str,
    text: str,
    metavar: str | None = None,
    *flags: str,
    environment: bool = True,
    default: str = "",
    choices: tuple[str, ...] = (),
    **more: Any,
) -> Any:
    """Make a Typer option, which also reads `BATCHDIGITS_NAME` from the environment.

    Args:
        name: as on the command line, without dashes.
        text: its help; the default and the variable's name are added.
        metavar: what stands for the value in the help.
        *flags: short names.
        environment: whether it reads the environment.
        default: in words; empty for none.
        choices: values that a shell completes; without any, it completes file names.
        **more: as `typer.Option` takes it.
    """

    def complete(incomplete: str) -> list[str]:
        return [one for one in choices if one.startswith(incomplete)]

    variable = f"BATCHDIGITS_{name.upper().replace('-', '_')}" if environment else None
    notes = [f"default: {default}"] * bool(default) + [f"env: {variable}"] * environment
    return typer.Option(
        f"--{name}",
        *flags,
        metavar=metavar or "|".join(choices) or None,
        envvar=variable,
        help=f"{text}  [{'; '.join(notes)}]" if notes else text,
        show_default=False,
        show_envvar=False,
        autocompletion=complete if choices else None,
        **more,
    )


def make_declared_option(one: Declaration, **more: Any) -> Any:
    """Make a Typer option of a declaration; `more` is as in `make_option`."""
    option = one.option
    return make_option(
        one.cli_name,
        option.help,
        option.metavar,
        *option.flags,
        environment=option.environment,
        default=one.default_words,
        choices=one.choices,
        **more,
    )


def make_run_option(name: str) -> Any:
    """Make an option of `run` by its name, for another command."""
    (one,) = (one for one in list_declarations(RunOptions) if one.name == name)
    return make_declared_option(one)


def make_out_option(text: str, metavar: str) -> Any:
    """Make --out. It is not read from the environment: BATCHDIGITS_OUT is the results table."""
    return make_option("out", text, metavar, "-o", environment=False)


def with_options(
    kind: type[Chosen],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a decorator that turns a function into a command with all options of a class.

    The function's last parameter takes the checked options. Typer sees a parameter for each
    declared option, and `--config` in the last panel. It passes text, which pydantic checks, so
    that all errors read alike.

    Args:
        kind: the class of the options.
    """
    declarations = sorted(
        list_declarations(kind), key=lambda one: kind.panels.index(one.option.panel)
    )

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        *own_parameters, _ = inspect.signature(body).parameters.values()

        def command(**settings: Any) -> None:
            settings.pop("_config")
            arguments = [settings.pop(one.name) for one in own_parameters]
            body(*arguments, kind.from_settings(settings))

        update_wrapper(command, body)
        parameters = [
            *own_parameters,
            *map(_make_parameter, declarations),
            _make_config_parameter(kind.panels[-1]),
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def _make_parameter(one: Declaration) -> inspect.Parameter:
    """Make the parameter of an option for Typer: a flag, or texts that pydantic checks."""
    taken: Any = bool if one.type is bool else (list[str] if one.repeatable else str) | None
    return inspect.Parameter(
        one.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=one.default if one.type is bool else None,
        annotation=Annotated[taken, make_declared_option(one, rich_help_panel=one.option.panel)],
    )


def _make_config_parameter(panel: str) -> inspect.Parameter:
    return inspect.Parameter(
        "_config",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[str | None, make_config_option(rich_help_panel=panel)],
    )


def make_config_option(**more: Any) -> Any:
    """Make --config, which is read before the other options."""
    return make_option(
        "config",
        "TOML file with these options by name; command line and environment win.",
        "FILE",
        callback=_load_config,
        is_eager=True,
        **more,
    )


InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Folders (read with all below them), files, archives of them (.tar .tar.gz .zip "
        ".parquet), URLs, or - for paths on standard input.",
        show_default=False,
    ),
]
ConfigOption = Annotated[str | None, make_config_option()]
ModelOption = Annotated[str | None, make_run_option("model")]
InvertOption = Annotated[str | None, make_run_option("invert")]
DeviceOption = Annotated[str | None, make_run_option("device")]
QuietOption = Annotated[bool, make_run_option("quiet")]
