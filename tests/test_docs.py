"""The README and `docs/` agree with the program: commands, options, snippets, columns, links."""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import typer
from conftest import FakeClassifier, Save, drawn

from batchdigits import cli, errors, outputs, predict
from batchdigits.options import RunOptions, TrainOptions

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")))
}
"""The README, the documents beside it, and the pages of `docs/`: text by path."""
README = PAGES["README.md"]

COMMANDS = [one.callback.__name__ for one in cli.app.registered_commands if one.callback]
COMMANDS += ["form print", "form draft", "form check"]


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli._run_command_line([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


def test_every_option_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    others = r"`(?:systemctl|python|[\w./]*pip) [^`]*`|^(?:python|find|docker) .*$"  # not ours
    ours = re.sub(others, "", "\n".join(PAGES.values()), flags=re.M)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours))
    named -= {"--install-completion", "--show-completion"}  # Typer's own
    assert len(named) >= 6
    text = "\n".join(help_of(command, capsys) for command in COMMANDS)
    assert {option for option in named if option not in text} == set()


def shell_lines(text: str) -> Iterator[str]:
    """Yield the lines of the blocks that hold commands."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if language in ("", "sh"):
            yield from block.replace("\\\n", " ").splitlines()


def own_commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `batchdigits ...` in those lines, in pipes too."""
    for line in shell_lines(text):
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        for is_operator, group in groupby(words, lambda word: set(word) <= set("|;&")):
            first, *arguments = group
            if not is_operator and Path(first).name == "batchdigits":
                yield arguments


SHOWN = [(page, shlex.join(one)) for page, text in PAGES.items() for one in own_commands(text)]


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_every_command_is_understood(page: str, line: str) -> None:
    """Options exist and have their values, arguments are as many as there should be."""
    name, *arguments = shlex.split(line)
    command: Any = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    if name == "form":
        name, *arguments = arguments
        command = command.commands[name]
    given = command.make_context(name, arguments).params
    if kind := {"run": RunOptions, "train": TrainOptions}.get(name):
        kind.from_settings(
            {key: one for key, one in given.items() if key not in ("inputs", "_config")}
        )


def test_every_command_is_shown() -> None:
    shown = {" ".join(line.split()[: 2 if line.startswith("form ") else 1]) for _, line in SHOWN}
    assert shown == set(COMMANDS) - {"info", "form"}


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "```python" in text])
def test_the_python_snippets_run(page: str, save: Save, fake_classifier: FakeClassifier) -> None:
    """Those of a page after each other, beside an inbox, its table and the truth."""
    for digit in range(3):
        save(f"{digit}.png", drawn(digit))
    assert (
        cli._run_command_line(["run", "inbox", "--out", "results.csv", "--workers", "0", "-q"]) == 0
    )
    Path("truth.csv").write_text("file,value\ninbox/1.png,1\n")
    names: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```$", PAGES[page], re.M | re.S):
        exec(compile(snippet, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", PAGES[page]):
        path, _, heading = "".join(link).partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if heading:
            titles = re.sub(r"[^\w\n -]", "", target.read_text("utf-8").lower()).replace(" ", "-")
            assert f"-{heading}" in titles.splitlines(), link


def test_scripts_that_show_figures_exist() -> None:
    texts = PAGES.values()
    shown = [line for text in texts for line in shell_lines(text)]
    shown += re.findall(r"(?<!`)`([^`]+)`(?!`)", "\n".join(texts))
    for command in shown:
        for script in re.findall(r"\bjobs/[\w/]+\.py\b", command):
            options = re.findall(r"--[a-z-]+", command.partition(script)[2])
            source = (ROOT / script).read_text("utf-8")
            assert [one for one in options if f'"{one}"' not in source] == [], command


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert README.count("\n") <= 150
    pages = {page for page in PAGES if page.startswith("docs/")}
    assert pages - set(re.findall(r"\]\(([^)#]+)\)", README)) == set()


def test_the_tables_of_the_readme_are_those_of_the_samples() -> None:
    of_forms, first = re.findall(r"```csv\n(.*?)```", README, re.S)
    assert (ROOT / "samples/expected.csv").read_text("utf-8").startswith(first)
    assert of_forms in (ROOT / "samples/forms/expected.csv").read_text("utf-8")


TYPED_ONLY = {
    "evaluate": {"out", "html"},  # a report must not take the nightly table's place
    "compare": {"out"},
    "calibrate": {"out"},
    "train": {"data", "pictures"},  # several, and one variable holds one
    "review": {"out", "pictures"},
    "form print": {"out"},
    "form draft": {"out"},
    "form check": {"out"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_reads_the_environment(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = re.sub(r"\s+", " ", help_of(command, capsys))
    options = set(re.findall(r" --([a-z-]+)", text)) - {"help"}
    variables = {name.lower().replace("_", "-") for name in re.findall(r"BATCHDIGITS_(\w+)", text)}
    assert variables == options - TYPED_ONLY.get(command, set())


def test_the_columns_are_the_tables() -> None:
    table = PAGES["docs/output.md"].partition("| column |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.M)) == outputs.RESULT_COLUMNS


def test_the_exit_codes_are_the_errors() -> None:
    table = README.partition("| exit code |")[2].partition("\n\n")[0]
    told = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for code in row.split(",")
    }
    raised = {kind.exit_code for kind in errors.BatchdigitsError.__subclasses__()}
    assert told == raised | {0, errors.BatchdigitsError.exit_code, 3, 130, 143}


def test_no_figure_is_missing() -> None:
    assert {page for page, text in PAGES.items() if "@@" in text} == set()


def test_both_set_up_lines_are_single_lines() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    assert [block.count("\n") for block in blocks] == [1, 1]
    assert "batchdigits run samples" in blocks[0]
    assert blocks[1].strip().endswith("-m pytest")
    assert "grep -m 1 -- '-m pytest' README.md" in (ROOT / ".ci/run").read_text("utf-8")


def test_the_crontab_line_runs(
    save: Save,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = README, PAGES["docs/nightly.md"]
    (line,), (again,) = (re.findall(r"^\d+ \d+ \* \* \* .*$", text, re.M) for text in texts)
    assert line == again
    words = shlex.split(line.partition("&&")[2])
    assert words[0].endswith("/bin/batchdigits")
    save("a.png", drawn(1))
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    assert cli._run_command_line(words[1:]) == 0
    assert Path("results.csv").exists()
    assert capsys.readouterr() == ("", "")


def test_the_lines_on_evaluation_run(
    save: Save,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    section = PAGES["docs/evaluate.md"]
    lines = re.findall(r"^batchdigits (?:evaluate|compare) .*$", section, re.M)
    assert len(lines) == 4
    for name in ("7/a.png", "10/b.png", "x/c.png"):
        save(name, drawn(7))
    Path("inbox").rename("labelled")
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    card = predict.load_card(None)
    monkeypatch.setattr(predict, "load_card", lambda path: card)  # there is no my.keras
    for out in ("results.csv", "old.csv", "new.csv"):
        assert cli._run_command_line(["run", "labelled", "--as", "digit", "--out", out, "-q"]) == 0
    Path("truth.csv").write_text("file,value\nlabelled/7/a.png,7\n")
    for line in lines:
        assert cli._run_command_line(shlex.split(line)[1:]) == 0, line
    assert {"readings.csv", "mistakes.png"} <= {path.name for path in Path("report").iterdir()}


def shipped_without_its_last_class(place: str) -> None:
    """Save a model that reads digits and knows nothing else, as those trained elsewhere do."""
    import keras

    shipped = predict.load_keras_model(predict.resolve_keras_path(None))
    kernel, bias = shipped.layers[-1].get_weights()
    last = keras.layers.Dense(10)
    model = keras.Sequential([keras.Input((28, 28, 1)), *shipped.layers[:-1], last])
    last.set_weights([kernel[:, :10], bias[:10]])
    model.save(place)


def test_the_lines_on_a_model_of_your_own_run(
    save: Save, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    section = PAGES["docs/models.md"].partition("## A model of your own")[2].partition("\n## ")[0]
    lines = re.findall(r"^batchdigits .*$", section, re.M)
    assert [line.split()[1] for line in lines] == ["calibrate", "run"]
    for n in range(500):
        save(f"../labelled/{n % 10}/{n}.png", drawn(n % 10, seed=n))
    save("a.png", drawn(1))
    shipped_without_its_last_class("my.keras")
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    for line in lines:
        assert cli._run_command_line(shlex.split(line)[1:]) == 0, line
    assert "500 digits" in capsys.readouterr().err
    assert Path("results.csv").exists()


def test_the_lines_on_the_default_recipe_are_understood(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They train for long: here they only reach what trains, with these options."""
    from batchdigits.training import shipped

    asked = []

    def run(options: TrainOptions, tell: object, *, bar: bool) -> shipped.Shipped:
        asked.append(options)
        return shipped.Shipped((1, 1), {"measured": {"digits": 1, "right": 1.0}}, options.out)

    monkeypatch.setattr(shipped, "run", run)
    section = PAGES["docs/models.md"].partition("## Train a bundle")[2].partition("\n## ")[0]
    lines = re.findall(r"^batchdigits .*$", section, re.M)
    assert len(lines) == 2
    for line in lines:
        assert cli._run_command_line(shlex.split(line)[1:]) == 0, line
    assert [(one.data, one.fine_tune, one.out) for one in asked] == [
        (("mnist.npz", "crops/"), None, "my-model"),
        (("crops/",), "my-model", "my-second"),
    ]


def test_the_line_on_the_recipe_numbers_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    from batchdigits.training import number_bundle

    asked = []

    def run(options: TrainOptions, tell: object, *, bar: bool) -> number_bundle.NumberTraining:
        asked.append((options.data, options.fine_tune, options.out))
        card = {"numbers": {"measured": {"strings": 1, "right": 1.0}}}
        return number_bundle.NumberTraining(1, card, options.out)

    monkeypatch.setattr(number_bundle, "train_number_reader", run)
    section = PAGES["docs/models.md"].partition("## Train a number reader")[2]
    (line,) = re.findall(r"^batchdigits .*$", section, re.M)
    assert cli._run_command_line(shlex.split(line)[1:]) == 0
    assert asked == [(("mnist.npz", "amounts/"), "my-model", "my-numbers")]


def test_the_lines_on_forms_run(
    inbox: Path, capsys: pytest.CaptureFixture[str], fake_classifier: FakeClassifier
) -> None:
    section = PAGES["docs/forms.md"].partition("## Pages without a template")[0]
    lines = re.findall(r"^batchdigits .*$", section, re.M)
    assert [line.split()[2] for line in lines[:4]] == ["print", "draft", "check", "check"]
    (template,) = re.findall(r"```toml\n(.*?)```", section, re.S)
    Path("form.toml").write_text(template, "utf-8")
    printed, drafted, *others = (shlex.split(line)[1:] for line in lines)
    assert cli._run_command_line(printed) == 0
    with closing(pypdfium2.PdfDocument("form.pdf")) as document:
        page = document[0].render(scale=150 / 72, grayscale=True).to_pil()
    page.save("blank.png", dpi=(150, 150))
    for folder in ("scans", "forms"):
        Path(folder).mkdir()
    page.save("scan.png")
    page.save("scans/scan.png")
    shutil.copy("form.toml", "forms")
    for arguments in (drafted, *others[:-1]):
        assert cli._run_command_line(arguments) == 0, arguments
    assert capsys.readouterr().out == ""
    for made in ("drawn.png", "results.csv", "pages.csv", "digits.csv"):
        assert Path(made).exists()
    assert others[-1][:2] == ["run", "samples/forms"]  # test_samples runs it


def test_info_tells_versions_and_the_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict, "describe_devices", lambda: "Keras backend fake: CPU, no GPU")
    assert cli._run_command_line(["info"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^batchdigits \d+\.\d+\.\d+, preprocessing \d+$", out, re.M)
    assert re.search(r"^keras \d", out, re.M)
    assert "Keras backend fake: CPU, no GPU" in out
    assert re.search(r"^    CC BY-SA 3\.0 +MNIST, training part", out, re.M)
    assert re.search(r"^    unknown for the pictures +ORAND-CAR-A", out, re.M)
    assert "default threshold 0." in out


def test_every_source_of_the_models_is_credited_with_its_licence() -> None:
    """In the text that the package ships, to which `info` leads, and in the README."""
    whole = predict.load_card(None).whole
    shipped = (ROOT / "batchdigits/licences/ATTRIBUTION.md").read_text("utf-8")
    for one in [*whole["training"], *whole["numbers"]["training"]]:
        name = re.split(r"[ ,'(]", one["source"])[0]
        licence = re.split(r"-2| \(|,| for ", one.get("licence", ""))[0]
        for text in (shipped, README.partition("## Licences")[2]):
            if not one["source"].startswith(("the same", "letters", "digits of", "strings")):
                assert name.lower() in text.lower(), one
            assert licence in text, one


def test_nothing_names_this_machine_or_a_registry() -> None:
    texts = [ROOT / page for page in PAGES]
    texts += [ROOT / "pyproject.toml", ROOT / "constraints.txt", *ROOT.glob("jobs/**/*.py")]
    for path in texts:
        assert not re.search(r"(?i)\bpypi\b|file://|/(?:work|root)/", path.read_text("utf-8")), path
