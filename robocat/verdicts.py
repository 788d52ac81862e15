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
from demos.stock import refuse_itself, rewrite
from demos.store import EpisodeStore
from robocat.success import Judge


def judge_store(
    store: Positional[Path],
    *,
    out: Path,
    judge: Path = Path("runs/cycle/judge"),
    tokeniser: Path | None = None,
) -> None:
    """Commits all episodes of a store to another one, those that nobody has judged with a model's verdict.

    Args:
        store: The store; it stays as it is.
        out: The store that takes them; it may be there already, without these episodes' verdicts.
        judge: Checkpoint of the success model.
        tokeniser: The tokeniser that it reads; that of the run it belongs to if not given.

    Raises:
        CheckpointError: The model or its tokeniser is absent, or they do not belong together.
        StoreError: `out` has one of the episodes with another outcome.
        ValueError: `out` is the store itself; or an episode has other cameras than the model reads.
    """
    refuse_itself(out, (store,))
    source, target, judging = (
        EpisodeStore(store),
        EpisodeStore(out),
        Judge(judge, tokeniser or judge.parent / "tokeniser"),
    )
    verdicts, blind = list[bool](), list[str]()

    def change(given: Packed) -> Packed:
        if given.episode.meta.outcome.judged_by != NOBODY:
            return given
        if not given.episode.goal:
            blind.append(given.episode.id)
            return given
        episode = judging(given.episode)
        verdicts.append(episode.succeeded)
        return given._replace(episode=episode)

    rewrite(source, target, source.ids(), change)
    said = f"{len(verdicts)} judged by {judging.name}, {sum(verdicts)} of them successes"
    unsaid = f"; {len(blind)} have no goal to judge by and stay unjudged" if blind else ""
    print(f"{out}: {said}{unsaid}; {len(target)} in all")
