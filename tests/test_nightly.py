"""The files of jobs/nightly work unchanged under cron and systemd."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Save, drawn

from batchdigits import cli

NIGHTLY = Path(__file__).parent.parent / "jobs" / "nightly"
COMMAND = "/srv/batchdigits/.venv/bin/batchdigits"
CONFIG = "/etc/batchdigits/nightly.toml"
NAME = "žluť '1'.png"
MAIL = "batchdigits-mail@.service"


@pytest.fixture
def forms(save: Save, fake_classifier: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as /srv/forms is: a scan that was read, one that just comes, and the settings."""
    save(NAME, drawn(1))
    os.utime(Path("inbox", NAME), (5, 5))
    here = Path.cwd()
    text = (NIGHTLY / "nightly.toml").read_text("utf-8")
    Path("nightly.toml").write_text(text.replace("/srv/forms", str(here)), "utf-8")
    monkeypatch.delenv("BATCHDIGITS_SETTLE")
    assert cli._run_command_line(["run", "--config", "nightly.toml", "--workers", "0"]) == 0
    save("2.png", drawn(2))
    return here


def test_the_settings_are_options(
    forms: Path, fake_classifier: object, capsys: pytest.CaptureFixture[str]
) -> None:
    for moves in (False, True):
        text = Path("nightly.toml").read_text("utf-8")
        if moves:
            text = text.replace("# move-", "move-")
        Path("nightly.toml").write_text(text, "utf-8")
        assert cli._run_command_line(["run", "--config", "nightly.toml", "--workers", "0"]) == 0
        assert capsys.readouterr() == ("", "")
        assert len(Path("results.csv").read_text("utf-8").splitlines()) == 2
        assert Path("done", NAME).exists() == moves
    assert {"batchdigits.log", "summary.json"} <= {path.name for path in forms.iterdir()}


CRON = """
set -e
mount -t tmpfs none /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
mount -t tmpfs none /run
mount -t tmpfs none /etc/cron.d
mount --bind /dev/null /etc/crontab
mount --bind mail /usr/sbin/sendmail
crontab tab
echo ready
exec cron -f
"""


def under_cron(table: str) -> list[str]:
    """Have a cron daemon of its own run a table, in a namespace that hides the real one's files.

    Returns:
        The lines of the body of the mail that it sends.
    """
    if os.geteuid() != 0:
        pytest.skip("cron runs each line as its user, which only root may do")
    for name in ("cron", "crontab", "unshare", "/usr/sbin/sendmail"):
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{name} is not here (Debian: cron, util-linux, a mail transport)")
    Path("mail").write_text(f"#!/bin/sh\ncat >> '{Path.cwd()}/mailed'\n")
    Path("mail").chmod(0o755)
    Path("tab").write_text(table, "utf-8")
    daemon = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", CRON],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stdout is not None
        if daemon.stdout.readline() != "ready\n":
            pytest.skip(f"no cron can be started here: {daemon.communicate()[1].strip()}")
        ended = time.monotonic() + 60
        while not Path("ended").exists() and time.monotonic() < ended:
            time.sleep(0.05)
        assert Path("ended").exists(), "cron did not run the line"
        time.sleep(0.5)  # the mail comes after it
    finally:
        daemon.kill()
        daemon.communicate()
    Path("ended").unlink()
    mail = Path("mailed").read_text("utf-8") if Path("mailed").exists() else ""
    return mail.partition("\n\n")[2].splitlines()


def as_cron_would(table: str) -> list[str]:
    """Run the line of a table as cron's manual says, without it; gives what would be mailed."""
    *settings, line = (line for line in table.splitlines() if not line.startswith("#"))
    variables = dict(setting.split("=", 1) for setting in settings)
    told = subprocess.run(
        ["/bin/sh", "-c", line.removeprefix("@reboot ")],
        env={"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", **variables},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return told.stdout.splitlines()


@pytest.mark.parametrize("run", [under_cron, as_cron_would])
def test_the_crontab_reads_and_mails_when_something_is_wrong(
    forms: Path, run: Callable[[str], list[str]]
) -> None:
    """In cron's own environment: next to nothing in PATH, no language, another folder."""
    here = Path(__file__).parent
    text = (NIGHTLY / "crontab").read_text("utf-8")
    assert "\n0 2 * * * " in text
    text = text.replace("\n0 2 * * * ", "\n@reboot ")  # at once, and not at two
    ours = f"'{sys.executable}' '{here}/nightly_main.py'"
    text = text.replace(COMMAND, ours).replace(CONFIG, f"'{forms}/nightly.toml'")
    text = text.rstrip() + f" ; echo $? > '{forms}/ended'\n"
    text = f"PYTHONPATH={here.parent}:{here}\n{text}"
    assert run(text) == []
    rows = Path("results.csv").read_text("utf-8").splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [f"{forms}/inbox/{NAME}"]
    Path("inbox/bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.utime("inbox/bad.png", (5, 5))
    named, line = run(text)
    assert "inbox/bad.png: " in named
    assert "1 error; 1 known already; 1 left for next time" in line


def test_the_crontab_is_one(tmp_path: Path) -> None:
    if shutil.which("crontab") is None:
        pytest.skip("crontab is not here (Debian: cron)")
    told = subprocess.run(
        ["crontab", "-n", NIGHTLY / "crontab"], capture_output=True, text=True, check=False
    )
    if "invalid option" in told.stderr:
        pytest.skip("this crontab cannot check a file")
    assert told.returncode == 0, told.stderr


def unit(name: str, folder: Path = NIGHTLY) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(folder / name, "utf-8")
    return found


def test_what_an_administrator_types_names_what_the_job_names() -> None:
    texts = {one.name: one.read_text("utf-8") for one in NIGHTLY.iterdir() if one.is_file()}
    once = [line[4:] for line in texts["nightly.toml"].splitlines() if line.startswith("#   ")]
    assert [line.split()[0] for line in once if not line.startswith("/")] == [
        *("useradd", "python3", "install", "install", "install"),
    ]
    typed = "\n".join(once)
    service = unit("batchdigits.service")["Service"]
    assert f"nologin {service['User']}" in typed
    assert f"-m venv {COMMAND.removesuffix('/bin/batchdigits')} " in typed
    assert f"nightly.toml {CONFIG}" in typed
    for folder in (service["ReadWritePaths"], service["ReadOnlyPaths"]):
        assert f" {folder} " in typed
    assert f"crontab -u {service['User']} jobs/nightly/crontab" in texts["crontab"]


def test_the_service_reads_the_inbox_and_writes_beside_the_table_alone() -> None:
    service = unit("batchdigits.service")["Service"]
    settings = tomllib.loads((NIGHTLY / "nightly.toml").read_text("utf-8"))
    assert service["ExecStart"] == f"{COMMAND} run --config {CONFIG}"
    assert service["ProtectSystem"] == "strict"
    assert [service["ReadOnlyPaths"]] == settings["inputs"]
    assert [unit("batchdigits.service")["Unit"]["RequiresMountsFor"]] == settings["inputs"]
    assert "SuccessExitStatus" not in service  # a night with too many failures is a failed unit
    for name in ("out", "log-file", "summary-json"):
        assert os.path.dirname(settings[name]) == service["ReadWritePaths"]
    for name in ("PrivateTmp", "PrivateNetwork", "PrivateDevices", "NoNewPrivileges"):
        assert service[name] == "true"
    assert service["CapabilityBoundingSet"] == ""
    assert service["User"] != "root"
    timer = unit("batchdigits.timer")["Timer"]
    assert (timer["OnCalendar"], timer["Persistent"]) == ("*-*-* 02:00", "true")


def test_systemd_takes_the_units_and_finds_them_safe(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here (Debian: systemd)")
    for name in ("batchdigits.service", "batchdigits.timer", MAIL):
        text = (NIGHTLY / name).read_text("utf-8").replace(COMMAND, "/bin/true")
        (tmp_path / name).write_text(text, "utf-8")
    units = [str(tmp_path / name) for name in ("batchdigits.service", "batchdigits.timer")]
    told = analyze("verify", *units)
    assert (told.returncode, told.stderr) == (0, "")
    told = analyze("security", "--offline=true", "--threshold=15", units[0])
    if "unrecognized option" in told.stderr:
        pytest.skip("this systemd-analyze knows no --offline")
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("folder", [NIGHTLY, NIGHTLY / "user"], ids=["root", "user"])
def test_a_failed_night_is_mailed(folder: Path, tmp_path: Path) -> None:
    """What the mail unit runs, run here: with a journal and a mail program that write down."""
    assert unit("batchdigits.service", folder)["Unit"]["OnFailure"] == MAIL.replace("@", "@%n")
    service = unit(MAIL, folder)["Service"]
    shell, option, script = shlex.split(service["ExecStart"])
    for name, text in (
        ("journalctl", "echo journal of $*"),
        ("sendmail", f"cat > {tmp_path}/mail"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    line = script.replace("%i", "batchdigits.service").replace("$$", "$")
    line = line.replace("/usr/sbin/sendmail", f"{tmp_path}/sendmail")
    environment = dict([service["Environment"].split("=", 1)])
    environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run([shell, option, line], env=environment, check=True)
    mail = (tmp_path / "mail").read_text()
    assert mail.startswith("To: forms@localhost\nSubject: batchdigits.service failed on ")
    assert "\n\njournal of " in mail
    assert "--unit batchdigits.service" in mail
    assert ("--user" in mail) == (folder.name == "user")


def test_the_units_of_a_user_do_what_the_systems_do() -> None:
    mine, theirs = (unit("batchdigits.service", NIGHTLY / "user"), unit("batchdigits.service"))
    for name in ("Type", "TimeoutStartSec", "TimeoutStopSec", "Nice"):
        assert mine["Service"][name] == theirs["Service"][name]
    command = "%h/batchdigits/.venv/bin/batchdigits run --config %h/forms/nightly.toml"
    assert mine["Service"]["ExecStart"] == command
    assert "User" not in mine["Service"]
    timers = [unit("batchdigits.timer", folder) for folder in (NIGHTLY, NIGHTLY / "user")]
    assert timers[0]["Timer"] == timers[1]["Timer"]


def test_the_line_for_cron_alone_runs(
    save: Save,
    fake_classifier: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save("a.png", drawn(1))
    (line,) = re.findall(r"^0 2 .*$", (NIGHTLY / "crontab-user").read_text("utf-8"), re.M)
    words = shlex.split(line.partition("&&")[2])
    assert words[0] == "$HOME/batchdigits/.venv/bin/batchdigits"
    monkeypatch.setenv("BATCHDIGITS_WORKERS", "0")
    os.utime("inbox/a.png", (5, 5))
    assert cli._run_command_line(words[1:]) == 0
    assert capsys.readouterr() == ("", "")
    made = {path.name for path in Path().iterdir()}
    assert {"results.csv", "tonight.csv", "batchdigits.log", "summary.json"} <= made


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
