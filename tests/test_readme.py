"""What the README says can be done can be done, and what it names is there."""

import re
import shlex
from pathlib import Path

import pytest

from bench.variants import changed
from robocat.agent_config import AgentConfig
from robocat.cli import COMMANDS, main
from robocat.presets import PRESETS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```([a-z]*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return [text for named, text in fenced if named == language]


def _commands() -> list[list[str]]:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


ROBOCAT = [words[1:] for words in _commands() if words and words[0] == "robocat" and words[1:] != ["--help"]]


def test_make_has_its_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for words in _commands() if words and words[0] == "make"}
    assert named == {"cycle", "test"} <= targets


@pytest.mark.parametrize("words", ROBOCAT, ids=" ".join)
def test_verbs_have_the_options_that_are_used(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    verb = next(verb for n in (3, 2, 1) if (verb := " ".join(words[:n])) in COMMANDS)
    with pytest.raises(SystemExit):
        main([*verb.split(), "--help"])
    said = capsys.readouterr().out
    assert all(word in said for word in words if word.startswith("--"))


DECLARING = [code for code in _blocks("python") if "BENCH6 = Arm(" in code]


def test_an_arm_of_ones_own_is_declared_as_the_one_that_is_tested() -> None:
    file = (ROOT / "tests" / "data" / "bench6.py").read_text(encoding="utf-8")
    assert [file.partition('"""\n\n')[2]] == DECLARING


@pytest.mark.parametrize("code", [code for code in _blocks("python") if code not in DECLARING])
def test_python_runs(code: str) -> None:
    names: dict[str, object] = {}
    exec(code, names)
    assert set(names["observation"]) == {"images", "proprio", "goal"}  # pyright: ignore


def test_what_is_shown_and_drawn_is_there() -> None:
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", TEXT)
    assert len(shown) >= 3
    assert all((ROOT / path).is_file() for path in shown)


def test_every_result_that_is_cited_is_kept() -> None:
    """In the README, and wherever code gives one as its reason."""
    cited = set(re.findall(r"`(?:bench/results/)?([a-zA-Z0-9-]+\.json)`", TEXT))
    for folder in ("bench", "demos", "finetune", "robocat", "sim"):
        for path in (ROOT / folder).rglob("*.py"):
            cited |= set(re.findall(r"bench/results/([a-zA-Z0-9-]+\.json)", path.read_text(encoding="utf-8")))
    kept = {path.name for path in (ROOT / "bench" / "results").iterdir()}
    assert len(cited) > 10 and not cited - kept


def test_every_departure_from_the_paper_is_named() -> None:
    """An agent's are options; of the sizes nobody expects the paper's."""
    departures = changed(PRESETS["nano"].agent, AgentConfig())
    assert {name for name in departures if f"`{name}`" not in TEXT} == set()
    assert set(changed(PRESETS["nano-faithful"].agent, AgentConfig())) == {"context", "context_tokens"}
    large = changed(PRESETS["364M"].agent, AgentConfig()), changed(PRESETS["1.2B"].agent, AgentConfig())
    assert [set(each) for each in large] == [{"width", "blocks", "heads"}] * 2


def test_every_file_in_the_tree_is_there() -> None:
    tree = next(block for block in _blocks("") if block.startswith("sim/"))
    folder, missing = ROOT, list[str]()
    for line in tree.splitlines():
        if line and not line.startswith(" "):
            folder = ROOT / line.split("/")[0]
        for name in re.findall(r"\b[a-z_]+\.py\b", line):
            if not (folder / name).is_file():
                missing.append(f"{folder.name}/{name}")
    assert not missing
