"""`robocat data relabel`: outcomes set by hand, into a store of its own; the old word is kept beside the new.

robocat view runs/mine/all --serve    # mark episodes on the page, then
robocat data relabel runs/mine/all --out runs/mine/better
robocat data relabel runs/mine/all --ids <id> <id> --outcome failure --out runs/mine/better

A store never changes what it holds, so the episodes go to another one. There the outcome says who judged as
"hand, before: failure by predicate".
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from demos.episode import Episode, Outcome
from demos.episode_file import Packed
from demos.marks import Marks
from demos.stock import refuse_itself, rewrite
from demos.store import EpisodeStore, StoreError
from sim.names import pick


def relabel(
    store: Positional[Path],
    *,
    ids: tuple[str, ...] = (),
    outcome: Literal["success", "failure"] | None = None,
    out: Path,
) -> None:
    """Commits all episodes of a store to another one, some with an outcome that a person has set.

    Args:
        store: The store; it stays as it is.
        ids: Episodes whose outcome is set; without them, those marked on the page of `robocat view --serve`.
        outcome: What it is set to; goes with ids.
        out: The store that takes them; it may be there already, without these episodes' old outcomes.

    Raises:
        UnknownName: There is no such episode; nothing was written then.
        StoreError: `out` has one of the episodes with another outcome, or a mark is damaged.
        ValueError: `out` is the store itself, nothing was marked, or ids and outcome were not given together.
    """
    refuse_itself(out, (store,))
    source = EpisodeStore(store)
    if outcome is not None:
        present = dict.fromkeys(source.ids(), True)
        chosen = {id: outcome for id in ids if pick(present, id, f"episode in {store}")}
        if not chosen:
            raise ValueError("no ids; expected those of the episodes whose outcome is set")
    elif ids:
        raise ValueError(f"{len(ids)} ids without an outcome; expected --outcome success or failure")
    else:
        chosen = _marked(source)
    _commit(source, EpisodeStore(out), chosen)


def _marked(store: EpisodeStore) -> dict[str, str]:
    """The outcomes that people have marked, by id."""
    marks = Marks(store.path)
    entries = {entry.id: entry for entry in store.entries()}
    marks.refresh()
    if marks.damaged:
        numbers = ", ".join(map(str, sorted(marks.damaged)))
        raise StoreError(
            f"{marks.path} is damaged in line {numbers}; `robocat data repair {store.path}` sets the damage "
            "aside"
        )
    if not (chosen := marks.among(entries)):
        raise ValueError(
            f"nothing is marked in {store.path}; do so in `robocat view {store.path} --serve`, or say --ids "
            "and --outcome"
        )
    return dict[str, str](chosen)


def _commit(source: EpisodeStore, target: EpisodeStore, chosen: Mapping[str, str]) -> None:
    """Commits all episodes, the chosen ones with the outcome that each is to have."""
    changed = {"success": 0, "failure": 0}

    def change(given: Packed) -> Packed:
        outcome = chosen.get(given.episode.id)
        if outcome is None or (episode := judged(given.episode, outcome == "success")) is given.episode:
            return given
        changed[outcome] += 1
        return given._replace(episode=episode)

    rewrite(source, target, source.ids(), change)
    said = " and ".join(f"{n} set to {word}" for word, n in changed.items() if n) or "0 set"
    left = len(chosen) - sum(changed.values())
    kept = f"{left} had that outcome already; " if left else ""
    print(f"{target.path}: {said} by hand; {kept}{len(target)} in all")


def judged(episode: Episode, success: bool) -> Episode:
    """The episode with an outcome set by hand; as it is, where it has that outcome already."""
    old = episode.meta.outcome
    if old.judged and old.success == success:
        return episode
    before = f"{old.word} by {old.judged_by}" if old.judged else old.word
    return replace(episode, meta=replace(episode.meta, outcome=Outcome(success, f"hand, before: {before}")))
