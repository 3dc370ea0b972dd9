"""Whether values are read better than before, and nothing was forgotten."""

from typing import NamedTuple


class ReadingScore(NamedTuple):
    """How well values of known truth are read.

    Attributes:
        total: how many there are.
        wrong: how many are read wrong.
        loss: the mean negative log-likelihood of what is right.
    """

    total: int
    wrong: int
    loss: float

    def is_better_than(self, before: "ReadingScore") -> bool:
        """Return whether fewer are wrong, or as many and the loss is smaller."""
        return (self.wrong, round(self.loss, 4)) < (before.wrong, round(before.loss, 4))


class BeforeAfter(NamedTuple):
    """The same values, as they were read before, and now."""

    before: ReadingScore
    after: ReadingScore


def describe_fault(corrected: BeforeAfter, guard: BeforeAfter, what: str, name: str) -> str:
    """Return why what was learned is not kept, in plain words; empty if it is.

    Args:
        corrected: values of the corrections, each read by networks that have not learned it.
        guard: values that are not of the inbox.
        what: the values are: "digits".
        name: of the bundle to start from.
    """
    old, new = guard
    if new.wrong > old.wrong:
        return (
            f"of {new.total:,} guard {what} {new.wrong} would be wrong, and {old.wrong} are with "
            f"'{name}'"
        )
    old, new = corrected
    if not new.is_better_than(old):
        return (
            f"of {new.total:,} corrected {what} {new.wrong} would be wrong (held out, loss "
            f"{new.loss:.4f}), and {old.wrong} are with '{name}' (loss {old.loss:.4f})"
        )
    return ""
