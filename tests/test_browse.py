"""What the page of a store is told: lists, counts, pictures, damage, marks; and whom it answers."""

import http.client
import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from demos.browse import browser
from demos.browse.browser import browse, serving
from demos.browse.index import FACETS, ROWS, UNREAD, Index
from demos.browse.shown import shown
from demos.episode import CONTROLLERS, EpisodeMeta
from demos.manifest import Manifest
from demos.store import EpisodeStore, StoreError
from demos.view import view
from tests.driven import free_address, served, until
from tests.fakes import fake_episode
from tests.small_store import file_of, filled, flip, small_episode

pytest.importorskip("starlette")


@dataclass
class Asker:
    """Asks as the page does."""

    connection: http.client.HTTPConnection
    root: str

    def __call__(self, path: str, message: object = None, **headers: str) -> tuple[int, bytes]:
        method = "GET" if message is None else "POST"
        given = {"Origin": f"http://{self.connection.host}:{self.connection.port}"} | headers
        body = message if isinstance(message, bytes | None) else json.dumps(message).encode()
        self.connection.request(method, self.root + path, body, given)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def told(self, path: str, message: object = None) -> dict[str, Any]:
        return json.loads(self(path, message)[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    """Twelve episodes of two arms, by an expert and a policy, one in three a failure; not to be changed."""
    store = EpisodeStore(tmp_path_factory.mktemp("whole") / "store")
    policy = {"controller": "policy", "policy": "runs/cat", "generation": 1}
    for seed in range(12):
        judge = "model" if seed % 4 == 1 else "predicate"
        who = policy if seed > 7 else {"controller": "expert"}
        store.commit(small_episode(seed, success=seed % 3 > 0, judged_by=judge, **who))
    return store


@pytest.fixture(scope="module")
def asker(whole: EpisodeStore) -> Generator[Asker]:
    """Asks about it."""
    with _asking(whole) as ask:
        yield ask


@pytest.fixture
def store(whole: EpisodeStore, tmp_path: Path) -> EpisodeStore:
    """A copy, to be changed."""
    return EpisodeStore(shutil.copytree(whole.path, tmp_path / "store"))


@pytest.fixture
def ask(store: EpisodeStore) -> Generator[Asker]:
    """Asks about the copy."""
    with _asking(store) as ask:
        yield ask


@contextmanager
def _asking(store: EpisodeStore) -> Generator[Asker]:
    with served(serving(store, free_address())) as web:
        host, token = web.guard.address.split("/")[2:4]
        connection = http.client.HTTPConnection(host)
        yield Asker(connection, f"/{token}/")
        connection.close()


def _read(index: Index) -> Index:
    index.refresh()
    while index.read_on(1.0):
        pass
    return index


def test_counts_are_those_that_each_filter_would_leave(whole: EpisodeStore) -> None:
    index = _read(Index(whole))
    entries = whole.entries()
    for wanted, text in (
        ({}, ""),
        ({"arm": "panda"}, ""),
        ({"arm": "panda", "outcome": "failure"}, ""),
        ({"source": "policy", "judged_by": "predicate"}, "CAT 00"),
        ({"task": "stack"}, ""),
    ):
        page = index.listed(wanted, text, 0)
        words = text.lower().split()
        named = [entry for entry in entries if all(word in f"{entry.id} {entry.policy}" for word in words)]
        rows = [index.row(entry) for entry in named]
        meant = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        assert page["rows"] == meant and page["meant"] == len(meant) and page["total"] == 12
        assert page["successful"] == sum(row["outcome"] == "success" for row in meant)
        for name in FACETS:
            others = {key: value for key, value in wanted.items() if key != name}
            left = [row[name] for row in rows if all(row[key] == value for key, value in others.items())]
            assert page["facets"][name] == [(value, left.count(value)) for value in sorted(set(left))]


def test_the_manifest_is_enough_for_a_list_and_heads_follow(store: EpisodeStore) -> None:
    index = Index(store)
    index.refresh()
    page = index.listed({}, "", 0)
    assert page["unread"] == 12 and page["facets"]["judged_by"] == [(UNREAD, 12)]
    before = index.version
    page = _read(index).listed({}, "", 0)
    assert page["unread"] == 0 and index.version > before
    assert page["facets"]["judged_by"] == [("model", 3), ("predicate", 9)]
    assert {row["camera"] for row in page["rows"]} == {"front"}
    before = index.version
    assert _read(index).version == before, "nothing new, no news"
    store.commit(small_episode(50))
    assert _read(index).version > before and index.listed({}, "000050", 0)["meant"] == 1


def test_a_long_list_comes_in_pages(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.commit_many(small_episode(seed) for seed in range(ROWS + 5))
    index = Index(store)
    index.refresh()
    first, second = index.listed({}, "", 0), index.listed({}, "", ROWS)
    assert [row["id"] for row in first["rows"] + second["rows"]] == store.ids()
    assert index.listed({}, "", 10_000)["start"] == ROWS, "what lies behind the end is the last page"
    assert index.listed({"arm": "none"}, "", ROWS)["rows"] == []


def test_an_episode_is_told_with_all_its_numbers(asker: Asker, whole: EpisodeStore) -> None:
    id = whole.ids()[0]
    told, episode = asker.told(f"episode/{id}"), whole.load(id)
    assert told["moments"] == episode.length + 1 and told["cameras"] == list(episode.meta.cameras)
    assert sum(steps for _, steps in told["acted"]) == episode.length
    assert episode.actor is not None and episode.commanded is not None
    assert told["acted"][0][0] == CONTROLLERS[episode.actor[0]]
    curves = {curve["name"]: curve for curve in told["curves"]}
    np.testing.assert_allclose(curves["action action1"]["asked"], episode.commanded[:, 1], atol=1e-4)
    assert curves["success"]["after"] and len(curves["success"]["values"]) == episode.length
    assert dict(told["facts"])["seed"] == str(episode.meta.provenance.seed)


def test_pictures_are_those_of_the_store(ask: Asker, store: EpisodeStore) -> None:
    big = fake_episode(np.random.default_rng(0), 100, size=128, seed=99, controller="policy", policy="cat")
    store.commit(big)
    told = ask.told(f"episode/{big.id}")
    assert told["goals"] == ["front", "wrist"]
    _same(ask(f"picture/{big.id}/goal/wrist/0")[1], big.goal["wrist"])
    for moment in np.random.default_rng(0).permutation(101)[:20]:
        status, png = ask(f"picture/{big.id}/images/front/{moment}")
        assert status == 200
        _same(png, big.images["front"][moment])
    assert ask(f"picture/{big.id}/images/front/101")[0] == 404
    assert ask(f"picture/{big.id}/action/front/0")[0] == 404
    assert ask(f"picture/{quote('../..', safe='')}/images/front/0")[0] == 404


def _same(png: bytes, picture: np.ndarray) -> None:
    with Image.open(io.BytesIO(png)) as read:
        np.testing.assert_array_equal(np.asarray(read), picture)


def test_damage_is_told_in_a_line_and_the_others_go_on(ask: Asker, store: EpisodeStore) -> None:
    short, flipped, whole = (store.load(id) for id in store.ids()[:3])
    for episode, change in ((short, _cut), (flipped, _flip)):
        change(file_of(store, episode))
    for episode in (short, flipped):
        told = ask.told(f"episode/{episode.id}")
        assert "moments" not in told and f"episode {episode.id} is damaged" in told["row"]["damaged"]
        assert "robocat data repair" in told["row"]["damaged"]
    assert ask.told(f"episode/{whole.id}")["moments"] == 3
    until(lambda: ask.told("list")["unread"] == 0)
    assert [row["id"] for row in ask.told("list?file=damaged")["rows"]] == sorted([short.id, flipped.id])
    _flip(file_of(store, flipped))
    assert ask.told(f"episode/{flipped.id}")["moments"] == 3, "it is whole again, and said to be"
    assert [row["id"] for row in ask.told("list?file=damaged")["rows"]] == [short.id]
    _flip(file_of(store, flipped))
    store.repair()
    assert ask.told("list")["total"] == 10 and ask.told("list?file=damaged")["rows"] == []


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def _flip(file: Path) -> None:
    flip(file, file.stat().st_size - 30)


def test_a_head_that_cannot_be_read_is_listed_as_damaged(store: EpisodeStore) -> None:
    episode = store.load(store.ids()[4])
    flip(file_of(store, episode), 9)
    page = _read(Index(store)).listed({"file": "damaged"}, "", 0)
    assert [row["id"] for row in page["rows"]] == [episode.id]


def test_marks_are_said_undone_and_told_to_every_page(ask: Asker, store: EpisodeStore) -> None:
    id, other = store.ids()[:2]
    digest, before = store.digest(), ask.told("news")["version"]
    assert ask.told("mark", {"id": id, "said": "failure"})["version"] > before
    page = ask.told(f"list?mark=failure&open={id}")
    assert [row["id"] for row in page["rows"]] == [id] and page["open"]["mark"] == "failure"
    seen = page["last"]["key"]
    ask.told("mark", {"id": other, "said": "success"})
    status, answer = ask("undo", {"key": seen})
    assert status == 409 and "nothing was undone" in json.loads(answer)["error"]
    for _ in range(2):
        ask.told("undo", {"key": ask.told("list")["last"]["key"]})
    assert ask.told("list")["marked"] == 0 and ask.told("list")["last"] is None
    assert store.digest() == digest and store.check() == []


def test_a_busy_store_keeps_a_mark_waiting_and_nothing_else(
    ask: Asker, store: EpisodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "BUSY_S", 60.0)
    id, manifest = store.ids()[0], Manifest(store.path)
    other = Asker(http.client.HTTPConnection(ask.connection.host, ask.connection.port, timeout=10), ask.root)
    with ThreadPoolExecutor(1) as thread:
        with manifest.locked():
            waiting = thread.submit(other.told, "mark", {"id": id, "said": "failure"})
            for _ in range(3):
                assert ask.told("list")["marked"] == 0
            assert ask(f"picture/{id}/images/front/0")[0] == 200 and not waiting.done()
        assert "error" not in waiting.result(10)
    assert ask.told("list")["marked"] == 1
    monkeypatch.setattr(browser, "BUSY_S", 0.1)
    with manifest.locked():
        status, answer = other("mark", {"id": id, "said": "success"})
    assert status == 423
    assert json.loads(answer)["error"].endswith("is busy: another process writes to it; nothing was marked")
    assert ask.told("list?mark=failure")["meant"] == 1
    other.connection.close()


def test_a_long_episode_keeps_nothing_waiting(
    ask: Asker, store: EpisodeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(store: EpisodeStore, id: str) -> dict[str, Any]:
        begun.set()
        assert go_on.wait(60)
        return shown(store, id)

    monkeypatch.setattr(browser, "shown", slowly)
    id = store.ids()[0]
    other = Asker(http.client.HTTPConnection(ask.connection.host, ask.connection.port), ask.root)
    ask.connection.timeout = 10
    with ThreadPoolExecutor(1) as thread:
        opening = thread.submit(other.told, f"episode/{id}")
        assert begun.wait(10)
        try:
            assert ask.told("list")["total"] == 12
            assert "error" not in ask.told("mark", {"id": id, "said": "failure"}) and not opening.done()
        finally:
            go_on.set()
        assert opening.result(10)["moments"] == 3
    other.connection.close()


def test_an_episode_without_cameras_and_a_head_that_breaks_stop_nothing(
    ask: Asker, store: EpisodeStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = EpisodeStore.meta
    blind, broken = small_episode(90, cameras=()), small_episode(91)

    def meta(store: EpisodeStore, id: str) -> EpisodeMeta:
        if id == broken.id:
            raise ArithmeticError("never thought of")
        return read(store, id)

    monkeypatch.setattr(EpisodeStore, "meta", meta)
    store.commit_many([blind, broken, small_episode(92)])
    until(lambda: (page := ask.told("list"))["total"] == 15 and page["unread"] == 0)
    (row,) = ask.told("list?text=000090")["rows"]
    assert row["camera"] is None and row["judged_by"] == "predicate" and row["damaged"] is None
    assert ask.told(f"episode/{blind.id}")["cameras"] == []
    (row,) = ask.told("list?file=damaged")["rows"]
    assert row["id"] == broken.id and "cannot be read: ArithmeticError: never thought of" in row["damaged"]
    assert f"reading the head of {broken.id}" in caplog.text


@pytest.mark.parametrize(
    ("path", "message", "status"),
    [
        ("mark", b"no json", 400),
        ("mark", b"[" * 2000, 400),
        ("mark", b"x" * 5000, 413),
        ("mark", [], 400),
        ("mark", {"id": "a"}, 400),
        ("mark", {"id": ["a"], "said": None}, 400),
        ("mark", {"id": "nobody", "said": "success"}, 422),
        ("undo", {"key": None}, 409),
    ],
)
def test_what_our_page_never_says_is_refused(asker: Asker, path: str, message: object, status: int) -> None:
    assert asker(path, message)[0] == status
    assert asker("list")[0] == 200 and asker.told("list")["marked"] == 0


def test_another_word_is_refused(asker: Asker, whole: EpisodeStore) -> None:
    status, answer = asker("mark", {"id": whole.ids()[0], "said": "good"})
    assert status == 422 and "expected one of success, failure" in json.loads(answer)["error"]


def test_strangers_are_refused(asker: Asker, whole: EpisodeStore) -> None:
    message = {"id": whole.ids()[0], "said": "failure"}
    assert asker("mark", message, Origin="http://evil.example")[0] == 403
    assert asker("list", Host="evil.example")[0] == 421
    stranger = Asker(asker.connection, "/another/")
    for path in ("", "list", "news", f"picture/{whole.ids()[0]}/images/front/0"):
        assert stranger(path)[0] == 404
    assert stranger("mark", message)[0] == 404
    assert not (whole.path / "marks.jsonl").exists()


def test_a_store_that_breaks_meanwhile_is_told(ask: Asker, store: EpisodeStore) -> None:
    manifest = store.path / "manifest.jsonl"
    flip(manifest, 100)
    copy = manifest.with_name("copy")
    copy.write_bytes(manifest.read_bytes())
    copy.rename(manifest)  # another file under the name, as a repair leaves it
    assert ask("news")[0] == 422
    assert "damaged in line 1" in ask.told("news")["error"]


def test_what_cannot_be_served_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no store at panda lift; --serve is for the episodes of one"):
        view(("panda", "lift"), serve=True)
    with pytest.raises(ValueError, match="got --native and --serve; expected one way to show it"):
        view(("panda", "lift"), serve=True, native=True)
    with pytest.raises(StoreError, match="no store at"):
        browse(EpisodeStore(tmp_path / "none"), None, 8766)
    store, _ = filled(tmp_path / "store")
    with pytest.raises(ValueError, match="0 episodes of .* begin with 'x'"):
        view((str(store.path),), serve=True, episode="x")
    with pytest.raises(ValueError, match="port 0 is out of range; expected 1 to 65535"):
        view((str(store.path),), serve=True, port=0)
    assert capsys.readouterr().out == ""


def test_ctrl_c_is_how_a_page_ends(whole: EpisodeStore) -> None:
    """In order: what comes after the serving is still done."""
    web = serving(whole, free_address())

    def interrupt() -> None:
        until(lambda: web.server.started)
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    try:
        web.run()
    except KeyboardInterrupt:
        pytest.fail("an interruption like any other")
    finally:
        person.join()
        web.close()
