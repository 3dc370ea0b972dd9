"""The pose of a page by its printed lines alone."""

import numpy as np

from batchdigits.register import boxes, edges, lines
from batchdigits.register.poses import InitialPose, Pose, RegistrationFailure, list_boxes
from batchdigits.register.scanned import ScannedPage
from batchdigits.register.selection import PoseSearch, reject_duplicate_form


def register_by_lines(page: ScannedPage, search: PoseSearch) -> Pose | RegistrationFailure:
    """Find the pose by printed boxes; if that fails, by the paper's edges too, as in a photo."""
    template_boxes = list_boxes(search.template)
    search.try_poses(
        [
            InitialPose(matrix, "printed boxes")
            for matrix in boxes.find_box_transforms(page.quads, template_boxes)
        ]
    )
    if not search.good:
        sheets = edges.list_paper_transforms(page.grey, search.template.form.size)
        for sheet in sheets[: len(sheets) - 4 : 4]:  # one turn of each sheet will do
            flat = lines.project_points(np.linalg.inv(sheet), page.quads)
            search.try_poses(
                [
                    InitialPose(sheet @ matrix, "the page's edges and printed boxes")
                    for matrix in boxes.find_box_transforms(flat, template_boxes)
                ]
            )
        search.try_poses([InitialPose(sheet, "the page's edges") for sheet in sheets])
    pose = search.choose_pose()
    return (
        pose
        if isinstance(pose, RegistrationFailure)
        else reject_duplicate_form(page, pose, search.template)
    )
