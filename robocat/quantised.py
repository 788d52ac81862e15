"""What a quantiser makes of an encoder's vectors, whichever quantiser it is."""

from typing import NamedTuple

from torch import Tensor


class Quantised(NamedTuple):
    """Vectors as codes.

    Attributes:
        vectors: Of the codes (B, D, h, w); their gradient passes straight through to the encoder.
        codes: (B, h, w).
        commitment: Scalar: how far the encoder's vectors lie from those of their codes.
    """

    vectors: Tensor
    codes: Tensor
    commitment: Tensor
