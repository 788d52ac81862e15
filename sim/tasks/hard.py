"""HARD: pairs of arm and task whose expert succeeds in less than 95 % of attempts, and why.

They can be made and practised like all others; demonstrations of them are fewer than attempts. The figures
are those of bench/results/experts-again.json.
"""

HARD: dict[tuple[str, str], str] = {
    ("so101", "inverted-pyramid"): (
        "64 % of 200 attempts: its five joints turn the jaws only as far as the last one does, and a plank "
        "taken far to the side cannot be turned to lie across the block, nor a block to stand on the plank"
    ),
}
