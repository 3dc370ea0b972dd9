"""The page on which a person settles values: one file that needs nothing else."""

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from batchdigits.review.items import ReviewItem, rank_doubtful_digits
from batchdigits.review.rules import describe_rule
from batchdigits.views import FieldView

STATIC = files("batchdigits.review").joinpath("static")
SCRIPTS = ("rules.js", "answers.js", "one.js", "groups.js", "main.js")


@dataclass(frozen=True)
class PageContext:
    """What a page says besides its values.

    Attributes:
        table: the table's path as typed.
        title: what the page is called.
        number: of this page, from 1.
        pages: the names of all pages of this review, this one too.
        served: whether a server takes the answers.
        by: who is asked; empty if that is not known.
        made_at: when it was made.
    """

    table: str
    title: str
    number: int = 1
    pages: Sequence[str] = ()
    served: bool = False
    by: str = ""
    made_at: str = ""


@dataclass(frozen=True)
class ShownItem:
    """A value with its pictures.

    Attributes:
        item: the value.
        view: its pictures; None if its file is gone.
        fault: why it has no picture; empty if it has.
        picture: a key of `pictures` for its page; empty for none.
        rank: how unlike its digits are, as a share: 0 is the most unlike.
    """

    item: ReviewItem
    view: FieldView | None
    fault: str = ""
    picture: str = ""
    ranks: Sequence[float] = ()


def render_page(
    shown: Sequence[ShownItem], pictures: dict[str, bytes], context: PageContext
) -> str:
    """Return the page as HTML.

    Everything that comes from files is text in one JSON block, which no browser runs. Scripts and
    styles are allowed by their digest alone, so that nothing else on the page is run or loaded.

    Args:
        shown: the values, in the order in which they are asked.
        pictures: small pictures of pages, by the key that `shown` names.
        context: what the page says besides.
    """
    import jinja2  # noqa: PLC0415  (only where a page is made)

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, loader=jinja2.BaseLoader()
    )
    script = "\n".join(_load(name) for name in SCRIPTS)
    style = _load("review.css")
    data = {
        "id": _identify(shown, context),
        "table": context.table,
        "served": context.served,
        "by": context.by,
        "made": context.made_at,
        "page": context.number,
        "pages": list(context.pages),
        "items": [_describe_item(one) for one in shown],
        "pictures": {key: _to_data_uri(one) for key, one in pictures.items()},
    }
    return environment.from_string(_load("review.html")).render(
        context=context,
        policy=make_policy(script, style, served=context.served),
        style=_trust(style),
        script=_trust(script),
        data=_trust(encode_json(data)),
        count=len(shown),
    )


def _trust(text: str) -> Any:
    from markupsafe import Markup  # noqa: PLC0415

    return Markup(text)


def encode_json(data: Any) -> str:
    """Return data as JSON that can stand in HTML: without `<`, `>` and `&`."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def make_policy(script: str, style: str, *, served: bool) -> str:
    """Return the content security policy: own scripts and styles, embedded pictures, no network."""
    own = "'self'" if served else "'none'"
    parts = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data: 'self'" if served else "data:",
        "connect-src": own,
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _load(name: str) -> str:
    return STATIC.joinpath(name).read_text("utf-8")


def _to_data_uri(picture: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"


def _identify(shown: Sequence[ShownItem], context: PageContext) -> str:
    """Return what tells this page's answers from another's in the browser, in hexadecimal."""
    if not shown:
        return secrets.token_hex(8)
    keys = [[*one.item.place[1:5], one.item.place.file, one.item.row.value] for one in shown]
    return hashlib.blake2b(
        json.dumps([context.table, context.number, keys]).encode(), digest_size=10
    ).hexdigest()


def _describe_item(one: ShownItem) -> dict[str, Any]:
    """Return what the page needs of a value."""
    item, row, place = one.item, one.item.row, one.item.place
    field = None if item.finding is None else item.finding.item.field
    box = "" if place.box is None else " ".join(map(str, place.box))
    out: dict[str, Any] = {
        "file": row.file,
        "page": row.page,
        "field": row.field,
        "template": place.template,
        "content": place.content,
        "box": box,
        "value": row.value,
        "confidence": None if row.confidence is None else f"{row.confidence:.4f}",
        "status": row.status,
        "detail": row.detail,
        "how": item.how,
        "others": [[text, round(share, 4)] for text, share in item.others],
        "doubtful": rank_doubtful_digits(item),
    }
    if field is not None and (field.label or field.has_rule or field.cells or field.decimals):
        out["rule"] = describe_rule(field, described=item.finding.item.described)  # type: ignore[union-attr]
    if item.said is not None:
        out["said"] = {"answer": item.said.answer, "value": item.said.value}
    if one.view is None:
        out["fault"] = one.fault
        return out
    out["strip"], out["frame"] = _to_data_uri(one.view.strip), one.view.frame
    digits = [sign for sign in row.value if sign != "."]
    if digits and len(digits) == len(one.view.digits) == len(one.ranks):
        out["tiles"] = [_to_data_uri(tile) for tile in one.view.tiles]
        out["ranks"] = [round(rank, 5) for rank in one.ranks]
    if one.picture:
        out["picture"] = one.picture
    return out
