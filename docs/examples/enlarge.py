"""Enlarge a photograph and a volume, and make a picture that compares modes.

    python docs/examples/enlarge.py [FOLDER]

writes to FOLDER (by default the current one). Needs Pillow: pip install ".[image]" in the clone.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import upsample

HERE = Path(__file__).resolve().parent
PAPER, INK = (255, 255, 255), (40, 40, 40)
LABEL = 28  # pixels above each row of pictures


def side_by_side(images: list[np.ndarray], gap: int) -> np.ndarray:
    """Join (H, W, 3) images of one height, with paper between them."""
    paper = np.full((images[0].shape[0], gap, 3), PAPER, np.uint8)
    joined = [part for image in images for part in (paper, image)]
    return np.hstack(joined[1:])


def slices(volume: np.ndarray, chosen: list[int], brightest: int) -> np.ndarray:
    """Some slices of a (D, H, W) volume next to each other, as a grey (H, W, 3) image."""
    grey = np.clip(volume[chosen] * (255 / brightest), 0, 255).astype(np.uint8)
    return np.repeat(np.hstack(list(grey))[..., None], 3, axis=-1)


def page(rows: list[tuple[list[tuple[int, str]], np.ndarray]]) -> Image.Image:
    """Rows of pictures under each other, each below its labels, given as (x, text)."""
    width = max(picture.shape[1] for _, picture in rows)
    height = sum(picture.shape[0] + LABEL for _, picture in rows)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    y = 0
    for labels, picture in rows:
        for x, text in labels:
            draw.text((x + 2, y + LABEL - 6), text, INK, font, anchor="ls")
        sheet.paste(Image.fromarray(picture), (0, y + LABEL))
        y += picture.shape[0] + LABEL
    return sheet


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    # A NumPy image is (H, W, C), so say so: layout="HWC".
    with Image.open(HERE / "cat.png") as image:
        photo = np.asarray(image)
    large = upsample.interpolate(photo, scale_factor=2, mode="bicubic", layout="HWC")
    Image.fromarray(large).save(folder / "cat-2x.png")
    print(f"cat-2x.png         {photo.shape} -> {large.shape}  bicubic, layout='HWC'")

    # A volume of slices, rows and columns is "DHW"; its dtype, int16, is kept.
    volume = np.load(HERE / "brain.npy")
    fine = upsample.interpolate(volume, scale_factor=2, mode="trilinear", layout="DHW")
    np.save(folder / "brain-2x.npy", fine)
    print(f"brain-2x.npy       {volume.shape} -> {fine.shape}  trilinear, layout='DHW', {fine.dtype}")

    # What interpolation does shows beside mode="nearest", which repeats samples. Views such as this crop need no copy.
    eye = photo[46:116, 62:148]
    plain = upsample.interpolate(eye, scale_factor=4, mode="nearest", layout="HWC")
    smooth = upsample.interpolate(eye, scale_factor=4, mode="bicubic", layout="HWC")
    coarse = upsample.interpolate(volume, scale_factor=2, mode="nearest", layout="DHW")
    chosen = [12, 18, 24, 30, 36]
    brightest = int(np.percentile(volume, 99.8))
    gap = 12
    right = plain.shape[1] + gap
    comparison = page(
        [
            ([(0, "photograph, 4x nearest"), (right, "4x bicubic")], side_by_side([plain, smooth], gap)),
            ([(0, "MRI volume, 2x nearest")], slices(coarse, chosen, brightest)),
            ([(0, "2x trilinear")], slices(fine, chosen, brightest)),
        ]
    )
    comparison.save(folder / "before-after.png", optimize=True)
    print("before-after.png   the photograph and the volume, each with and without interpolation")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
