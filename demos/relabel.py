"""`robocat data relabel`: outcomes set by hand, into a store of its own; the old word is kept beside the new.

robocat data relabel runs/mine/all --ids <id> <id> --outcome failure --out runs/mine/better

A store never changes what it holds, so the episodes go to another one. There the outcome says who judged as
"hand, before: failure by predicate".
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from demos.episode import Episode, Outcome
from demos.progress import progress
from demos.stock import AT_ONCE, refuse_itself
from demos.store import EpisodeStore
from sim.names import pick


def relabel(
    store: Positional[Path], *, ids: tuple[str, ...], outcome: Literal["success", "failure"], out: Path
) -> None:
    """Commits all episodes of a store to another one, some with an outcome that a person has set.

    Args:
        store: The store; it stays as it is.
        ids: Episodes whose outcome is set.
        outcome: What it is set to.
        out: The store that takes them; it may be there already, without these episodes' old outcomes.

    Raises:
        UnknownName: There is no such episode; nothing was written then.
        StoreError: `out` has one of the episodes with another outcome.
        ValueError: `out` is the store itself, or no ids were given.
    """
    refuse_itself(out, (store,))
    source, target = EpisodeStore(store), EpisodeStore(out)
    present = source.ids()
    chosen = {id for id in ids if pick(dict.fromkeys(present, True), id, f"episode in {store}")}
    if not chosen:
        raise ValueError("no ids; expected those of the episodes whose outcome is set")
    changed = 0
    with progress(f"{store.name} to {out.name}", len(present)) as advance:
        for start in range(0, len(present), AT_ONCE):
            some = [source.load_packed(id) for id in present[start : start + AT_ONCE]]
            new = [
                each._replace(episode=judged(each.episode, outcome == "success"))
                if each.episode.id in chosen
                else each
                for each in some
            ]
            target.commit_many(new)
            changed += sum(a.episode is not b.episode for a, b in zip(some, new, strict=True))
            advance(len(some))
    kept = f"{len(chosen) - changed} had that outcome already; " if changed < len(chosen) else ""
    print(f"{out}: {changed} set to {outcome} by hand; {kept}{len(target)} in all")


def judged(episode: Episode, success: bool) -> Episode:
    """The episode with an outcome set by hand; as it is, where it has that outcome already."""
    old = episode.meta.outcome
    if old.success == success:
        return episode
    before = f"{'success' if old.success else 'failure'} by {old.judged_by}"
    return replace(episode, meta=replace(episode.meta, outcome=Outcome(success, f"hand, before: {before}")))
