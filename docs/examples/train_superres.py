"""Learn to enlarge a photograph: a filter, trained through the gradient of `Upsample`, in NumPy.

    python docs/examples/train_superres.py [FOLDER] [STEPS]

The model is ``Upsample(filtered(small))``: 7 x 7 weights on the small picture, then bicubic. Its loss is the mean
squared difference from the large picture. It learns from the left of a photograph, is judged on the right, which it
never sees, and writes superres.png to FOLDER (by default the current one). Needs Pillow, to read and write pictures:
pip install ".[image]" in the clone.
"""

import argparse
from pathlib import Path

import numpy as np
from enlarge import page, side_by_side
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

import upsample

HERE = Path(__file__).resolve().parent
FACTOR = 3
TAPS = 7  # of the filter, along H and W
SPLIT = 156  # columns of the photograph to learn from
LARGER = upsample.Upsample(scale_factor=FACTOR, mode="bicubic")


def smaller(pictures: np.ndarray) -> np.ndarray:
    """(N, 1, H, W) reduced by FACTOR, each sample the mean of a square: what a coarser camera would see."""
    return upsample.interpolate(pictures, scale_factor=1 / FACTOR, mode="area")


def neighbours(pictures: np.ndarray) -> np.ndarray:
    """The TAPS x TAPS samples around each sample, the border repeated: (N, 1, H, W) to (N, 1, H, W, TAPS, TAPS)."""
    margin = TAPS // 2
    padded = np.pad(pictures, ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode="edge")
    return sliding_window_view(padded, (TAPS, TAPS), axis=(2, 3))


def enlarged(around: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The model: a weighted sum of each sample's neighbours, interpolated."""
    return LARGER(np.tensordot(around, weights, axes=2))


def loss_and_gradient(around: np.ndarray, weights: np.ndarray, large: np.ndarray) -> tuple[float, np.ndarray]:
    """The loss and its gradient: by the large picture, from there by the small one, from there by the weights."""
    difference = enlarged(around, weights) - large
    by_large = 2 / difference.size * difference
    by_small = LARGER.backward(by_large, around.shape[:4])
    return float((difference**2).mean()), np.tensordot(by_small, around, axes=4)


def train(small: np.ndarray, large: np.ndarray, steps: int) -> tuple[np.ndarray, list[float]]:
    """The weights after so many steps of conjugate gradients, and the loss before each."""
    around = np.ascontiguousarray(neighbours(small))
    weights = np.zeros((TAPS, TAPS), np.float32)
    weights[TAPS // 2, TAPS // 2] = 1  # the plain bicubic enlargement
    direction, losses, before = np.zeros_like(weights), [], np.inf
    for _ in range(steps):
        loss, gradient = loss_and_gradient(around, weights, large)
        losses.append(loss)
        now = (gradient**2).sum()
        direction = now / before * direction - gradient
        before = now
        # the model is linear in its weights, so the loss along a line is a parabola: go to its bottom
        bend = 2 * (enlarged(around, direction) ** 2).mean()
        weights -= (gradient * direction).sum() / bend * direction
    return weights, losses


def decibels(made: np.ndarray, true: np.ndarray) -> float:
    """The peak signal-to-noise ratio of pictures in [0, 1]."""
    return float(-10 * np.log10(((np.clip(made, 0, 1) - true) ** 2).mean()))


def main(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(HERE / "cat.png") as image:
        photo = np.asarray(image)
    colours = np.ascontiguousarray(photo.transpose(2, 0, 1)[:, None] / np.float32(255))  # three grey pictures
    seen, unseen = colours[..., :SPLIT], colours[..., SPLIT : SPLIT + 96]

    weights, losses = train(smaller(seen), seen, steps)
    for at in range(0, steps, max(1, steps // 10)):
        print(f"step {at:>4}   loss {losses[at]:.6f}")
    if losses:
        print(f"step {steps - 1:>4}   loss {losses[-1]:.6f}")

    small = smaller(unseen)
    before = LARGER(small)
    after = enlarged(neighbours(small), weights)
    scores = decibels(before, unseen), decibels(after, unseen)
    print(f"the part that was not learned from: bicubic {scores[0]:.2f} dB, learned {scores[1]:.2f} dB")

    shown = [upsample.interpolate(small, scale_factor=FACTOR), before, after, unseen]
    rgb = [np.round(np.clip(p[:, 0, 42:162].transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8) for p in shown]
    rgb = [upsample.interpolate(p, scale_factor=2, layout="HWC") for p in rgb]
    labels = ("a third of the size", f"bicubic: {scores[0]:.1f} dB", f"learned: {scores[1]:.1f} dB", "the photograph")
    gap = 12
    places = [(i * (rgb[0].shape[1] + gap), label) for i, label in enumerate(labels)]
    page([(places, side_by_side(rgb, gap))]).save(folder / "superres.png", optimize=True)
    print("superres.png   the same part: reduced, enlarged by bicubic, enlarged with the filter, and as it was")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learn to enlarge a photograph, and write superres.png.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="where to write (the current one)")
    parser.add_argument("steps", nargs="?", type=int, default=60, help="of conjugate gradients (60)")
    chosen = parser.parse_args()
    if chosen.steps < 0:
        parser.error("steps must be 0 or more")
    main(chosen.folder, chosen.steps)
