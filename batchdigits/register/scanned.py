"""What is found in a page: found once, with however many forms the page is compared."""

from functools import cached_property

from batchdigits.records import GreyImage
from batchdigits.register import detected, features


class ScannedPage:
    """A page, with its boxes and features, which are found when they are first asked for.

    Attributes:
        grey: uint8, (height, width), dark ink on light paper.
    """

    def __init__(self, grey: GreyImage) -> None:
        """Keep the page; nothing is looked for yet."""
        self.grey = grey

    @cached_property
    def quads(self) -> detected.Quads:
        """The corners of the page's printed boxes, (N, 4, 2), px."""
        return detected.detect_boxes(self.grey)

    @cached_property
    def features(self) -> features.Features:
        """The page's features."""
        return features.detect_features(self.grey)
