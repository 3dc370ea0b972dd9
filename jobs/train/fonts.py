"""Draw digits, and letters and signs that are none, in every font of a folder.

    python jobs/train/fonts.py /usr/share/fonts fonts.npz

Each font gives its ten digits (labels 0 to 9) and letters and signs (label 10, not a digit),
48 x 48, ink light on dark. Fonts of one family that draw alike are taken once; a fifth of the
families, by the hash of their name, is `*_test`. Letters and strokes that look like digits are
never learned from: those of the families of `*_test` are `*_alike`.
"""

import argparse
import hashlib
import string
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont

SIDE = 48
NONE = 10
LOOK_ALIKE = "OoQDIlbgq"
"""Letters that a person, shown one alone, may take for a digit."""
PICTURES = ("dingbat", "d05000", "symbol", "icon")
"""In the names of fonts that have pictures where others have digits."""
LETTERS = [c for c in string.ascii_letters if c not in LOOK_ALIKE]
ALIKE = [*LOOK_ALIKE, "/", "|"]
SIGNS = list('#$%&*+<=>?@^~:;"')


def characters(font: Path) -> list[str]:
    """Tell which of the characters a font has; none where it has not all digits."""
    try:
        known = TTFont(font, fontNumber=0, lazy=True).getBestCmap() or {}
    except (TTLibError, OSError, ValueError, KeyError, AssertionError):
        return []
    if any(ord(digit) not in known for digit in string.digits):
        return []
    return [c for c in list(string.digits) + LETTERS + SIGNS + ALIKE if ord(c) in known]


def drawn(font: Path, character: str) -> np.ndarray | None:
    """Draw one character: uint8 (48, 48), ink light, its longest side 40 px."""
    try:
        face = ImageFont.truetype(str(font), 64)
        picture = Image.new("L", (192, 192))
        ImageDraw.Draw(picture).text((64, 48), character, 255, font=face)
    except (OSError, ValueError):
        return None
    box = picture.getbbox()
    if box is None or max(box[2] - box[0], box[3] - box[1]) < 8:
        return None
    ink = picture.crop(box)
    scale = 40 / max(ink.size)
    ink = ink.resize([max(2, round(s * scale)) for s in ink.size], Image.Resampling.LANCZOS)
    out = Image.new("L", (SIDE, SIDE))
    out.paste(ink, ((SIDE - ink.width) // 2, (SIDE - ink.height) // 2))
    return np.asarray(out, np.uint8)


def main() -> None:
    """Draw all, and write the .npz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fonts", type=Path, help="folder of .ttf and .otf files")
    parser.add_argument("out", type=Path, help=".npz")
    given = parser.parse_args()
    seen: set[bytes] = set()
    parts: dict[str, list] = {"x_train": [], "y_train": [], "x_test": [], "y_test": []}
    parts |= {"x_alike": [], "y_alike": []}
    count = 0
    for font in sorted(p for p in given.fonts.rglob("*") if p.suffix.lower() in (".ttf", ".otf")):
        if any(word in font.name.lower() for word in PICTURES):
            continue
        have = characters(font)
        pictures = [(c, drawn(font, c)) for c in have]
        digits = [p for c, p in pictures if c in string.digits]
        if len(digits) < 10 or any(p is None for p in digits):
            continue
        alike = hashlib.sha256(b"".join(p[::4, ::4].tobytes() for p in digits)).digest()
        if alike in seen:
            continue
        seen.add(alike)
        count += 1
        family = font.stem.split("-")[0].rstrip(string.digits).lower()[:6]
        part = "test" if hashlib.sha256(family.encode()).digest()[0] < 51 else "train"
        for character, picture in pictures:
            to = "alike" if character in ALIKE else part
            if picture is not None and part in (to, "test"):
                digit = character in string.digits
                parts[f"x_{to}"].append(picture)
                parts[f"y_{to}"].append(int(character) if digit else NONE)
    arrays = {name: np.array(values, np.uint8) for name, values in parts.items()}
    np.savez_compressed(given.out, **arrays)
    print(count, "fonts;", {name: len(values) for name, values in arrays.items()})


if __name__ == "__main__":
    main()
