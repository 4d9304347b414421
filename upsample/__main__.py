"""The command ``upsample IN OUT --scale-factor 2``, also ``python -m upsample``.

In: the name of a picture (PNG, JPEG, TIFF through Pillow) or of an ``.npy`` array.  Out: a file
of the same kind, resampled, and an exit code: 0, 2 for anything wrong (one line on stderr says
what) or 130 when interrupted.  It uses the public calls of the library only; `plan.window` gives it
bands of a large output, between which it can draw a progress bar.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import secrets
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

import upsample

from ._geometry import MODES
from ._plan import NUMERICS, Plan

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
# The Pillow modes that a format holds, of those that we resample. PNG would cut "I" to 16 bits without a word.
HOLDS = {
    "PNG": ("L", "LA", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "TIFF": ("L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
}
KINDS = {"LA": "grey and alpha", "I;16": "16-bit grey", "I": "32-bit grey", "F": "float grey"}
# Pillow's JPEG default (quality 75, half the colour resolution) would undo what resampling gained.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}}
JPEG_LIMIT = 65500
ORIENTATION = 0x0112
# Outputs are made in bands of about this size: small enough for a bar that moves and a Ctrl-C that works,
# large enough that making a plan per band does not show.
BAND_BYTES = 32 << 20
PROGRESS_AFTER = 1.0

EPILOG = """\
pictures:
  Grey, grey with alpha, RGB, RGBA, CMYK, 16-bit grey and float TIFF keep their type. Palettes become RGB
  (RGBA where a colour is transparent), 1-bit pictures 8-bit grey. Each channel is resampled by itself, alpha
  too: colours are not multiplied by alpha first. EXIF orientation and ICC profile are kept; H and W are those
  of the picture as viewers show it. JPEG is written with quality 95 and full colour resolution.

arrays:
  An .npy file holds any dtype that the mode takes (nearest: every one but objects). Without --layout its axes
  are torch's: (N, C, W), (N, C, H, W) or (N, C, D, H, W).

examples:
  upsample photo.png large.png --scale-factor 2
  upsample photo.jpg thumb.jpg --size 120,160 --mode bilinear --antialias
  upsample volume.npy fine.npy --scale-factor 2,1,1 --mode trilinear --layout DHW
"""


class Failure(Exception):
    """What is wrong, for the one line that the user sees."""


class Parser(argparse.ArgumentParser):
    """argparse, whose errors become a `Failure` rather than usage text and an exit."""

    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message} (upsample --help explains)")


@dataclass(frozen=True, slots=True)
class Loaded:
    """An input file: its samples, and what a picture needs to become a file again."""

    array: np.ndarray[Any, Any]
    layout: str | None
    mode: str | None = None  # Pillow's; None for .npy
    icc_profile: bytes | None = None
    orientation: int = 1
    warning: str = ""


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : list of str, optional
        The arguments after the command's name; those of the process if None.

    Returns
    -------
    int
        The exit code: 0, 2 for an error, which is one line on stderr, 130 when interrupted.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``.
    """
    progress = Progress()
    try:
        arguments = _parser().parse_args(argv)
        if arguments.scale_factor is None and arguments.size is None:
            raise Failure("one of --scale-factor and --size is required")
        _run(arguments, progress)
    except Failure as failure:
        message = str(failure)
    except MemoryError as error:
        message = f"not enough memory: {error}" if str(error) else "not enough memory"
    except KeyboardInterrupt:
        return 130
    else:
        return 0
    finally:
        progress.close()
    # messages of the library may have several lines
    print("upsample: error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _parser() -> Parser:
    parser = Parser(
        prog="upsample",
        description="Enlarge or reduce a picture (PNG, JPEG, TIFF) or an .npy array as PyTorch's interpolate does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="IN", type=Path, help="picture or .npy file to read")
    parser.add_argument("output", metavar="OUT", type=Path, help="file to write; its ending decides the format")
    # Not required by argparse, which would ask for it before it names a mistyped option.
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--scale-factor",
        metavar="F",
        type=_factors,
        help="output size over input size: one number, or one per axis in D,H,W order, e.g. 2 or 1.5,2",
    )
    target.add_argument(
        "--size", metavar="N", type=_sizes, help="output size in samples: one number for all axes, or one per axis"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        metavar="MODE",
        help=f"{', '.join(MODES)}; default: bicubic for pictures, nearest for .npy",
    )
    parser.add_argument(
        "--align-corners", action="store_true", default=None, help="let the corner samples of both sides coincide"
    )
    parser.add_argument(
        "--antialias", action="store_true", help="widen the filter when reducing (lanczos needs it always)"
    )
    parser.add_argument(
        "--numerics", choices=NUMERICS, default="torch", help="PyTorch's arithmetic, or exact; default: torch"
    )
    parser.add_argument("--layout", help="axes of an .npy array, a letter each, such as HWC, DHW or NCDHW")
    names = [name for name in upsample.backends() if name != "cuda"]
    parser.add_argument("--backend", metavar="NAME", help=f"one of {', '.join(names)}; default: cpu")
    parser.add_argument("--threads", metavar="N", type=int, help="use at most N threads; results do not depend on it")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite OUT if it exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="no report and no progress bar")
    parser.add_argument("--version", action="version", version=f"upsample {upsample.__version__}")
    return parser


def _factors(text: str) -> float | tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number or comma-separated list of numbers") from None
    return values[0] if len(values) == 1 else values


def _sizes(text: str) -> int | tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number or comma-separated list of them") from None
    return values[0] if len(values) == 1 else values


def _run(args: argparse.Namespace, progress: Progress) -> None:
    """Read, resample, write, report; whatever can be refused is refused before the work."""
    started = time.perf_counter()
    if not args.quiet and sys.stderr.isatty():
        progress.start()
    is_array = args.input.suffix.lower() == ".npy"
    _check_output(args.output, is_array, args.force)
    if not is_array and args.layout is not None:
        raise Failure("--layout names the axes of an .npy array, a picture has its own: leave it out")
    progress.update(0.0, "reading")
    loaded = _read_array(args.input, args.layout) if is_array else _read_picture(args.input)
    mode = args.mode or ("nearest" if is_array else "bicubic")
    if args.backend == "cuda":
        raise Failure("--backend cuda needs CuPy arrays, and files become NumPy ones: the command runs on the CPU")
    if mode == "lanczos" and not args.antialias:
        raise Failure("--mode lanczos needs --antialias")
    size, factor = args.size, args.scale_factor
    if loaded.orientation >= 5:  # shown with rows and columns exchanged
        size, factor = (v[::-1] if isinstance(v, tuple) else v for v in (size, factor))
    with contextlib.ExitStack() as stack:
        try:
            if args.threads is not None:
                stack.enter_context(upsample.num_threads(args.threads))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", UserWarning)  # `loaded.warning` says it in the command's own words
            plan = upsample.plan(
                loaded.array.shape,
                loaded.array.dtype,
                size,
                factor,
                mode,
                args.align_corners,
                antialias=args.antialias,
                numerics=args.numerics,
                layout=loaded.layout,
                backend=args.backend,
            )
            if not is_array:
                _check_format(args.output, loaded, plan)
            progress.update(0.0, "upsampling")
            result = _resample(plan, loaded.array, progress)
        # NotImplementedError and BackendError are RuntimeErrors
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise Failure(str(error)) from error
    progress.update(1.0, "writing")
    with _replacing(args.output, args.force) as file:
        if loaded.mode is None:
            np.save(file, result, allow_pickle=False)
        else:
            _write_picture(file, FORMATS[args.output.suffix.lower()], result, loaded)
    progress.close()
    if not args.quiet:
        seconds = time.perf_counter() - started
        axes = loaded.layout or "NC" + "DHW"[5 - loaded.array.ndim :]
        _say(
            f"{args.input} ({axes} {loaded.array.shape} {loaded.array.dtype.name}) -> "
            f"{args.output} {result.shape}: {mode}, {seconds:.2f} s"
        )
        # only now, so that an error stays alone on its line
        if loaded.warning:
            print("upsample: warning:", loaded.warning, file=sys.stderr)
        smaller = any(m < n for m, n in zip(plan.out_shape, plan.shape, strict=True))
        if not is_array and smaller and mode in ("bilinear", "bicubic", "cubic") and not args.antialias:
            print("upsample: hint: --antialias keeps fine detail from flickering when reducing", file=sys.stderr)


def _say(text: str) -> None:
    """Print a line whatever characters the terminal lacks; a closed pipe is nobody's error."""
    encoding = sys.stdout.encoding or "utf-8"
    with contextlib.suppress(OSError):
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


# ---- resampling -----------------------------------------------------------


def _resample(plan: Plan, x: np.ndarray[Any, Any], progress: Progress) -> np.ndarray[Any, Any]:
    """The plan's output, made in bands if it is large; the bits are those of one call."""
    total = math.prod(plan.out_shape) * plan.dtype.itemsize
    count = total // BAND_BYTES
    sizes = [plan.out_shape[a] for a in plan.spatial]
    # the outermost axis that is long enough keeps bands contiguous
    along = next((i for i, m in enumerate(sizes) if m >= count), sizes.index(max(sizes)))
    count = min(count, sizes[along])
    if count < 2:
        result: np.ndarray[Any, Any] = plan(x)
        return result
    out = np.empty(plan.out_shape, plan.dtype)
    for band in range(count):
        start, stop = [0] * len(sizes), list(sizes)
        start[along], stop[along] = sizes[along] * band // count, sizes[along] * (band + 1) // count
        in_start, in_stop, part = plan.window(tuple(start), tuple(stop))
        part(x[_region(plan, in_start, in_stop)], out=out[_region(plan, start, stop)])
        progress.update((band + 1) / count, f"upsampling {(band + 1) / count:.0%}")
    return out


def _region(plan: Plan, start: Any, stop: Any) -> tuple[slice, ...]:
    """Ranges of the spatial axes as an index of the array."""
    index = [slice(None)] * len(plan.shape)
    for axis, lo, hi in zip(plan.spatial, start, stop, strict=True):
        index[axis] = slice(lo, hi)
    return tuple(index)


class Progress:
    """A bar on one line of stderr, drawn only once the work has lasted a second."""

    width = 30

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.text = ""
        self.drawn = ""
        self.timer: threading.Timer | None = None
        self.lock = threading.Lock()

    def start(self) -> None:
        """Show progress from now on; the timer is for a step that takes longer than a second by itself."""
        self.timer = threading.Timer(PROGRESS_AFTER, self._draw)
        self.timer.daemon = True
        self.timer.start()

    def update(self, fraction: float, what: str) -> None:
        """Tell how much is done (0 to 1), and of what."""
        full = round(self.width * fraction)
        self.text = f"[{'#' * full}{'.' * (self.width - full)}] {what}"
        if time.monotonic() - self.started >= PROGRESS_AFTER:
            self._draw()

    def close(self) -> None:
        """Take the bar away, so that the line is free for a message."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer.join()
            self.timer, self.text = None, ""
            self._erase()

    def _draw(self) -> None:
        with self.lock:
            if self.timer is not None and self.text != self.drawn:
                self._erase()
                sys.stderr.write(self.text)
                sys.stderr.flush()
                self.drawn = self.text

    def _erase(self) -> None:
        if self.drawn:
            sys.stderr.write("\r" + " " * len(self.drawn) + "\r")
            sys.stderr.flush()
            self.drawn = ""


# ---- reading --------------------------------------------------------------


def _read_array(path: Path, layout: str | None) -> Loaded:
    with _reading(path), open(path, "rb") as file:
        array = np.load(file, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an .npz archive: save one of its arrays with numpy.save")
    warning = ""
    if layout is None and array.ndim == 3 and array.shape[2] in (1, 3, 4) and min(array.shape[:2]) >= 16:
        warning = (
            f"{path} {array.shape} was taken as (N, C, W) and its last axis resampled; --layout HWC takes an image"
        )
    return Loaded(array, layout, warning=warning)


def _read_picture(path: Path) -> Loaded:
    image_module = _pillow()
    # warnings of Pillow are about metadata, or sizes that are unusual but allowed
    with _reading(path), warnings.catch_warnings(), open(path, "rb") as file:
        warnings.simplefilter("ignore")
        with image_module.open(file, formats=("PNG", "JPEG", "TIFF")) as image:
            # the second picture of an MPO, the JPEG of many cameras, is a preview
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if frames > 1:
                raise ValueError(f"it has {frames} pages or frames: split it into files of one")
            deep_colour = any(";16" in str(tile) for tile in image.tile) and len(image.getbands()) > 1
            image.load()
            loaded = _from_pillow(image)
    if deep_colour:
        warning = f"{path} has 16 bits per channel, of which Pillow reads 8 in colour pictures"
        loaded = replace(loaded, warning=warning)
    return loaded


def _from_pillow(image: Image.Image) -> Loaded:
    orientation = 1
    with contextlib.suppress(Exception):  # a damaged EXIF block is no reason to refuse the picture
        orientation = int(image.getexif().get(ORIENTATION, 1))
    icc_profile = image.info.get("icc_profile")
    mode = {"1": "L", "P": "RGB", "PA": "RGBA"}.get(image.mode, image.mode)
    if "transparency" in image.info:  # one colour is transparent, which means nothing between samples
        mode = {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    if mode != image.mode:
        image = image.convert(mode)
    array = np.asarray(image)
    if mode.startswith("I;16"):
        mode = "I;16"
    elif mode == "I" and image.format == "PNG":  # older Pillows read 16-bit grey so
        mode, array = "I;16", array.astype(np.uint16)
    if mode not in HOLDS["TIFF"]:  # which holds all that we resample
        raise ValueError(f"pictures of mode {mode} cannot be resampled: convert it to RGB")
    return Loaded(array, "HW" if array.ndim == 2 else "HWC", mode, icc_profile, orientation)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a `Failure`."""
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{path} does not fit: {error}") from error
    except OSError as error:
        # Pillow's UnidentifiedImageError, an OSError too, has no errno and names the object instead of the file
        unidentified = type(error).__name__ == "UnidentifiedImageError"
        why = "it is no PNG, JPEG or TIFF picture" if unidentified else error.strerror or error
        raise Failure(f"cannot read {path}: {why}") from error
    except Exception as error:  # decoders raise anything on a damaged file
        raise Failure(f"cannot read {path}: {error or type(error).__name__}") from error


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise Failure("pictures need Pillow: pip install pillow (.npy files do without)") from None
    return Image


# ---- writing --------------------------------------------------------------


def _check_output(path: Path, is_array: bool, force: bool) -> None:
    """Refuse an output that could not be written, before any work."""
    ending = path.suffix.lower()
    if is_array and ending != ".npy":
        raise Failure(f"cannot write {path}: an .npy array is written as .npy")
    if not is_array and ending not in FORMATS:
        raise Failure(f"cannot write {path}: its ending must be one of {', '.join(FORMATS)} for a picture")
    if not os.path.isdir(path.parent):
        raise Failure(f"cannot write {path}: there is no folder {path.parent}")
    _check_free(path, force)


def _check_free(path: Path, force: bool) -> None:
    # os.path answers False where Path.exists raises, for a folder that may not be read or a name too long
    if os.path.exists(path) and not os.path.isfile(path):
        raise Failure(f"cannot write {path}: it exists and is not a file")
    if os.path.exists(path) and not force:
        raise Failure(f"{path} exists: give --force to overwrite it")


def _check_format(path: Path, loaded: Loaded, plan: Plan) -> None:
    name = FORMATS[path.suffix.lower()]
    if loaded.mode not in HOLDS[name]:
        others = " or ".join(other for other, modes in HOLDS.items() if loaded.mode in modes)
        kind = KINDS.get(loaded.mode or "", loaded.mode)
        raise Failure(f"cannot write {path}: {name} cannot hold {kind} pictures, {others} can")
    if name == "JPEG" and max(plan.out_shape) > JPEG_LIMIT:
        raise Failure(f"cannot write {path}: JPEG ends at {JPEG_LIMIT} samples a side, the output is {plan.out_shape}")


def _write_picture(file: BinaryIO, name: str, array: np.ndarray[Any, Any], loaded: Loaded) -> None:
    image_module = _pillow()
    height, width = array.shape[:2]
    mode = loaded.mode
    data = np.ascontiguousarray(array, "<u2") if mode == "I;16" else np.ascontiguousarray(array)
    image = image_module.frombuffer(mode, (width, height), data, "raw", mode, 0, 1)
    options = dict(SAVE_OPTIONS.get(name, {}))
    if loaded.icc_profile:
        options["icc_profile"] = loaded.icc_profile
    if loaded.orientation != 1:
        options["exif"] = exif = image_module.Exif()
        exif[ORIENTATION] = loaded.orientation
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(file, format=name, **options)


@contextlib.contextmanager
def _replacing(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` only once it is complete."""
    try:
        target = Path(os.path.realpath(path))  # of a link, replace what it points to
        temporary = target.parent / f".upsample-{secrets.token_hex(8)}.tmp"
        try:
            with open(temporary, "x+b") as file:
                yield file
            _check_free(path, force)  # it may have come into being meanwhile
            if os.path.exists(target):
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except (Failure, MemoryError):
        raise
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror or error}") from error
    except Exception as error:  # encoders raise anything for what their format cannot hold
        raise Failure(f"cannot write {path}: {error or type(error).__name__}") from error


if __name__ == "__main__":
    sys.exit(main())
