"""A store's page in a real browser: list, filters, keys, playing, marks, a second tab, damage."""

import base64
import io
import shutil
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demos.browse.browser import serving
from demos.browse.index import ROWS
from demos.episode import NOBODY, Episode
from demos.page import page as page_of
from demos.store import EpisodeStore
from demos.web.local_server import LocalServer
from tests.chromium import NEEDED, chromium, opened
from tests.driven import free_address, served, until
from tests.fakes import fake_episode
from tests.small_store import file_of, flip

pytestmark = NEEDED
STEPS, HZ = 30, 20
BY = (
    {"controller": "expert"},
    {"controller": "policy", "policy": "runs/cat", "generation": 1},
    {"controller": "teleop", "judged_by": "operator"},
)


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    with chromium() as browser:
        yield browser


def _coded(seed: int, **options: Any) -> Episode:
    """An episode whose pictures say by their colour which moment they are of: red is the moment."""
    rng = np.random.default_rng(seed)
    given = {"steps": STEPS, "seed": seed, "control_hz": HZ, "cameras": ("front", "wrist")} | options
    episode = fake_episode(rng, **given)
    for k, camera in enumerate(episode.meta.cameras):
        images = np.zeros(episode.images[camera].shape, np.uint8)
        images[..., 0] = np.arange(STEPS + 1)[:, None, None]
        images[..., 2] = 100 + k
        object.__setattr__(episode, "images", {**episode.images, camera: images})
    return episode


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    """Not to be changed, but for marks that are undone."""
    store = EpisodeStore(tmp_path_factory.mktemp("coded") / "store")
    tasks = ("lift", "stack")
    store.commit_many(_coded(s, success=s % 4 > 0, task=tasks[s % 2], **BY[s % 3]) for s in range(12))
    return store


@pytest.fixture(scope="module")
def web(store: EpisodeStore) -> Generator[LocalServer]:
    with served(serving(store, free_address())) as running:
        yield running


@pytest.fixture
def page(browser: Any, web: LocalServer) -> Generator[Any]:
    with opened(browser, web.guard.address) as page:
        page.wait_for_selector("#rows a")
        yield page


def _counts(page: Any) -> str:
    return page.locator("#counts").text_content()


def _rows(page: Any) -> list[str]:
    return page.locator("#rows a").evaluate_all("links => links.map(link => link.dataset.id)")


def _open(page: Any, id: str) -> None:
    page.locator(f'#rows a[data-id="{id}"]').click()
    until(lambda: page.locator("#views").get_attribute("data-drawn") == "0")
    until(lambda: id in page.locator("#about").text_content())


def _seen(page: Any) -> list[int]:
    """The moment that each camera's picture is of, by its pixels."""
    pictures = [_picture(canvas) for canvas in page.locator("#views figure:not(.goal) canvas").all()]
    assert [picture[3, 3, 2] for picture in pictures] == [100, 101], "each its camera"
    return [int(picture[3, 3, 0]) for picture in pictures]


def _picture(canvas: Any) -> np.ndarray:
    data = canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(data))) as png:
        return np.asarray(png)[..., :3]


def _at(page: Any, moment: int) -> bool:
    slider, now = page.locator("#moment").input_value(), page.locator("#now").text_content()
    said = f"{moment / HZ:.1f} s · step {moment} of {STEPS}" in now
    return slider == str(moment) and said and _seen(page) == [moment, moment]


def test_the_list_is_filtered_and_counted(page: Any, store: EpisodeStore) -> None:
    entries = store.entries()
    assert _rows(page) == [entry.id for entry in entries]
    until(lambda: _counts(page).startswith("12 episodes · 75 % successful · 0 marked"))
    page.select_option('[id="filter task"]', "stack")
    until(lambda: _rows(page) == [entry.id for entry in entries if entry.task == "stack"])
    page.select_option('[id="filter source"]', "policy")
    meant = [entry.id for entry in entries if entry.task == "stack" and entry.controller == "policy"]
    until(lambda: _rows(page) == meant)
    assert _counts(page).startswith(f"{len(meant)} of 12")
    options = page.locator('[id="filter source"] option').all_text_contents()
    assert options == ["any", "expert (2)", "policy (2)", "teleop (2)"]
    page.select_option('[id="filter task"]', "")
    page.select_option('[id="filter source"]', "")
    until(lambda: len(_rows(page)) == 12)
    until(lambda: "operator" in str(page.locator('[id="filter judged_by"] option').all_text_contents()))
    page.select_option('[id="filter judged_by"]', "operator")
    until(lambda: _rows(page) == [entry.id for entry in entries if entry.controller == "teleop"])
    page.keyboard.press("/")
    page.keyboard.type("STACK 000005")
    until(lambda: len(_rows(page)) == 1 and "000005" in _rows(page)[0])
    page.reload()
    page.wait_for_selector("#rows a")
    assert len(_rows(page)) == 1 and page.locator("#text").input_value() == "STACK 000005"


def test_an_episode_is_scrubbed_by_keys_slider_and_curve(page: Any, store: EpisodeStore) -> None:
    policy = next(entry.id for entry in store.entries() if entry.controller == "policy")
    _open(page, policy)
    assert page.locator("#views figcaption").all_text_contents() == [
        "front",
        "wrist",
        "front: goal",
        "wrist: goal",
    ]
    episode = store.load(policy)
    goal = page.locator("#views .goal canvas").first
    until(lambda: np.array_equal(_picture(goal), episode.goal["front"]))
    for key, to in (("ArrowRight", 1), ("ArrowRight", 2), ("Shift+ArrowRight", 12), ("ArrowLeft", 11)):
        page.keyboard.press(key)
        until(lambda to=to: _at(page, to))
    page.keyboard.press("End")
    until(lambda: _at(page, STEPS))
    page.keyboard.press("Home")
    until(lambda: _at(page, 0))
    box = page.locator("#moment").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(lambda: _at(page, STEPS // 2))
    numbers = page.locator(".curve").filter(has_text="action action0").locator("span").all_text_contents()
    asked = episode.commanded
    assert asked is not None
    said = [float(word) for word in numbers[1].split(" asked, ")]
    assert said == pytest.approx([asked[15, 0], episode.action[15, 0]], abs=6e-4)
    drawing = page.locator(".curve svg").first.bounding_box()
    page.mouse.click(drawing["x"] + 0.8 * drawing["width"], drawing["y"] + 10)
    until(lambda: _at(page, 24))
    cursor = page.locator(".curve .cursor").last
    assert cursor.evaluate("cursor => cursor.style.transform") == f"translateX({100 * 24 / STEPS:g}%)"
    assert page.locator(".curve").count() == 2 + 2 + 3


def test_playing_takes_as_long_as_the_episode_did_and_pauses(page: Any, store: EpisodeStore) -> None:
    """By the page's own clock, which stands still but when it is told to go on."""
    _open(page, store.ids()[0])
    page.clock.install()
    page.clock.pause_at(time.time() + 60)
    period_ms, frame_ms = 1000 // HZ, 16  # the clock's frames, at one of which a moment is shown
    page.keyboard.press(" ")
    assert page.locator("#play").text_content() == "pause"
    for moment, periods in ((10, 10), (STEPS - 1, STEPS - 11)):
        page.clock.run_for(periods * period_ms + (frame_ms if moment == 10 else 0))
        until(lambda moment=moment: _at(page, moment))
        assert page.locator("#play").text_content() == "pause"
    page.clock.run_for(period_ms)
    until(lambda: _at(page, STEPS))
    assert page.locator("#play").text_content() == "play"
    page.locator("#play").click()
    page.clock.run_for(7 * period_ms + frame_ms)
    page.locator("#play").click()
    until(lambda: _at(page, 7))
    page.clock.run_for(1000)
    assert page.locator("#moment").input_value() == "7"


def test_marks_are_made_undone_and_seen_in_the_second_tab(
    page: Any, browser: Any, web: LocalServer, store: EpisodeStore
) -> None:
    first, second, *_ = store.ids()
    digest = store.digest()
    with opened(browser, f"{web.guard.address}#id={first}") as other:
        until(lambda: first in other.locator("#about").text_content())
        _open(page, first)
        page.keyboard.press("x")
        for tab in (page, other):
            until(lambda tab=tab: "failure by hand" in tab.locator("#about").text_content())
            until(lambda tab=tab: "1 marked" in _counts(tab))
        page.keyboard.press("ArrowDown")
        until(lambda: second in page.locator("#about").text_content())
        page.locator("#marks button[data-said=success]").click()
        until(lambda: "2 marked" in _counts(other))
        other.keyboard.press("u")
        until(lambda: "by hand" not in page.locator("#about").text_content())
        other.keyboard.press("u")
        until(lambda: "0 marked" in _counts(page) and page.locator("#undo").is_disabled())
        assert "by hand" not in other.locator("#about").text_content()
        other.keyboard.press("y")
        other.keyboard.press("z")
        until(lambda: other.locator("#undo").text_content() == "undo: no mark (u)")
        for _ in range(2):
            other.keyboard.press("u")
        until(lambda: other.locator("#undo").is_disabled())
    assert store.digest() == digest and store.check() == []


def test_what_is_open_stays_so_when_nothing_is_listed(page: Any, store: EpisodeStore) -> None:
    """Its goal is seen and it is marked, scrubbed and undone though the filters leave no row."""
    entry = next(entry for entry in store.entries() if entry.controller == "policy")
    _open(page, entry.id)
    page.locator("#text").fill("there is none such")
    until(lambda: _rows(page) == [] and page.locator("#range").text_content() == "none is of that kind")
    page.locator("#text").press("Escape")
    for _ in range(2):  # the second time as the address has it: open, and no row
        goals = page.locator("#views .goal canvas")
        goal = store.load(entry.id).goal["front"]
        until(lambda goals=goals, goal=goal: np.array_equal(_picture(goals.first), goal))
        page.keyboard.press("ArrowRight")
        until(lambda: _at(page, 1))
        for key, said in (("x", "failure by hand"), ("y", "success by hand")):
            page.keyboard.press(key)
            until(lambda said=said: said in page.locator("#about").text_content())
        page.keyboard.press("z")
        until(lambda: "by hand" not in page.locator("#about").text_content())
        assert _counts(page).startswith("0 of 12 · 0 marked")
        for way in ("ArrowDown", "ArrowUp"):
            page.keyboard.press(way)
        for _ in range(3):
            until(lambda: page.locator("#undo").is_enabled())
            page.keyboard.press("u")
        until(lambda: page.locator("#undo").is_disabled())
        page.reload()
        until(lambda: page.locator("#views").get_attribute("data-drawn") == "0")
        assert _rows(page) == [] and entry.id in page.locator("#about").text_content()


def test_damage_is_shown_with_its_line(browser: Any, store: EpisodeStore, tmp_path: Path) -> None:
    store = EpisodeStore(shutil.copytree(store.path, tmp_path / "store"))
    cut, flipped, whole = (store.load(id) for id in store.ids()[:3])
    file = file_of(store, flipped)
    flip(file, file.stat().st_size - 30)
    file_of(store, cut).write_bytes(b"")
    with served(serving(store, free_address())) as web, opened(browser, web.guard.address) as page:
        page.wait_for_selector("#rows a")
        for episode in (flipped, cut):
            page.locator(f'#rows a[data-id="{episode.id}"]').click()
            line = f"episode {episode.id} is damaged"
            until(lambda line=line: line in (page.locator("#damage").text_content() or ""))
            assert page.locator("#marks").is_hidden() and page.locator("#whole").is_hidden()
        until(lambda: page.locator("#rows .bad:text-is('damaged')").count() == 2)
        page.select_option('[id="filter file"]', "damaged")
        until(lambda: _rows(page) == sorted([cut.id, flipped.id]))
        page.select_option('[id="filter file"]', "")
        until(lambda: len(_rows(page)) == 12)
        _open(page, whole.id)
        assert page.locator("#damage").is_hidden()


def test_a_picture_that_does_not_come_is_not_another_moments(
    browser: Any, store: EpisodeStore, tmp_path: Path
) -> None:
    store = EpisodeStore(shutil.copytree(store.path, tmp_path / "store"))
    episode = store.load(store.ids()[0])
    with served(serving(store, free_address())) as web:
        page = browser.new_page()
        page.goto(web.guard.address)
        page.wait_for_selector("#rows a")
        _open(page, episode.id)
        # The second block, which begins with moment 16, is broken; the wrist's pictures are whole.
        file, (blobs, offsets) = file_of(store, episode), store.load_packed(episode.id).images["front"]
        assert len(offsets) == 3
        flip(file, file.read_bytes().index(blobs.tobytes()) + int(offsets[1] + offsets[2]) // 2)
        page.locator("#moment").fill("20")
        until(lambda: page.locator("#views").get_attribute("data-drawn") == "20")
        front, wrist = (_picture(canvas) for canvas in page.locator("#views canvas").all())
        assert not front.any() and wrist[0, 0, 0] == 20
        page.close()


def test_thousands_are_gone_through_page_by_page(browser: Any, tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "store")
    rng = np.random.default_rng(0)
    store.commit_many(fake_episode(rng, 2, size=4, seed=seed) for seed in range(ROWS + 3))
    ids = store.ids()
    with served(serving(store, free_address())) as web, opened(browser, web.guard.address) as page:
        until(lambda: _rows(page) == ids[:ROWS])
        page.locator(f'#rows a[data-id="{ids[ROWS - 1]}"]').click()
        until(lambda: ids[ROWS - 1] in page.locator("#about").text_content())
        page.keyboard.press("ArrowDown")
        until(lambda: ids[ROWS] in page.locator("#about").text_content() and _rows(page) == ids[ROWS:])
        assert page.locator("#range").text_content() == f"{ROWS + 1}–{ROWS + 3} of {ROWS + 3}"
        page.keyboard.press("ArrowUp")
        until(lambda: ids[ROWS - 1] in page.locator("#about").text_content() and len(_rows(page)) == ROWS)
        page.go_back()
        until(lambda: ids[ROWS] in page.locator("#about").text_content())
        store.commit(fake_episode(rng, 2, size=4, seed=1000))
        until(lambda: _counts(page).startswith(f"{ROWS + 4} episodes"))


def test_the_page_of_one_episode_plays_by_the_same_parts(browser: Any, tmp_path: Path) -> None:
    episode = _coded(0, controller="teleop")
    file = tmp_path / "episode.html"
    file.write_text(page_of(episode, {}), encoding="utf-8")
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert f"step 2 of {STEPS}" in page.locator("output").text_content()
    page.keyboard.press(" ")
    until(lambda: f"step {STEPS} of {STEPS}" in page.locator("output").text_content())
    assert page.locator(".curve").count() == 2 + 2 + 3 and errors == []
    page.close()


def test_what_nobody_judged_and_what_no_camera_saw_are_told_so(browser: Any, tmp_path: Path) -> None:
    store, rng = EpisodeStore(tmp_path / "store"), np.random.default_rng(0)
    for seed, success, judge, cameras in ((0, True, "predicate", ("front",)), (1, False, NOBODY, ())):
        store.commit(fake_episode(rng, 4, cameras, seed=seed, success=success, judged_by=judge))
    unjudged = store.ids()[1]
    with served(serving(store, free_address())) as web, opened(browser, web.guard.address) as page:
        until(lambda: _counts(page) == "2 episodes · 100 % successful · 1 unjudged · 0 marked")
        row = page.locator(f'#rows a[data-id="{unjudged}"]')
        assert row.locator(".right.quiet").text_content() == "unjudged"
        row.click()
        until(lambda: page.locator("#about").text_content().startswith("unjudgedacted by expert"))
        assert page.locator("#views figure").count() == 0 and page.locator(".curve").count() == 2 + 2 + 3
        page.keyboard.press("End")
        until(lambda: "step 4 of 4" in page.locator("#now").text_content())
        page.select_option('[id="filter outcome"]', "unjudged")
        until(lambda: _rows(page) == [unjudged])
    file = tmp_path / "episode.html"
    file.write_text(page_of(store.load(unjudged), {}), encoding="utf-8")
    single = browser.new_page()
    single.goto(file.as_uri())
    assert single.locator("#about .unjudged").text_content() == "unjudged"
    single.close()
