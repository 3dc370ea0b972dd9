"""Draw what stands where a digit should and is none: ticks, scribbles, lines, blots, pieces.

Letters and printed signs are not drawn here: they come with the data, under the label NONE.
A stroke that is upright or leans to the right is never drawn alone, nor a corner at the upper
right: no one could tell them from a 1 and a 7.
"""

from collections.abc import Callable

from batchdigits.records import GreyImage
from batchdigits.training import marks, spoiled
from batchdigits.training.alter import other_pen, scanned
from batchdigits.training.marks import Choose
from batchdigits.training.pen import Random


def draw_stranger(random: Random, choose: Choose) -> GreyImage:
    """Draw something that is no digit, as a pen would and a scanner would see it.

    Args:
        random: where the chance comes from.
        choose: gives the digits for what is made of digits, or of their pieces.

    Returns:
        uint8, shape (S, S) with S from 22 to 64, ink light on dark.
    """
    kind = KINDS[int(random.integers(len(KINDS)))]
    return scanned(other_pen(kind(random, choose), random), random)


KINDS: tuple[Callable[[Random, Choose], GreyImage], ...] = (
    marks.draw_tick,
    marks.draw_cross,
    marks.draw_cross,
    marks.draw_scribble,
    marks.draw_scribble,
    spoiled.draw_crossed_out,
    spoiled.draw_crossed_out,
    spoiled.draw_struck_once,
    spoiled.draw_struck_once,
    spoiled.draw_overwritten,
    spoiled.draw_overwritten,
    spoiled.draw_fraction,
    spoiled.draw_fraction,
    spoiled.draw_fraction,
    marks.draw_corner,
    marks.draw_angle,
    marks.draw_bracket,
    marks.draw_dashes,
    marks.draw_dots,
    marks.draw_blot,
    spoiled.draw_several,
    spoiled.draw_several,
    spoiled.draw_several,
    spoiled.draw_rolled,
    marks.draw_loops,
    marks.draw_sign,
    marks.draw_sign,
    marks.draw_void,
)
"""How often each is drawn, in proportion."""
