"""How options are declared, and how Python callers give them as keywords.

An option is a field of a frozen dataclass: its type, its limits and an `Option` in `Annotated`, and
its default. `cli.options` makes the command line, the environment and the configuration file from
the same declarations. Nothing heavy is imported here; pydantic is imported when values are checked.
"""

import difflib
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from batchdigits.errors import UsageError

P = ParamSpec("P")
First = TypeVar("First")
Returned = TypeVar("Returned")
Chosen = TypeVar("Chosen", bound="Options")
Given_contra = TypeVar("Given_contra", contravariant=True)
Kept_co = TypeVar("Kept_co", covariant=True)


@dataclass(frozen=True)
class Option:
    """How an option is described and written on the command line.

    Attributes:
        help: the text of `--help`.
        panel: its heading in `--help`.
        metavar: what stands for the value in `--help`; None for the choices, or for a flag.
        flags: short names, as "-o".
        default: the default in words, if the value itself does not say it.
        suggest: values that a shell completes, if the type does not list them.
        environment: whether `BATCHDIGITS_NAME` is read from the environment.
    """

    help: str
    panel: str = "Options"
    metavar: str | None = None
    flags: tuple[str, ...] = ()
    default: str = ""
    suggest: tuple[str, ...] = ()
    environment: bool = True


@dataclass(frozen=True)
class Declaration:
    """A declared option.

    Attributes:
        name: the keyword in Python.
        type: what a caller may give.
        option: its description.
        field: the dataclass's own record of it.
    """

    name: str
    type: Any
    option: Option
    field: "Field[Any]"

    @property
    def cli_name(self) -> str:
        """The name as on the command line: `as_` → `as`, `min_confidence` → `min-confidence`."""
        return format_option_name(self.name)

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.field.default is MISSING and self.field.default_factory is MISSING

    @property
    def default(self) -> Any:
        """The default, computed now if it has a factory; None if a value is required."""
        if self.field.default_factory is not MISSING:
            return self.field.default_factory()
        return None if self.required else self.field.default

    @property
    def default_words(self) -> str:
        """The default in words; empty for flags, and if there is no default value."""
        default = self.default
        if self.option.default or default is None or isinstance(default, bool | tuple):
            return self.option.default
        if isinstance(default, int) and default >= 1_000_000 and default % 1_000_000 == 0:
            return f"{default // 1_000_000} million"
        return f"{default:g}" if isinstance(default, float) else str(default)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that the type allows, or that are suggested."""
        literals = get_args(self.type) if get_origin(self.type) is Literal else ()
        return literals or self.option.suggest

    @property
    def repeatable(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)


class Options:
    """Settings of a command. The fields of a subclass are its options (see `declare_options`)."""

    panels: ClassVar[tuple[str, ...]] = ("Options",)
    """The panels of `--help`, in their order."""
    __dataclass_fields__: ClassVar[dict[str, "Field[Any]"]]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Make an instance from settings by name, and check them. None stands for the default.

        Args:
            settings: by keyword; `as` is the same as `as_`, because Python reserves `as`.

        Raises:
            UsageError: a name is unknown, or a value does not fit.
        """
        from batchdigits.options.validation import validate_settings  # noqa: PLC0415  (pydantic: only when called)

        known = {one.name for one in fields(cls)}
        by_keyword: dict[str, Any] = {}
        for name, value in settings.items():
            if value is None:
                continue
            keyword = f"{name}_" if f"{name}_" in known else name
            if keyword not in known:
                raise UsageError(cls.describe_unknown(name))
            if keyword in by_keyword:
                raise UsageError(f"'{name}' is given twice, in two spellings: give it once")
            by_keyword[keyword] = value
        return validate_settings(cls, by_keyword)

    @classmethod
    def describe_unknown(cls, name: str) -> str:
        """Return the error for an unknown name."""
        known = [one.name for one in fields(cls)]
        return f"unknown option '{name}'{suggest_name(name, known)}"


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
def declare_options(kind: type[Chosen]) -> type[Chosen]:
    """Make a class of options a frozen dataclass that takes only keywords.

    Type checkers do not see that it is frozen, because mypy would then give a `ConvertedField` the
    type that is given instead of the type that is kept.
    """
    return dataclass(frozen=True, kw_only=True)(kind)


def list_declarations(kind: type[Options]) -> tuple[Declaration, ...]:
    """List the options of a class, in the order of their declarations."""
    types = get_type_hints(kind)
    annotated = get_type_hints(kind, include_extras=True)
    return tuple(
        Declaration(one.name, types[one.name], _find_option(annotated[one.name]), one)
        for one in fields(kind)
    )


def _find_option(annotated: Any) -> Option:
    (option,) = (one for one in annotated.__metadata__ if isinstance(one, Option))
    return option


def take_keywords(
    kind: Callable[P, Chosen],
) -> Callable[[Callable[[First, Chosen], Returned]], Callable[Concatenate[First, P], Returned]]:
    """Make a decorator that lets a function take its options as keywords.

    Type checkers see the keywords of the dataclass, `inspect.signature` shows each with type and
    default, and `help` lists their descriptions.

    Args:
        kind: the class of the options; the function's last argument is a checked instance of it.
    """
    options = cast("type[Chosen]", kind)
    declarations = list_declarations(options)

    def decorate(
        body: Callable[[First, Chosen], Returned],
    ) -> Callable[Concatenate[First, P], Returned]:
        signature = inspect.signature(body)
        *own_parameters, last = signature.parameters.values()

        @functools.wraps(body)
        def call(*arguments: Any, **settings: Any) -> Returned:
            own_arguments = {
                one.name: settings.pop(one.name) for one in own_parameters if one.name in settings
            }
            return body(*arguments, **own_arguments, **{last.name: options.from_settings(settings)})

        keywords = [
            inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if one.required else one.default,
                annotation=one.type,
            )
            for one in declarations
        ]
        call.__signature__ = signature.replace(parameters=[*own_parameters, *keywords])  # type: ignore[attr-defined]
        texts = [f"{one.name}: {one.option.help}" for one in declarations]
        lines = [textwrap.indent(textwrap.fill(text, 90), "    ") for text in texts]
        call.__doc__ = "\n".join([inspect.cleandoc(body.__doc__ or ""), "", "Options:", *lines])
        return cast("Callable[Concatenate[First, P], Returned]", call)

    return decorate


def format_option_name(name: str) -> str:
    """Return an option as on the command line: `as_` → `as`, `max_pixels` → `max-pixels`."""
    return name.rstrip("_").replace("_", "-")


def suggest_name(name: str, known: list[str]) -> str:
    """Return `; did you mean 'x'?` for an unknown name like a known one; else nothing."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean '{close[0]}'?" if close else ""


if TYPE_CHECKING:

    class ConvertedField(Generic[Given_contra, Kept_co]):
        """A dataclass field that takes one type and keeps another, for type checkers."""

        def __get__(self, instance: object, owner: object) -> Kept_co:
            """Return what is kept."""

        def __set__(self, instance: object, value: Given_contra) -> None:
            """Take what is given."""


@dataclass(frozen=True)
class InputConverter:
    """Has pydantic convert a given value, and then check that it has the kept type.

    Attributes:
        kept_type: the type that is kept.
        convert: converts a given value; returns unknown ones as they are.
    """

    kept_type: Any
    convert: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, _source_type: Any, handler: Any) -> Any:
        """Return the schema that pydantic validates by."""
        from pydantic_core import core_schema  # noqa: PLC0415

        schema = handler.generate_schema(self.kept_type)
        return core_schema.no_info_before_validator_function(self.convert, schema)


@dataclass(frozen=True)
class ValueCheck:
    """Has pydantic call a function on a value of the right type.

    Attributes:
        check: returns the value, or raises ValueError that says what was expected.
    """

    check: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source_type: Any, handler: Any) -> Any:
        """Return the schema that pydantic validates by."""
        from pydantic_core import core_schema  # noqa: PLC0415

        return core_schema.no_info_after_validator_function(self.check, handler(source_type))
