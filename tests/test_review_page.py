"""The page on which a person settles values, in a real browser; and what is in its file."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from browser import browser_fixture, open_page, save, tab_fixture  # noqa: F401
from cli_runs import Capture, run, table
from conftest import FakeClassifier, Save, drawn
from review_forms import KEPT, copy_scans, read_forms, row

from batchdigits.corrections import read_corrections
from batchdigits.review import build

READ = ("run", "inbox", "--out", "out.csv", "--workers", "0", "-q")
PAGE = ("review", "out.csv", "--out", "review.html", "--workers", "0", "-q")


def make_inbox(save: Save, count: int, confidence: str = "1") -> list[dict[str, str]]:
    for n in range(count):
        save(f"{n:03}.png", drawn(n % 10, seed=n))
        os.utime(f"inbox/{n:03}.png", (1e9, 1e9))
    assert run(*READ, "--min-confidence", confidence) == 0
    return table()


@pytest.fixture(name="fifty")
def fifty_fixture(save: Save, fake_classifier: FakeClassifier) -> list[dict[str, str]]:
    rows = make_inbox(save, 50)
    assert run(*PAGE) == 0
    return rows


def merge(name: str = "corrections.csv") -> list[dict[str, str]]:
    assert run("correct", "out.csv", name, "-q") == 0
    return table()


def data_of(path: str = "review.html") -> Any:
    text = Path(path).read_text("utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(found)


def test_fifty_are_settled_by_keyboard(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    for n in range(50):
        tab.keyboard.press("7" if n == 3 else "b" if n == 5 else "x" if n == 6 else "Enter")
    assert tab.text_content("#count") == "50 of 50"
    found = merge(save(tab))
    for n, (before, after) in enumerate(zip(fifty, found, strict=True)):
        expected = {3: ("7", "verified"), 5: ("", "verified"), 6: ("", "review")}
        assert (after["value"], after["status"]) == expected.get(n, (before["value"], "verified"))


def test_fifty_are_settled_by_mouse(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    for n in range(50):
        tab.click("#pad button:nth-child(9)" if n == 3 else "#blank" if n == 5 else "#accept")
    found = merge(save(tab))
    assert (found[3]["value"], found[5]["value"], found[5]["status"]) == ("8", "", "verified")
    assert {one["status"] for one in found} == {"verified"}


def test_fifty_are_settled_in_groups(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    tab.keyboard.press("g")
    wrong = tab.get_attribute("#tiles button:nth-child(1)", "title")
    tab.click("#tiles button:nth-child(1)")
    for _ in range(10):
        tab.keyboard.press("Enter")
    assert tab.text_content("#count") == "49 of 50"
    tab.click("#to-one")
    assert wrong.partition(":")[0] in (tab.text_content("#where") or "")
    tab.keyboard.press("4")
    found = {one["file"]: one for one in merge(save(tab))}
    assert found[wrong.partition(":")[0]]["value"] == "4"
    assert {one["status"] for one in found.values()} == {"verified"}
    assert {one.how for one in read_corrections("corrections.csv")} == {"group", "one"}


def test_a_page_that_is_opened_again_goes_on(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    for _ in range(20):
        tab.keyboard.press("Enter")
    tab.keyboard.press("u")
    tab.keyboard.press("9")
    open_page(tab)
    assert tab.text_content("#count") == "20 of 50"
    for _ in range(30):
        tab.keyboard.press("Enter")
    assert merge(save(tab))[19]["value"] == "9"


def test_arrows_skip_and_undo_goes_back(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    assert "3 of 50" in (tab.text_content("#where") or "")
    tab.keyboard.press("Backspace")
    assert "2 of 50" in (tab.text_content("#where") or "")
    assert tab.text_content("#count") == "0 of 50"
    tab.click("#back")
    assert "1 of 50" in (tab.text_content("#where") or "")


def test_names_from_outside_are_text(
    inbox: Path, fake_classifier: FakeClassifier, tab: Any, save: Save
) -> None:
    hostile = [
        "<img src=x onerror=alert(1)>.png",
        "</script><script>alert(2).png",
        "'\"&{{7*7}}.png",
    ]
    for name in hostile:
        save(name.replace("/", "\N{DIVISION SLASH}"), drawn(3))
    assert run(*READ, "--min-confidence", "1") == 0
    assert run(*PAGE, "--by", "<b>anna</b>") == 0
    open_page(tab)
    tab.on("dialog", lambda dialog: pytest.fail("a script from a name was run"))
    shown = set()
    for _ in hostile:
        shown.add((tab.text_content("#where") or "").partition("inbox/")[2])
        tab.keyboard.press("ArrowRight")
    assert shown == {name.replace("/", "\N{DIVISION SLASH}") for name in hostile}
    assert tab.input_value("#by") == "<b>anna</b>"


def test_a_value_that_breaks_its_rule_is_asked_twice(
    inbox: Path, fake_classifier: FakeClassifier, tab: Any
) -> None:
    copy_scans("01-scan.png")
    read_forms("--min-confidence", "1")
    assert run(*PAGE, "--field", "birth_year") == 0
    open_page(tab)
    tab.keyboard.type("1871")
    assert tab.text_content("#becomes") == "→ 1871"
    tab.keyboard.press("Enter")
    assert "1871 is under 1900. Enter it once more" in (tab.text_content("#warning") or "")
    assert tab.text_content("#count") == "0 of 1"
    tab.keyboard.press("Enter")
    assert tab.text_content("#count") == "1 of 1"
    merge(save(tab))
    assert row("birth_year")["value"] == "1871"


@pytest.mark.parametrize(
    ("typed", "value", "doubtful", "becomes"),
    [
        ("7", "12345678", [4, 2], "12347678"),
        ("97", "12345678", [4, 2], "12947678"),
        ("97", "123456", [4, 2], "97"),  # a reading may have digits too many
        ("7", "115", [1], "7"),
        ("7", "1234", [], "7"),
        ("1,5", "12345678", [4, 2], "1.5"),
        ("x", "12345678", [4, 2], None),
    ],
)
def test_what_a_typed_text_makes_of_a_reading(
    fifty: list[dict[str, str]],
    tab: Any,
    typed: str,
    value: str,
    doubtful: list[int],
    becomes: str | None,
) -> None:
    open_page(tab)
    item = {"value": value, "doubtful": doubtful}
    assert tab.evaluate("([item, typed]) => combine(item, typed)", [item, typed]) == becomes


def test_the_page_of_a_form_is_shown_on_demand(
    inbox: Path, fake_classifier: FakeClassifier, tab: Any
) -> None:
    copy_scans("01-scan.png")
    read_forms("--min-confidence", "1")
    assert run(*PAGE) == 0
    open_page(tab)
    tab.keyboard.press("p")
    assert tab.evaluate("document.querySelector('#sheetpicture img').naturalWidth") > 300
    tab.keyboard.press("Escape")
    frame = tab.locator("figure .frame").bounding_box()
    assert frame["width"] > frame["height"] > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(
    fifty: list[dict[str, str]], browser: Any, scheme: str
) -> None:
    tab = browser.new_context(color_scheme=scheme).new_page()
    open_page(tab)
    script = """(id) => { const style = getComputedStyle(document.querySelector(id));
        const paper = getComputedStyle(document.body).backgroundColor;
        return [style.color, style.backgroundColor === 'rgba(0, 0, 0, 0)' ? paper
            : style.backgroundColor]; }"""
    for place in ("#detail", "#accept", "#blank", "footer", "#where"):
        ink, paper = (
            [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
            for colour in tab.evaluate(script, place)
        )
        light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, place  # WCAG 2.2, 1.4.3
    tab.context.close()


def luminance(colour: list[float]) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_everything_has_a_name_for_screen_readers(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll('button, input, select, img')].filter((one) => !(
        one.getAttribute('aria-label') || one.alt || one.labels?.length || one.textContent.trim()
        )).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert "Read as" in (tab.text_content("#live") or "")


def test_what_is_printed_is_what_is_not_settled(fifty: list[dict[str, str]], tab: Any) -> None:
    open_page(tab)
    tab.keyboard.press("Enter")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("#print tr").count() == 49
    tab.emulate_media(media="print")
    assert tab.is_visible("#print")
    assert not tab.is_visible("header")


def test_five_thousand_open_and_step(
    save: Save, fake_classifier: FakeClassifier, tab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_inbox(save, 20)
    assert run(*PAGE) == 0
    text, data = Path("review.html").read_text("utf-8"), data_of()
    many = [dict(data["items"][n % 20], file=f"inbox/{n}.png") for n in range(5000)]
    before = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    assert before in text
    Path("many.html").write_text(text.replace(before, json.dumps(data | {"items": many})), "utf-8")
    open_page(tab, "many.html")
    for _ in range(30):
        tab.keyboard.press("Enter")
    assert tab.text_content("#count") == "30 of 5000"


# What is in the file, without a browser


def test_the_page_loads_nothing_and_allows_only_its_own_script(fifty: list[dict[str, str]]) -> None:
    text = Path("review.html").read_text("utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "connect-src 'none'" in policy
    assert not re.findall(r"(?:src|href)=\"?https?:", text)
    assert " style=" not in text
    assert not re.search(r"\son\w+=", text.partition("<script")[0])


def test_the_page_is_as_private_as_the_table(save: Save, fake_classifier: FakeClassifier) -> None:
    make_inbox(save, 3)
    os.chmod("out.csv", 0o600)
    Path("review.html").touch(0o644)
    assert run(*PAGE) == 0
    assert stat.S_IMODE(os.stat("review.html").st_mode) == 0o600


def test_pictures_that_moved_are_found_or_have_a_placeholder(
    save: Save, fake_classifier: FakeClassifier, inbox: Path
) -> None:
    make_inbox(save, 3)
    Path("done").mkdir()
    os.rename("inbox/000.png", "done/000-2.png")
    save("001.png", drawn(9, side=40))
    assert run(*PAGE) == 0
    items = data_of()["items"]
    assert [one.get("fault", "") for one in items] == [
        "its file is not where it was",
        "its file is another now",
        "",
    ]
    assert run(*PAGE, "--pictures", "done") == 0
    assert "strip" in data_of()["items"][0]


def test_what_was_said_is_not_asked_again(save: Save, fake_classifier: FakeClassifier) -> None:
    make_inbox(save, 3)
    Path("said.csv").write_text("file,answer\ninbox/000.png,unreadable\ninbox/001.png,blank\n")
    assert run("correct", "out.csv", "said.csv", "-q") == 0
    assert run(*PAGE) == 0
    assert [one["file"] for one in data_of()["items"]] == ["inbox/002.png"]
    assert run(*PAGE, "--again") == 0
    assert [one.get("said") for one in data_of()["items"]] == [
        {"answer": "unreadable", "value": ""},
        {"answer": "blank", "value": ""},
        None,
    ]


def test_sure_values_are_drawn_for_an_audit_and_shown_in_groups(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    make_inbox(save, 30, "0.5")
    sure = sum(one["status"] == "ok" for one in table())
    assert 6 < sure < 30
    assert run(*PAGE, "--audit", "5", "--seed", "1") == 0
    drawn_first = [one["file"] for one in data_of()["items"] if one["how"] == "audit"]
    assert len(drawn_first) == 5
    assert run(*PAGE, "--audit", "5", "--seed", "2") == 0
    assert drawn_first != [one["file"] for one in data_of()["items"] if one["how"] == "audit"]
    assert run(*PAGE, "--audit", "99", "--groups") == 0
    assert [one["how"] for one in data_of()["items"]].count("audit") == sure
    assert run(*PAGE, "--groups") == 0
    items = data_of()["items"]
    assert len(items) == 30
    assert [one["how"] for one in items] == ["one"] * (30 - sure) + ["group"] * sure


def test_many_values_have_several_pages(
    save: Save, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_inbox(save, 25)
    monkeypatch.setattr(build, "ITEMS_PER_PAGE", 10)
    assert run(*PAGE) == 0
    names = ["review.html", "review-2.html", "review-3.html"]
    assert [len(data_of(name)["items"]) for name in names] == [10, 10, 5]
    assert data_of("review-2.html")["pages"] == names
    ids = {data_of(name)["id"] for name in names}
    assert len(ids) == 3  # a browser keeps their answers apart


def test_a_table_without_a_state_has_pictures_of_digits(
    save: Save, fake_classifier: FakeClassifier
) -> None:
    make_inbox(save, 3)
    os.rename("out.csv", "alone.csv")
    assert run("review", "alone.csv", *PAGE[2:]) == 0
    items = data_of()["items"]
    assert ["strip" in one for one in items] == [True] * 3
    assert all(one["content"] for one in items)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("out.csv",), 2, "--out is missing"),
        (("out.csv", "--out", "review.csv"), 2, "expected a page, .html"),
        (("out.csv", "--out", "out.csv", "--serve"), 2, "is the table, or what was said about it"),
        (("out.csv", "--out", KEPT, "--serve"), 2, "is the table, or what was said about it"),
        (("out.xlsx", "--out", "out.xlsx"), 2, "is the table, or what was said about it"),
        (("none.csv", "--out", "a.html"), 2, "'none.csv' does not exist"),
        (("out.csv", "--out", "nowhere/a.html"), 5, "make it, or choose another"),
        (("out.csv", "--out", "a.html", "--field", "year"), 2, "no such field"),
        (("out.csv", "--out", "a.html", "--state", "none.state"), 2, "does not exist"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...],
    code: int,
    reason: str,
    save: Save,
    fake_classifier: FakeClassifier,
    capsys: Capture,
) -> None:
    make_inbox(save, 2)
    assert run("review", *arguments, "--workers", "0") == code
    assert reason in capsys.readouterr().err
    assert not Path("a.html").exists()


def test_nothing_for_review_is_a_page_that_says_so(
    save: Save, fake_classifier: FakeClassifier, capsys: Capture, tab: Any
) -> None:
    make_inbox(save, 2, "0")
    assert run(*PAGE[:-1]) == 0
    assert "nothing is for review" in capsys.readouterr().err
    open_page(tab)
    assert tab.text_content("#figure") == "Nothing to settle here."
