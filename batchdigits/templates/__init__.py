"""Templates: forms described, checked, printed, and drafted from blank pages."""

from collections.abc import Sequence
from pathlib import Path

from batchdigits.errors import TemplateError
from batchdigits.templates.field import Field
from batchdigits.templates.template import Template, load_template, parse_template

__all__ = ["Field", "Template", "load_template", "load_templates", "parse_template"]


def load_templates(paths: Sequence[str]) -> list[Template]:
    """Load templates from files, and from every `*.toml` of folders, sorted by name.

    Raises:
        TemplateError: as for `load_template`; or a folder has no template; or two templates have
            the same form's name.
    """
    places = [place for path in paths for place in _list_template_files(path)]
    template_by_name: dict[str, Template] = {}
    for one in map(load_template, dict.fromkeys(places)):
        if (other := template_by_name.setdefault(one.form.name, one)) is not one:
            raise TemplateError(
                f"templates '{other.place}' and '{one.place}' are both named "
                f"'{one.form.name}': rename one, or leave it out"
            )
    return list(template_by_name.values())


def _list_template_files(path: str) -> list[str]:
    """List the templates of a folder. A path that is no folder is a template itself."""
    try:
        if not Path(path).is_dir():
            return [path]
        entries = sorted(one for one in Path(path).iterdir() if one.suffix == ".toml")
    except OSError as error:
        raise TemplateError(f"template folder '{path}' cannot be read: {error.strerror}") from None
    except ValueError:
        return [path]  # `load_template` says what is wrong with it
    visible = [str(one) for one in entries if not one.name.startswith(".") and one.is_file()]
    if not visible:
        raise TemplateError(f"template folder '{path}': expected *.toml in it, found none")
    return visible
