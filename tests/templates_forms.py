"""A template as text, and the folder in which tests of templates run."""

from pathlib import Path

import cv2
import numpy as np
import pypdfium2
import pytest
from numpy.typing import NDArray

from batchdigits.templates import Template

Grey = NDArray[np.uint8]


FORM = """[form]
name = "membership"
size = [210, 297]
anchor = "markers"
"""
FIELD = """
[[field]]
name = "member_id"
box = [20, 40, 96, 12]
cells = 8
gap = 2
"""


@pytest.fixture(name="here", autouse=True)
def here_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def edited(old: str, new: str, text: str = FORM + FIELD) -> str:
    assert old in text
    return text.replace(old, new)


def drawn(pdf: bytes, dpi: int) -> Grey:
    """Draw a PDF's only page as a scanner would see it."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        assert len(document) == 1
        picture = document[0].render(scale=dpi / 72, grayscale=True).to_numpy()
        return np.ascontiguousarray(picture.reshape(picture.shape[:2]))
    finally:
        document.close()


def several(size: tuple[float, float] = (210, 297), **form: object) -> Template:
    wide = size[0]
    listed = [
        {"name": "apart", "box": [20, 40, 96, 12], "cells": 8, "gap": 2},
        {"name": "comb", "box": [20, 65, 60, 8], "cells": 10},
        {"name": "free", "box": [20, 90, wide - 60, 10]},
        {"name": "day", "box": [20, 110, 13, 8], "cells": 2, "gap": 1},
        {"name": "month", "box": [40, 110, 13, 8], "cells": 2, "gap": 1},
        {"name": "year", "box": [60, 110, 27, 8], "cells": 4, "gap": 1},
        {"name": "tick", "box": [100, 112, 5, 5], "cells": 1},
        {"name": "below", "box": [20, 125, 60, 8], "cells": 10},
    ]
    whole = {"name": "membership", "size": size, "anchor": "markers", **form}
    return Template.model_validate({"form": whole, "field": listed})


def turned(grey: Grey, degrees: float) -> Grey:
    high, wide = grey.shape
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, 1)
    return np.asarray(cv2.warpAffine(grey, matrix, (wide, high), borderValue=255), np.uint8)


def canvas() -> Grey:
    return np.full((1000, 1000), 255, np.uint8)  # 100 x 100 mm
