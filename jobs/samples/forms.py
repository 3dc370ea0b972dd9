"""Make `samples/forms/`: a blank form and twelve pages of it, filled in with MNIST's test digits.

    python jobs/samples/forms.py mnist.npz

The pages are damaged as scanners, telephones and people do it, each in its own way; the template
stands there already. Run `jobs/samples/regenerate.py` afterwards for the expected table.
"""

import csv
import io
import sys
from pathlib import Path

import cv2
import numpy as np
import paper
from PIL import Image

from batchdigits import templates
from batchdigits.templates.paper import draw_blank_form

FORMS = Path("samples/forms")
SCAN = paper.Ranges(
    dpi=(150, 150),
    skew=1,
    scale=0,
    border=(0, 0),
    photograph=0,
    corner=0,
    one_bit=0,
    jpeg=0,
    shadow=0,
    crease=0,
    noise=(0, 3),
    blur=(0.05, 0.08),
)
"""A good scan."""
PHOTO = SCAN._replace(photograph=1, tilt=0.06, border=(8, 15), skew=6)
PAGES = {
    "01-scan.png": SCAN,
    "02-skewed.png": SCAN._replace(skew=9, border=(2, 6)),
    "03-low-quality.jpg": SCAN._replace(dpi=(130, 130), blur=(0.1, 0.12)),
    "04-fax.tif": SCAN._replace(dpi=(200, 200), one_bit=1, noise=(8, 10)),
    "05-coarse.png": SCAN._replace(dpi=(100, 100)),
    "06-enlarged.png": SCAN._replace(scale=0.2),
    "07-telephone.jpg": PHOTO,
    "08-shadow.jpg": PHOTO._replace(shadow=1, depth=0.5),
    "09-creased.png": SCAN._replace(crease=1),
    "10-cut-off-corner.png": SCAN._replace(corner=1, leg=(18, 24)),
}
"""Ten pages by name and by what befalls them; 11 is another form, 12 nobody has filled in."""


def main() -> None:
    """Write the pages, the blank form and the truth."""
    data = np.load(sys.argv[1])
    digits = {label: data["x_test"][data["y_test"] == label] for label in range(10)}
    template = templates.load_template(str(FORMS / "membership.toml"))
    (FORMS / "blank.pdf").write_bytes(draw_blank_form(template))
    truth = [("blank.pdf", field.name, "") for field in template.fields]
    for number, (name, ranges) in enumerate(PAGES.items()):
        random = np.random.default_rng((4, number))
        page, values = paper.filled(template, digits, random)
        grey, _, _ = paper.scanned(page, random, ranges)
        save(name, grey)
        decimals = {field.name: field.decimals for field in template.fields}
        truth += [(name, n, paper.punctuated(v, decimals[n])) for n, v in values.items()]
    random = np.random.default_rng((4, 11))
    shifted = [
        f.model_copy(update={"box": (f.box[0], f.box[1] + 30, *f.box[2:])}) for f in template.fields
    ]
    other = template.model_copy(update={"fields": tuple(shifted)})
    save(
        "11-another-form.png",
        paper.scanned(paper.filled(other, digits, random)[0], random, SCAN)[0],
    )
    save("12-not-filled-in.png", paper.scanned(paper.blank(template, 300), random, SCAN)[0])
    truth += [("11-another-form.png", field.name, "skip") for field in template.fields]
    truth += [("12-not-filled-in.png", field.name, "") for field in template.fields]
    with (FORMS / "truth.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "page", "field", "value"))
        table.writerows((f"{FORMS}/{name}", 1, field, value) for name, field, value in truth)


def save(name: str, grey: paper.GreyImage) -> None:
    """Write a page in the format that its name says; faxes in one bit, G4."""
    out = io.BytesIO()
    if name.endswith(".tif"):
        Image.fromarray(grey).convert("1").save(out, "TIFF", compression="group4", dpi=(200, 200))
        (FORMS / name).write_bytes(out.getvalue())
        return
    quality = [cv2.IMWRITE_JPEG_QUALITY, 25 if "low" in name else 70]
    coded = cv2.imencode(Path(name).suffix, grey, quality if name.endswith(".jpg") else [])[1]
    (FORMS / name).write_bytes(coded.tobytes())


if __name__ == "__main__":
    main()
