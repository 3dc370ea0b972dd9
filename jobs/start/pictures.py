"""Make the pictures of the README and the quick starts from what the quick starts left behind.

Called by `quick_starts.py --pictures`. Each shows real output: the scan beside the rows of its
table.
"""

from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont, ImageOps

from batchdigits.outputs import read_table

HEIGHT = 620
"""Of a picture of a page, px."""
MARGIN = 24
LINE = 30
"""Of a row of a table, px."""
COLOURS = {"ok": "#1a7f37", "review": "#9a6700", "error": "#cf222e", "blank": "#57606a"}
FONT, BOLD = ImageFont.load_default(17), ImageFont.load_default(19)


def make_pictures(folder: Path, out: Path) -> None:
    """Make all pictures.

    Args:
        folder: what `quick_starts.py` left behind.
        out: where the pictures go.
    """
    out.mkdir(parents=True, exist_ok=True)
    office, teacher, engineer = (folder / name for name in ("office", "teacher", "engineer"))
    drafted = Image.open(office / "form_drafted.png").convert("RGB")
    save(frame(crop_top(drafted, 0.62), 520), out / "office-drafted.png")
    rows = read_table(str(office / "results.xlsx"))
    row = rows[rows["file"] == "inbox/07-telephone.jpg"]
    scan = ImageOps.exif_transpose(Image.open(office / "inbox/07-telephone.jpg")).convert("RGB")
    save(put_beside(frame(scan), draw_record(row)), out / "office-row.png")
    save(put_beside(draw_cover(teacher), draw_rows(teacher)), out / "teacher-rows.png")
    save(draw_crops(engineer), out / "engineer-crops.png")


def save(picture: Image.Image, path: Path) -> None:
    """Save a picture in few colours, and print what it takes."""
    picture.quantize(64, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)
    print(f"{path}: {picture.width} x {picture.height}, {path.stat().st_size / 1024:.0f} KiB")


def crop_top(picture: Image.Image, share: float) -> Image.Image:
    """Return the upper part of a picture."""
    return picture.crop((0, 0, picture.width, round(picture.height * share)))


def frame(picture: Image.Image, height: int = HEIGHT) -> Image.Image:
    """Return a picture of that height in a thin frame."""
    width = round(picture.width * height / picture.height)
    return ImageOps.expand(picture.resize((width, height), Image.Resampling.LANCZOS), 1, "#d0d7de")


def put_beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Put two pictures beside each other on white."""
    size = left.width + right.width + 3 * MARGIN, max(left.height, right.height) + 2 * MARGIN
    whole = Image.new("RGB", size, "white")
    whole.paste(left, (MARGIN, (size[1] - left.height) // 2))
    whole.paste(right, (left.width + 2 * MARGIN, (size[1] - right.height) // 2))
    return whole


def draw_table(lines: list[list[str]], colours: list[str]) -> Image.Image:
    """Draw a table with a header.

    Args:
        lines: the header, and the rows.
        colours: of the rows.
    """
    widths = [
        18 + round(max(FONT.getlength(line[at]) for line in lines)) for at in range(len(lines[0]))
    ]
    table = Image.new("RGB", (sum(widths) + 8, LINE * len(lines) + 4), "white")
    pen = ImageDraw.Draw(table)
    for number, line in enumerate(lines):
        x, y = 4, number * LINE + 5
        for text, width in zip(line, widths, strict=True):
            colour = "#57606a" if number == 0 else colours[number - 1]
            pen.text((x, y), text, colour, FONT)
            x += width
        pen.line((0, (number + 1) * LINE, table.width, (number + 1) * LINE), "#d0d7de")
    return table


def draw_record(row: pd.DataFrame) -> Image.Image:
    """Draw a row of a wide table as one line for each column."""
    (record,) = row.to_dict("records")
    lines = [["column", "value"], *([str(name), str(value)] for name, value in record.items())]
    return draw_table(lines, ["#1f2328"] * len(record))


def draw_rows(teacher: Path) -> Image.Image:
    """Draw the teacher's table."""
    table = read_table(str(teacher / "points.xlsx"))
    names = ["page", "student", "task_1", "task_2", "total", "status"]
    lines = [names, *table[names].to_numpy().tolist()]
    return draw_table(lines, [COLOURS[line[-1]] for line in lines[1:]])


def draw_cover(teacher: Path) -> Image.Image:
    """Draw the upper part of the first cover that was scanned."""
    import pypdfium2

    with pypdfium2.PdfDocument(teacher / "scans.pdf") as document:
        page = document[0].render(scale=2).to_pil().convert("RGB")
    return frame(crop_top(page, 0.36), 300)


def draw_crops(engineer: Path) -> Image.Image:
    """Draw crops, each above what was read."""
    table = read_table(str(engineer / "digits.csv")).head(10)
    side, step = 84, 104
    whole = Image.new("RGB", (step * len(table) + MARGIN, side + 86), "white")
    pen = ImageDraw.Draw(whole)
    for number, row in enumerate(table.to_dict("records")):
        x = MARGIN // 2 + number * step + (step - side) // 2
        crop = Image.open(engineer / row["file"]).convert("RGB").resize((side, side))
        whole.paste(crop, (x, 12))
        pen.text((x, side + 18), f"{row['value']}  {row['status']}", COLOURS[row["status"]], BOLD)
        pen.text((x, side + 44), row["confidence"], "#57606a", FONT)
    return whole
