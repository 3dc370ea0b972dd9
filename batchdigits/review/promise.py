"""Whether the values that the machine was sure of are as often right as it promised."""

from dataclasses import dataclass

from batchdigits.corrections import Correction
from batchdigits.review.results import OpenResults

SURPRISE = 0.05
"""Probability of so many errors, if the promise held, under which a warning is due."""


@dataclass(frozen=True)
class Promise:
    """Errors among values with the status `ok`.

    Attributes:
        values: with the status `ok`, in the table.
        promised: errors among them by their confidences.
        found: errors among them that people found.
        audited: of a random sample of them, how many a person looked at.
        audit_promised: errors in that sample by its confidences.
        audit_found: errors that were found in that sample.
    """

    values: int = 0
    promised: float = 0.0
    found: int = 0
    audited: int = 0
    audit_promised: float = 0.0
    audit_found: int = 0

    @property
    def is_broken(self) -> bool:
        """Whether there are more errors than chance explains, if the promise held."""
        return _is_surprising(self.found, self.promised) or _is_surprising(
            self.audit_found, self.audit_promised
        )


def _is_surprising(found: int, promised: float) -> bool:
    """Return whether so many errors are improbable (Poisson: many values, each seldom wrong)."""
    if found <= promised:
        return False
    from scipy.special import gammainc  # noqa: PLC0415  (slow to import)

    return float(gammainc(found, promised)) < SURPRISE if promised else True


def count_promise(results: OpenResults) -> Promise:
    """Count the errors that people found among the values that the machine was sure of."""
    values = found = audited = audit_found = 0
    promised = audit_promised = 0.0
    for one in results.read_files():
        for row, place in zip(one.rows.rows, one.places, strict=True):
            said = results.book.find_latest(place)
            if said is None or not is_accepted(said):
                if row.status == "ok" and row.confidence is not None:
                    values, promised = values + 1, promised + 1 - row.confidence
                continue
            share = 1 - float(said.read_confidence or 1)
            values, promised, found = values + 1, promised + share, found + is_wrong(said)
            if said.how == "audit":
                audited, audit_promised = audited + 1, audit_promised + share
                audit_found += is_wrong(said)
    return Promise(values, promised, found, audited, audit_promised, audit_found)


def is_accepted(one: Correction) -> bool:
    """Return whether the machine was sure of the value that a person looked at."""
    return one.read_status == "ok"


def is_wrong(one: Correction) -> bool:
    """Return whether a person said something else than the machine had read."""
    return one.answer in ("value", "blank") and one.value != one.read_value
