"""Arms and tasks of the user's own: files outside the package are enough, and wrong ones are explained."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from demos import workers
from demos.expert import SILENT, Expert
from demos.replay import environment, replay
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from demos.view import view
from robocat.cli import main
from robocat.data import Data
from robocat.scores import Scores
from sim import own
from sim.arms import ARMS, OWN_ARMS, Arm, find_arm
from sim.arms.grippers import PANDA_HAND
from sim.arms.inspection import inspect_arm
from sim.env import ManipulationEnv, make
from sim.names import UnknownName
from sim.own import arm_name, arm_names, check_arm, declare, task_name, task_names
from sim.registration import ANY
from sim.tasks import OWN_TASKS, TASKS, find_task
from sim.tasks.task import Task
from sim.tasks.trial import inspect_task
from tests.tiny import learn, learn_images
from tests.worlds import BASIC, actions, blind, play

DATA = Path(__file__).parent / "data"
ARM, TASK = str(DATA / "bench6.py"), str(DATA / "touch.py")


@pytest.fixture(autouse=True)
def _strangers() -> None:
    """Both are known, whichever tests ran before."""
    declare(ARM)
    declare(TASK)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose demonstrations are of an own arm at an own task and a known one, by two processes."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "PIECE", 3)
        given = ["--arms", ARM, "panda", "--tasks", TASK, "--episodes", "6", "--size", "32"]
        assert main(["collect", *given, "--out", str(folder / "stores" / "demos")]) == 0
    return folder


def test_names_and_files_may_be_mixed_and_are_known_from_then_on() -> None:
    assert arm_names([ARM, "panda"]) == ("bench6", "panda")
    assert task_names(["lift", TASK]) == ("lift", "touch")
    assert arm_name(ARM) == "bench6" and task_name(TASK) == "touch"
    assert find_arm("bench6").joints[0] == "turn" and find_task("touch").variations == ("black", "white")
    assert declare(ARM) is declare(Path(ARM)), "run twice"
    assert "bench6" not in ARMS and "touch" not in TASKS, "the tables are the package's"


def test_a_file_declares_what_is_new_in_it_and_all_of_that(tmp_path: Path) -> None:
    """What it imports from the tables it does not declare."""
    file = tmp_path / "two.py"
    file.write_text(
        "from dataclasses import replace\nfrom sim.arms.panda import PANDA\nfrom sim.tasks.lift import LIFT\n"
        "ONE = replace(PANDA, name='slow-panda', linear_m_s=0.1)\n"
        "TWO = replace(PANDA, name='slower-panda', linear_m_s=0.05)\n"
        "SHORT = replace(LIFT, name='lift-in-time', horizon_s=5.0)\n"
    )
    assert arm_names([str(file)]) == ("slow-panda", "slower-panda")
    assert task_names([str(file)]) == ("lift-in-time",)
    with pytest.raises(ValueError, match="two.py declares 2 arms, slow-panda, slower-panda; expected one"):
        arm_name(str(file))


@pytest.mark.parametrize("task", BASIC)
def test_an_own_arm_does_every_task(task: str) -> None:
    env = blind("bench6", task)
    attempts = [Attempt(seed) for seed in range(3)]
    assert all(episode.succeeded for episode in rollout([env], Expert(SILENT), attempts))


@pytest.mark.parametrize("arm", ["bench6", "kuka_hand", "viperx_300s"])
def test_an_own_task_is_done_by_every_kind_of_arm(arm: str) -> None:
    attempts = [Attempt(seed, variation) for seed in range(2) for variation in ("black", "white")]
    assert all(episode.succeeded for episode in rollout([blind(arm, "touch")], Expert(SILENT), attempts))


def test_objects_do_as_well_as_names() -> None:
    arm, task = find_arm("bench6"), find_task("touch")
    env = gym.make(f"sim.registration:{ANY}", arm=arm, task=task, size=16).unwrapped
    assert isinstance(env, ManipulationEnv)
    moves = actions(env, 3)
    assert play(env, moves) == play(make(arm, task, size=16), moves)
    assert play(env, moves) == play(make("bench6", "touch", size=16), moves)


def test_own_episodes_replay(run: Path) -> None:
    store = EpisodeStore(run / "stores" / "demos")
    entries = store.entries()
    assert len(entries) == 12 and all(entry.success for entry in entries)
    assert {(entry.arm, entry.task) for entry in entries} == {("bench6", "touch"), ("panda", "touch")}
    episode = store.load(entries[0].id)
    again = replay(episode)
    np.testing.assert_array_equal(again.state, episode.state)
    for camera, images in episode.images.items():
        np.testing.assert_array_equal(again.images[camera], images)


def test_own_episodes_and_environments_are_shown(run: Path, tmp_path: Path) -> None:
    view((str(run / "stores" / "demos"),), out=tmp_path / "stored")
    assert main(["view", ARM, TASK, "--size", "32", "--out", str(tmp_path / "own")]) == 0
    assert len([*tmp_path.glob("stored/*.png")]) == len([*tmp_path.glob("own/*.png")]) == 1


def test_an_agent_learns_from_own_episodes_without_their_file_and_is_measured_and_practises_with_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = run / "stores" / "demos"
    with monkeypatch.context() as unknown:
        unknown.delitem(OWN_ARMS, "bench6")
        unknown.delitem(OWN_TASKS, "touch")
        learn_images(store, run / "tokeniser", steps=2)
        agent = learn(Data((store,), (1.0,), run / "tokeniser", run / "tokens"), run / "models" / "tiny")
    common = ["--episodes", "2", "--workers", "1"]
    given = ["--arms", ARM, "--tasks", TASK, "--out", str(run / "scores.json")]
    assert main(["evaluate", str(agent), *given, *common]) == 0
    assert {(t.arm, t.task) for t in Scores.load(run / "scores.json").trials} == {("bench6", "touch")}
    folders = ["--tokeniser", str(run / "tokeniser"), "--goals", str(store), "--out", str(run / "practice")]
    assert main(["practise", "--branch", str(agent), *folders, "--arm", ARM, "--task", TASK, *common]) == 0
    assert [entry.arm for entry in EpisodeStore(run / "practice").entries()] == ["bench6"] * 2


def test_episodes_of_an_arm_that_is_not_known_say_how_to_make_it_known(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EpisodeStore(run / "stores" / "demos")
    meta = store.load(store.ids()[0], images=False).meta
    monkeypatch.delitem(OWN_ARMS, "bench6")
    with pytest.raises(
        UnknownName, match="unknown arm 'bench6'.* an arm of your own is given by the path of"
    ):
        environment(meta)


def _said(inspect: Callable[[Any], None], value: Any) -> str:
    """Why something is refused, or nothing."""
    try:
        inspect(value)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_of_the_table_passes_what_own_ones_must(name: str) -> None:
    assert not _said(inspect_arm, ARMS[name])
    assert _said(inspect_arm, dataclasses.replace(ARMS[name], name="")), "nothing would be refused"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_the_table_passes_what_own_ones_must(name: str) -> None:
    assert not _said(inspect_task, TASKS[name])
    never = dataclasses.replace(TASKS[name], success=lambda scene, variation: False)
    assert "got a world in which success is false" in _said(inspect_task, never)


def _changed(**changes: object) -> Callable[[Path], Arm]:
    return lambda folder: dataclasses.replace(OWN_ARMS["bench6"], name="wrong6", **changes)  # pyright: ignore


def _rewritten(*changes: tuple[str, str]) -> Callable[[Path], Arm]:
    """Bench6 with another model."""

    def make(folder: Path) -> Arm:
        text = (DATA / "bench6.xml").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / "wrong6.xml").write_text(text)
        return _changed(mjcf=str(folder / "wrong6.xml"))(folder)

    return make


def _hand(**changes: object) -> Callable[[Path], Arm]:
    return _changed(gripper=dataclasses.replace(PANDA_HAND, **changes))  # pyright: ignore[reportArgumentType]


HOME = OWN_ARMS["bench6"].home_rad if OWN_ARMS else find_arm(arm_name(ARM)).home_rad
JOINTS = ("turn", "shoulder", "elbow", "roll", "bend")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_changed(mjcf="no.xml"), "mjcf: got no.xml, expected an existing file: an absolute path"),
        (_rewritten(("<mujoco", "<nonsense")), "wrong6.xml makes no model"),
        (
            _rewritten(('class="bench6" name="turn"', 'class="wood" name="turn"')),
            "wrong6.xml makes no model: .*wood",
        ),
        (_rewritten(('name="flange"', 'name="end"')), "makes no model: no site 'flange' in .*; sites: end"),
        (_rewritten(('name="column"', 'name="hand"')), "makes no model: .*hand"),
        (_changed(joints=(*JOINTS, "twist")), "joints: the model has no joint 'twist'; joints: turn, sh"),
        (
            _changed(
                joints=JOINTS, home_rad=HOME[:5], velocity_limit_rad_s=(1.0,) * 5, force_limit_nm=(1.0,) * 5
            ),
            "joints: got a model with spin besides, expected turn, shoulder",
        ),
        (
            _rewritten(('name="turn" joint', 'name="drive" joint')),
            "joints: the model has no actuator 'turn'; actuators: drive, shoulder",
        ),
        (_hand(actuators=("motor",)), "gripper.actuators: the model has no actuator 'motor'"),
        (_hand(pads=(("left",), ("pad_right",))), "gripper.pads: the model has no geom 'left'; geoms: "),
        (_hand(numbers=("jaw",)), r"gripper.numbers: got \('jaw',\), expected \('gripper',\), or several of"),
        (
            _rewritten(('forcerange="-20 20"', "")),
            "actuator 'spin': got no force limit, expected forcerange=\"-20 20",
        ),
        (
            _rewritten(('"-20 20"', '"-9 20"')),
            r"actuator 'spin': got forcerange \(-9, 20\), expected -20, 20",
        ),
        (
            _rewritten(('joint="bend"', 'joint="roll"')),
            "'bend': got another kind, expected a position actuator of",
        ),
        (
            _rewritten(('inheritrange="1"', 'ctrlrange="-1 1"')),
            r"actuator 'turn': got ctrlrange \(-1, 1\), expected -2.9, 2.9",
        ),
        (
            _changed(home_rad=(3.0, *HOME[1:])),
            "home_rad of 'turn': got 3.0, expected an angle inside its range",
        ),
        (
            _changed(home_rad=(*HOME[:5], 0.0)),
            r"home_rad: got one at which .* expected \(0.5, 0, 0.25\), x \(0, 1, 0\) and .*; \(.* gives that",
        ),
        (
            _changed(home_rad=(0.1, *HOME[1:])),
            r"home_rad: got one at which the tool is at \(0.4975, 0.0499, 0.25\)",
        ),
        (_changed(base_m=(-1.0, 0.0, 0.0)), "; nothing near it does, if it is in reach"),
        (
            _changed(home_m=(0.5, 0.0, 0.6)),
            r"home_m: got \(0.5, 0.0, 0.6\), expected inside \(0.35, -0.22, 0.012\)",
        ),
        (
            _hand(width_m=(0.05, 0.08)),
            r"gripper.width_m: got \(0.05, 0.08\), expected 0.04 m, the cubes' side",
        ),
        (_hand(joints_at=((0.02, 0.02), (0.04, 0.04))), "joints_at of width 0.0 m: got pads 0.0400 m apart"),
        (
            _hand(controls_at=((0.06,), (0.08,))),
            "controls_at: got pads 0.0[56].* m apart when shut, expected less",
        ),
        (
            _hand(controls_at=((0.0,), (0.03,))),
            "controls_at: got pads 0.0[23].* m apart when open, expected more",
        ),
        (
            _rewritten(('gravcomp="1"', ""), ('kp="8000"', 'kp="800"')),
            "actuators: got the tool 0.* m from home after 2 s of rest",
        ),
    ],
)
def test_an_arm_that_is_not_what_it_says_is_refused(
    make: Callable[[Path], Arm], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        check_arm(make(tmp_path))
    assert str(refusal.value).startswith("arm 'wrong6'") and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "task 'a/b': name: expected 1 to 48 letters"),
        ({"variations": ("black", "black")}, r"variations: got \('black', 'black'\), expected one"),
        ({"horizon_s": float("inf")}, "horizon_s: got inf, expected a finite number"),
        ({"horizon_s": 0.01}, "horizon_s: got 0.01, expected at least 0.1 s"),
        ({"things": TASKS["lift"].things}, "it asks for 'black'; things: red, green, blue"),
        ({"success": lambda scene, variation: True}, "success, variation 'black', seed 0: got true where"),
        ({"progress": lambda scene, variation: 1.5}, "progress, .* got 1.5 where the episode begins"),
        ({"progress": lambda scene, variation: 0.5}, "progress, .* got 0.5 in a success, expected 1"),
        (
            {"pose": lambda scene, variation, rng: (scene.tool_m, 0.0)},
            "pose, variation 'black', seed 0: got a world in which success is false",
        ),
    ],
)
def test_a_task_that_is_not_what_it_says_is_refused(changes: dict[str, object], message: str) -> None:
    task: Task = dataclasses.replace(OWN_TASKS["touch"], **{"name": "wrong", **changes})  # pyright: ignore
    with pytest.raises(ValueError, match=message):
        own.check_task(task)


def test_names_that_are_taken_are_refused() -> None:
    with pytest.raises(ValueError, match="arm 'panda': name: there is another arm of this name"):
        blind(dataclasses.replace(ARMS["panda"], linear_m_s=0.1), "lift")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="task 'lift': name: there is another task of this name"):
        own.check_task(dataclasses.replace(TASKS["lift"], horizon_s=5.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no.py: there is no such file"),
        ("def", "no.py: SyntaxError: invalid syntax"),
        ("import nowhere", "no.py: ModuleNotFoundError: No module named 'nowhere'"),
        ("from sim.arms import Arm\nA = Arm(name='a')", "no.py: TypeError: .*missing .* 'force_limit_nm'"),
        ("from sim.arms.panda import PANDA", "no.py declares nothing; expected an `Arm` or a `Task`"),
        ("x = 1 / 0", "no.py: ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_declares_nothing_is_explained(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no.py"
    if text is not None:
        file.write_text(text)
    assert main(["collect", "--arms", str(file), "--out", str(tmp_path / "store")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("robocat collect: ") and error.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        declare(file)


def test_a_file_of_the_other_kind_is_explained() -> None:
    with pytest.raises(ValueError, match="touch.py declares no arm, only touch"):
        arm_names([TASK])
