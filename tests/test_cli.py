"""The command line as a person meets it."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from robocat import __version__, cli

ROOT = Path(__file__).parents[1]


def _robocat(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "robocat", *args]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False
    )


# Verbs for these tests; what they do is in their names.
def _greet(name: str = "you", *, times: int = 1) -> int:
    """Greets."""
    print(f"hello {name} " * times)
    return 3  # Not an exit code.


def _misuse() -> None:
    """Fails as a user's mistake does."""
    raise FileNotFoundError(2, "No such file or directory", "runs/nowhere")


def _break() -> None:
    """Fails as our own mistake does."""
    raise KeyError("bug")


def _interrupt() -> None:
    """Is interrupted."""
    raise KeyboardInterrupt


def _close_pipe() -> None:
    """Prints to a reader who has left."""
    raise BrokenPipeError


@pytest.fixture(autouse=True)
def _test_verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    for verb in ("greet", "misuse", "break", "interrupt", "group greet", "group misuse"):
        target = f"{__name__}:_{verb.split()[-1]}"
        monkeypatch.setitem(cli.COMMANDS, verb, (target, "a verb of the tests"))


def test_help_lists_every_verb() -> None:
    done = _robocat("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("collect", "improve", "data check", "doctor"):
        assert f"  {verb} " in done.stdout
    assert done.stdout.isascii()
    assert done.stdout == _robocat().stdout == _robocat("-h").stdout


def test_help_answers_at_once() -> None:
    """Under half a second of processor time, whatever else the machine is doing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _robocat("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from robocat.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "mujoco", "numpy", "gymnasium", "tyro", "rich"} & set(done.stderr.split())


def test_version() -> None:
    assert _robocat("--version").stdout == f"robocat {__version__}\n"


@pytest.mark.parametrize("verb", cli.COMMANDS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*verb.split(), "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: robocat {verb}" in said and "STR STR" not in said
    # One list of each: what is grouped in the program is one to whoever reads it. A heading is underlined.
    headings = [line.strip() for line in re.findall("^(.+)\n -+ *$", said, re.MULTILINE)]
    assert headings in (["options"], ["positional arguments", "options"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trian"], "robocat: unknown verb 'trian'; did you mean 'train'? verbs: "),
        (["data", "chek"], "robocat: unknown data verb 'chek'; did you mean 'check'? data verbs: "),
        (["--preset", "nano"], "robocat: unknown verb '--preset'"),
    ],
)
def test_unknown_verb_is_one_line(args: list[str], said: str) -> None:
    done = _robocat(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_group_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["group"]) == cli.main(["group", "--help"]) == 0
    said = capsys.readouterr().out
    assert "group greet" in said and "group misuse" in said
    assert "collect" not in said


def test_arguments_reach_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["greet", "--name", "cat", "--times", "2"]) == 0
    assert cli.main(["group", "greet"]) == 0
    assert capsys.readouterr().out == "hello cat hello cat \nhello you \n"


def test_bad_argument_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["greet", "--times", "often"])
    assert stopped.value.code == 2
    assert "often" in capsys.readouterr().err


def test_users_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["group", "misuse"]) == 1
    said = capsys.readouterr().err
    assert said == "robocat group misuse: [Errno 2] No such file or directory: 'runs/nowhere'\n"


def test_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOCAT_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        cli.main(["misuse"])


def test_our_error_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        cli.main(["break"])


def test_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["interrupt"]) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to go on\n"


def test_closed_pipe_is_quiet() -> None:
    verb = f"cli.COMMANDS['x'] = ('{__name__}:_close_pipe', '')"
    code = f"import sys; from robocat import cli; {verb}; sys.exit(cli.main(['x']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
