"""Pieces of the page: markup, numbers in words, and animations that keep their bound."""

import io

import numpy as np
from PIL import Image

from finetune.clips import MOST_BYTES, animation
from finetune.markup import Html, duration, join, many, percent, points, short, size, tag


def test_markup_escapes_text_and_attributes() -> None:
    made = tag("p", "<b>", Html("<i></i>"), title='"&', class_="x", hidden=True, open=None)
    assert made == '<p title="&quot;&amp;" class="x" hidden>&lt;b&gt;<i></i></p>'
    assert join(["a", "<"], ", ") == "a, &lt;"


def test_numbers_are_written_one_way() -> None:
    minus = "\N{MINUS SIGN}"
    assert [points(x) for x in (0.123, -0.05, 0.001, -0.001)] == ["+12", f"{minus}5", "0", "0"]
    assert [duration(x) for x in (3.21, 59.9, 60, 3700)] == ["3.2 s", "60 s", "1 min 0 s", "1 h 1 min"]
    assert [short(x) for x in (950, 1234, 1_234_567)] == ["950", "1.23 k", "1.23 M"]
    assert [size(x) for x in (12, 1500, 2.5e6)] == ["12 bytes", "1.5 kB", "2.5 MB"]
    assert [many(1, "episode"), many(3600, "episode")] == ["1 episode", "3,600 episodes"]
    assert percent(0.625) == "62%"


def test_an_animation_keeps_its_bound_and_its_end() -> None:
    """Noise is what compresses worst; the last frame tells how it ended."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (90, 96, 96, 3), np.uint8)
    frames[-1] = 255
    data = animation(frames, 10.0)
    assert len(data) <= MOST_BYTES
    with Image.open(io.BytesIO(data)) as image:
        count = image.n_frames  # pyright: ignore[reportAttributeAccessIssue]
        image.seek(count - 1)
        assert np.asarray(image.convert("RGB")).min() > 200
    assert 1 < count < 90
