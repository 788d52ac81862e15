"""`robocat data judge`: a success model's word on episodes that nobody has judged, as at a real table.

robocat judge --stores runs/mine/stores/marked --tokeniser runs/mine/tokeniser --out runs/mine/judge
robocat data judge runs/mine/stores/real --judge runs/mine/judge --out runs/mine/stores/judged

A store never changes what it holds, so the episodes go to another one; those that were judged before go there
as they are.
"""

from pathlib import Path

from tyro.conf import Positional

from demos.episode import NOBODY
from demos.episode_file import Packed
from demos.progress import progress
from demos.stock import AT_ONCE, refuse_itself
from demos.store import EpisodeStore
from robocat.success import Judge


def judge_store(
    store: Positional[Path],
    *,
    out: Path,
    judge: Path = Path("runs/cycle/judge"),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
) -> None:
    """Commits all episodes of a store to another one, those that nobody has judged with a model's verdict.

    Args:
        store: The store; it stays as it is.
        out: The store that takes them; it may be there already, without these episodes' verdicts.
        judge: Checkpoint of the success model.
        tokeniser: The tokeniser that it reads.

    Raises:
        CheckpointError: The model or its tokeniser is absent, or they do not belong together.
        StoreError: `out` has one of the episodes with another outcome.
        ValueError: `out` is the store itself; or an episode has no goal images, or other cameras than the
            model reads: nothing can be said of it.
    """
    refuse_itself(out, (store,))
    source, target, judging = EpisodeStore(store), EpisodeStore(out), Judge(judge, tokeniser)
    ids, verdicts = source.ids(), list[bool]()
    with progress(f"{store.name} to {out.name}", len(ids)) as advance:
        for start in range(0, len(ids), AT_ONCE):
            some: list[Packed] = []
            for id in ids[start : start + AT_ONCE]:
                given = source.load_packed(id)
                if given.episode.meta.outcome.judged_by == NOBODY:
                    given = given._replace(episode=judging(given.episode))
                    verdicts.append(given.episode.succeeded)
                some.append(given)
            target.commit_many(some)
            advance(len(some))
    said = f"{len(verdicts)} judged by {judging.name}, {sum(verdicts)} of them successes"
    print(f"{out}: {said}; {len(target)} in all")
