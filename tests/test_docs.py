"""What the README says is true: options, columns, exit codes, the crontab line."""

import re
import shlex
import shutil
from contextlib import closing
from pathlib import Path

import pypdfium2
import pytest
from conftest import FakeClassifier, Save, drawn

from batchdigits import cli, errors, outputs, predict
from batchdigits.options import TrainOptions

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


COMMANDS = [one.callback.__name__ for one in cli.app.registered_commands if one.callback]
COMMANDS += ["form print", "form draft", "form check"]


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli._run_command_line([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


def test_every_option_in_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    ours = re.sub(r"`systemctl [^`]*`", "", README)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)) - {"--version"}
    assert len(named) >= 6
    text = "\n".join(help_of(command, capsys) for command in COMMANDS)
    assert {option for option in named if option not in text} == set()


TYPED_ONLY = {
    "evaluate": {"out"},  # a report must not take the nightly table's place
    "compare": {"out"},
    "calibrate": {"out"},
    "train": {"data"},  # several, and one variable holds one
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
    table = README.partition("| column |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.M)) == outputs.RESULT_COLUMNS


def test_the_exit_codes_are_the_errors() -> None:
    table = README.partition("| exit code |")[2].partition("\n\n")[0]
    told = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for code in row.split(",")
    }
    raised = {kind.exit_code for kind in errors.BatchdigitsError.__subclasses__()}
    assert told == raised | {0, errors.BatchdigitsError.exit_code, 3, 130, 143}


def test_no_figure_is_missing() -> None:
    assert "@@" not in README


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
    (line,) = re.findall(r"^\d+ \d+ \* \* \* .*$", README, re.M)
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
    section = README.partition("## Evaluate and compare")[2].partition("\n## ")[0]
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
    (python,) = re.findall(r"```python\n(.*?)```", section, re.S)
    exec(compile(python, "README.md", "exec"), {})


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
    section = README.partition("## A model of your own")[2].partition("\n## ")[0]
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
        return shipped.Shipped(1, {"measured": {"digits": 1, "right": 1.0}}, options.out)

    monkeypatch.setattr(shipped, "run", run)
    section = README.partition("## Train a network yourself")[2].partition("\n## ")[0]
    lines = re.findall(r"^batchdigits .*$", section, re.M)
    assert len(lines) == 2
    for line in lines:
        assert cli._run_command_line(shlex.split(line)[1:]) == 0, line
    assert [(one.data, one.fine_tune, one.out) for one in asked] == [
        (("mnist.npz", "crops/"), None, "my-model"),
        (("crops/",), "my-model", "my-second"),
    ]


def test_the_lines_on_forms_run(
    inbox: Path, capsys: pytest.CaptureFixture[str], fake_classifier: FakeClassifier
) -> None:
    section = README.partition("## Forms")[2].partition("\n## ")[0]
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
    assert "CC BY-SA 3.0" in out
    assert "default threshold 0." in out


def test_nothing_names_this_machine_or_a_registry() -> None:
    texts = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    texts += [ROOT / "pyproject.toml", ROOT / "constraints.txt", *ROOT.glob("jobs/**/*.py")]
    for path in texts:
        assert not re.search(r"(?i)\bpypi\b|file://|/(?:work|root)/", path.read_text("utf-8")), path
