"""Shared by the test modules of extract."""

from batchdigits.job import Inputs
from batchdigits.options import RunOptions
from batchdigits.paths import resolve_paths
from batchdigits.run import PlannedFile, find_files, plan_files


def plan(**options: object) -> list[PlannedFile]:
    chosen = RunOptions.from_settings({"workers": 0, **options})
    found = find_files(Inputs(["inbox"]), resolve_paths(chosen))
    return list(plan_files(found.sources, chosen))
