"""The command: what it writes equals `interpolate`, and what goes wrong is one line and exit code 2."""

import io
import os
import re
import runpy
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

import upsample
from upsample import __main__ as cli
from upsample.__main__ import main

try:
    from PIL import Image
except ImportError:
    Image = None

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
needs_pillow = pytest.mark.skipif(Image is None, reason="PIL is missing: pip install pillow")
PICTURES = {
    "L": ((11, 13), np.uint8),
    "LA": ((11, 13, 2), np.uint8),
    "RGB": ((11, 13, 3), np.uint8),
    "RGBA": ((11, 13, 4), np.uint8),
    "CMYK": ((11, 13, 4), np.uint8),
    "I;16": ((11, 13), np.uint16),
    "F": ((11, 13), np.float32),
}


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self):
        return True


def samples(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def picture(mode):
    array = samples(*PICTURES[mode])
    raw = array.astype("<u2") if mode == "I;16" else array
    return array, Image.frombytes(mode, array.shape[1::-1], raw.tobytes())


def read(path):
    with Image.open(path) as image:
        return np.array(image)


def deep_rgb_png(path, array):
    """A PNG with 16 bits per colour, which Pillow reads but does not write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def run(capsys, *arguments):
    """Exit code, stdout and stderr of a call."""
    code = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys, *arguments):
    """The message of a call that must end in exit code 2 and exactly one line."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("upsample: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def array_file(tmp_path):
    path = tmp_path / "in.npy"
    np.save(path, samples((2, 3, 5, 6), np.float32))
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in.png"
    picture("RGB")[1].save(path)
    return path


# ---- arrays ---------------------------------------------------------------


def test_array_equals_interpolate_and_reports_one_line(capsys, tmp_path, array_file):
    out = tmp_path / "out.npy"
    code, said, err = run(capsys, array_file, out, "--scale-factor", "2", "--mode", "bilinear", "--align-corners")
    assert (code, err) == (0, "")
    assert said.count("\n") == 1
    for part in (str(array_file), str(out), "(2, 3, 5, 6)", "(2, 3, 10, 12)", "NCHW", "float32", "bilinear"):
        assert part in said
    expected = upsample.interpolate(np.load(array_file), scale_factor=2, mode="bilinear", align_corners=True)
    assert np.array_equal(np.load(out), expected)


def test_array_mode_defaults_to_nearest_as_in_torch(capsys, tmp_path, array_file):
    assert run(capsys, array_file, tmp_path / "out.npy", "--size", "7")[0] == 0
    assert np.array_equal(np.load(tmp_path / "out.npy"), upsample.interpolate(np.load(array_file), size=7))


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (["--scale-factor", "2,1.5,1"], {"scale_factor": (2.0, 1.5, 1.0)}),
        (["--size", "9,8,5"], {"size": (9, 8, 5)}),
        (["--size", "3", "--antialias"], {"size": 3, "antialias": True}),
        (["--scale-factor", "1.7", "--numerics", "exact"], {"scale_factor": 1.7, "numerics": "exact"}),
        (["--scale-factor", "2", "--backend", "reference"], {"scale_factor": 2, "backend": "reference"}),
        (["--scale-factor", "2", "--threads", "1"], {"scale_factor": 2}),
    ],
)
def test_options_are_those_of_interpolate(capsys, tmp_path, arguments, keywords):
    volume = samples((4, 5, 6), np.int16)
    np.save(tmp_path / "in.npy", volume)
    before = upsample.get_num_threads()
    call = [tmp_path / "in.npy", tmp_path / "out.npy", "--layout", "DHW", "--mode", "trilinear", *arguments]
    assert run(capsys, *call)[0] == 0
    assert np.array_equal(
        np.load(tmp_path / "out.npy"), upsample.interpolate(volume, mode="trilinear", layout="DHW", **keywords)
    )
    assert upsample.get_num_threads() == before


@pytest.mark.parametrize("dtype", ["?", "i8", "c8", ">f4", "M8[s]", [("a", "u1"), ("b", "f4")]])
def test_nearest_takes_any_dtype_of_an_array(capsys, tmp_path, dtype):
    array = samples((1, 1, 24), np.uint8).view("u1").repeat(8).view("u1")[: np.dtype(dtype).itemsize * 6]
    array = (array & 1).view(dtype).reshape(1, 1, 6)
    np.save(tmp_path / "in.npy", array)
    assert run(capsys, tmp_path / "in.npy", tmp_path / "out.npy", "--scale-factor", "2")[0] == 0
    result = np.load(tmp_path / "out.npy")
    assert result.dtype == array.dtype.newbyteorder("=")
    assert result.astype(array.dtype).tobytes() == array.repeat(2, axis=2).tobytes()


def test_quiet_says_nothing(capsys, tmp_path, array_file):
    assert run(capsys, array_file, tmp_path / "out.npy", "--size", "7", "--quiet") == (0, "", "")


def test_image_like_array_without_layout_is_pointed_out(capsys, tmp_path):
    np.save(tmp_path / "in.npy", samples((20, 21, 3), np.uint8))
    code, _, err = run(capsys, tmp_path / "in.npy", tmp_path / "out.npy", "--scale-factor", "2")
    assert code == 0
    assert err.startswith("upsample: warning: ")
    assert "--layout HWC" in err
    assert err.count("\n") == 1


def test_arrays_do_without_pillow(capsys, tmp_path, array_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run(capsys, array_file, tmp_path / "out.npy", "--size", "7")[0] == 0


# ---- pictures -------------------------------------------------------------


@needs_pillow
@pytest.mark.parametrize(
    ("mode", "target", "name"),
    [(mode, "png", "PNG") for mode in PICTURES if mode in cli.HOLDS["PNG"]]
    + [(mode, "tif", "TIFF") for mode in PICTURES]
    + [("RGB", "tiff", "TIFF"), ("RGB", "PNG", "PNG")],
)
def test_picture_equals_interpolate(capsys, tmp_path, mode, target, name):
    array, image = picture(mode)
    image.save(tmp_path / "in.tif")
    out = tmp_path / f"out.{target}"
    code, said, err = run(capsys, tmp_path / "in.tif", out, "--scale-factor", "2")
    assert (code, err) == (0, "")
    assert "bicubic" in said
    layout = "HWC" if array.ndim == 3 else "HW"
    result = read(out)
    assert result.dtype == array.dtype
    assert np.array_equal(result, upsample.interpolate(array, scale_factor=2, mode="bicubic", layout=layout))
    with Image.open(out) as image:
        assert (image.mode, image.format) == (mode, name)


@needs_pillow
def test_sizes_are_height_then_width_and_modes_apply(capsys, tmp_path, photo):
    out = tmp_path / "out.png"
    assert run(capsys, photo, out, "--size", "5,40", "--mode", "lanczos", "--antialias")[0] == 0
    expected = upsample.interpolate(read(photo), size=(5, 40), mode="lanczos", antialias=True, layout="HWC")
    assert np.array_equal(read(out), expected)


@needs_pillow
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_written_with_care(capsys, tmp_path, mode):
    smooth = np.broadcast_to(np.linspace(40, 200, 32), (24, 32))
    array = np.stack([smooth, smooth[::-1], smooth[:, ::-1], smooth], axis=-1).astype(np.uint8)
    array = np.ascontiguousarray(array[..., 0] if mode == "L" else array[..., : len(mode)])
    Image.frombytes(mode, (32, 24), array.tobytes()).save(tmp_path / "in.tif")
    assert run(capsys, tmp_path / "in.tif", tmp_path / "out.jpg", "--scale-factor", "2")[0] == 0
    expected = upsample.interpolate(array, scale_factor=2, mode="bicubic", layout="HW" if mode == "L" else "HWC")
    assert np.abs(read(tmp_path / "out.jpg").astype(int) - expected).max() <= 12


@needs_pillow
def test_big_endian_16_bit_tiff_is_read(capsys, tmp_path):
    array = samples((7, 9), np.uint16)
    Image.frombytes("I;16B", (9, 7), array.astype(">u2").tobytes()).save(tmp_path / "in.tif")
    assert run(capsys, tmp_path / "in.tif", tmp_path / "out.png", "--scale-factor", "2")[0] == 0
    expected = upsample.interpolate(array, scale_factor=2, mode="bicubic", layout="HW")
    assert np.array_equal(read(tmp_path / "out.png"), expected)


@needs_pillow
def test_one_bit_becomes_grey_and_palettes_become_colours(capsys, tmp_path):
    bits = Image.fromarray(samples((9, 10), np.uint8) > 100)
    colours = picture("RGB")[1].quantize(20)
    transparent = colours.copy()
    transparent.info["transparency"] = transparent.getpixel((0, 0))
    for image, mode in ((bits, "L"), (colours, "RGB"), (transparent, "RGBA")):
        image.save(tmp_path / "in.png")
        with Image.open(tmp_path / "in.png") as again:
            array = np.array(again.convert(mode))
        assert run(capsys, tmp_path / "in.png", tmp_path / "out.png", "--scale-factor", "3", "-f")[0] == 0
        expected = upsample.interpolate(array, scale_factor=3, mode="bicubic", layout="HWC"[: array.ndim])
        assert np.array_equal(read(tmp_path / "out.png"), expected)
    assert expected[..., 3].min() == 0


@needs_pillow
@pytest.mark.parametrize(("mode", "key", "becomes"), [("L", 7, "LA"), ("RGB", (1, 2, 3), "RGBA")])
def test_transparent_colour_becomes_alpha(capsys, tmp_path, mode, key, becomes):
    array = np.zeros(PICTURES[mode][0], np.uint8)
    array[2:5] = key
    Image.fromarray(array).save(tmp_path / "in.png", transparency=key)
    assert run(capsys, tmp_path / "in.png", tmp_path / "out.png", "--scale-factor", "2", "--mode", "nearest")[0] == 0
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == becomes
    alpha = read(tmp_path / "out.png")[..., -1]
    assert (alpha[4:10] == 0).all()
    assert (alpha[10:] == 255).all()


@needs_pillow
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_orientation_and_profile_are_kept(capsys, tmp_path, ending):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[cli.ORIENTATION] = 6
    picture("RGB")[1].save(tmp_path / "in.jpg", exif=exif, icc_profile=profile)
    out = tmp_path / f"out.{ending}"
    # 6: shown turned by a quarter, so that H is the width of what is stored
    assert run(capsys, tmp_path / "in.jpg", out, "--size", "40,20")[0] == 0
    with Image.open(out) as image:
        assert image.info["icc_profile"] == profile
        from PIL import ImageOps

        assert ImageOps.exif_transpose(image).size == (20, 40)
    if ending == "png":
        expected = upsample.interpolate(read(tmp_path / "in.jpg"), size=(20, 40), mode="bicubic", layout="HWC")
        assert np.array_equal(read(out), expected)
        with Image.open(out) as image:
            assert image.getexif()[cli.ORIENTATION] == 6


@needs_pillow
def test_camera_jpeg_with_a_preview_is_one_picture(capsys, tmp_path):
    first, second = picture("RGB")[1], Image.new("RGB", (4, 4))
    first.save(tmp_path / "in.jpg", format="MPO", save_all=True, append_images=[second])
    assert run(capsys, tmp_path / "in.jpg", tmp_path / "out.png", "--scale-factor", "2")[0] == 0
    assert read(tmp_path / "out.png").shape == (22, 26, 3)


@needs_pillow
def test_loss_of_16_bit_colour_is_pointed_out(capsys, tmp_path):
    deep_rgb_png(tmp_path / "in.png", samples((5, 6, 3), np.uint16))
    code, _, err = run(capsys, tmp_path / "in.png", tmp_path / "out.png", "--scale-factor", "2")
    assert code == 0
    assert err.startswith("upsample: warning: ")
    assert err.count("\n") == 1


# ---- bands and the bar ----------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "layout", "mode"),
    [
        ((17, 19, 3), "HWC", "bicubic"),
        ((3, 17, 19), "CHW", "bicubic"),
        ((2, 9, 7, 5), "NDHW", "trilinear"),
        ((1, 40, 11), "DHW", "area"),
        ((2, 3, 50), None, "linear"),
        ((2, 3, 12, 13), None, "nearest"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int16])
@pytest.mark.parametrize("factor", [2, 1.7])
def test_bands_have_the_bits_of_the_whole(monkeypatch, shape, layout, mode, dtype, factor):
    monkeypatch.setattr(cli, "BAND_BYTES", 200)
    x = samples(shape, dtype)
    plan = upsample.plan(x.shape, x.dtype, scale_factor=factor, mode=mode, layout=layout)
    whole = plan(x)
    seen = []
    progress = cli.Progress()
    progress.update = lambda fraction, what: seen.append(fraction)
    assert cli._resample(plan, x, progress).tobytes() == whole.tobytes()
    assert len(seen) >= 2
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_small_outputs_are_made_in_one_call():
    plan = upsample.plan((1, 1, 8), np.float32, scale_factor=2)
    progress = cli.Progress()
    progress.update = lambda *_: pytest.fail("no bands expected")
    cli._resample(plan, np.ones((1, 1, 8), np.float32), progress)


def test_bar_appears_on_a_terminal_after_a_second_and_goes(tmp_path, array_file, monkeypatch):
    monkeypatch.setattr(cli, "BAND_BYTES", 100)
    arguments = [str(array_file), str(tmp_path / "out.npy"), "--scale-factor", "2", "--force"]
    for after, quiet, shown in ((0.0, [], True), (0.0, ["--quiet"], False), (60.0, [], False)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(cli, "PROGRESS_AFTER", after)
        assert main([*arguments, *quiet]) == 0
        text = terminal.getvalue()
        assert ("#" in text) is shown
        if shown:
            assert "upsampling 50%" in text
            assert "writing" in text
            assert text.endswith("\r" + " " * len("[##############################] writing") + "\r")
            assert "\n" not in text


def test_bar_appears_within_a_step_that_takes_long(tmp_path, array_file, monkeypatch):
    terminal, save = Terminal(), np.save

    def slow(file, array, **keywords):
        save(file, array, **keywords)
        deadline = time.monotonic() + 30
        while "writing" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)

    monkeypatch.setattr(np, "save", slow)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(cli, "PROGRESS_AFTER", 0.2)
    assert main([str(array_file), str(tmp_path / "out.npy"), "--scale-factor", "2"]) == 0
    assert terminal.getvalue().count("writing") == 1
    assert terminal.getvalue().endswith("\r")


def test_no_bar_without_a_terminal(capsys, tmp_path, array_file, monkeypatch):
    monkeypatch.setattr(cli, "BAND_BYTES", 100)
    monkeypatch.setattr(cli, "PROGRESS_AFTER", 0.0)
    assert run(capsys, array_file, tmp_path / "out.npy", "--scale-factor", "2")[2] == ""


# ---- what goes wrong ------------------------------------------------------


def test_existing_output_is_kept_unless_told(capsys, tmp_path, array_file):
    out = tmp_path / "out.npy"
    out.write_bytes(b"precious")
    assert "--force" in refused(capsys, array_file, out, "--size", "7")
    assert out.read_bytes() == b"precious"
    assert run(capsys, array_file, out, "--size", "7", "--force")[0] == 0
    assert np.load(out).shape == (2, 3, 7, 7)


def test_output_may_be_the_input_when_told(capsys, array_file):
    expected = upsample.interpolate(np.load(array_file), size=7)
    assert run(capsys, array_file, array_file, "--size", "7", "-f")[0] == 0
    assert np.array_equal(np.load(array_file), expected)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--scale-factor and --size is required"),
        (["--size", "7", "--scale-factor", "2"], "not allowed with"),
        (["--size", "7", "--mode", "cubik"], "'cubik'"),
        (["--size", "7", "--mode", "trilinear"], "trilinear"),
        (["--size", "7", "--mode", "lanczos"], "--antialias"),
        (["--size", "7", "--align-corners"], "align_corners"),
        (["--size", "7", "--antialias"], "Anti-alias"),
        (["--size", "seven"], "'seven'"),
        (["--size", "7.5"], "'7.5'"),
        (["--size", "7,"], "'7,'"),
        (["--size", "1,2,3"], "D, H, W"),
        (["--size", "0"], "greater than 0"),
        (["--size", "-7"], "greater than 0"),
        (["--size", "99999999999999999999"], "overflow"),
        (["--scale-factor", "x"], "'x'"),
        (["--scale-factor", "0.01"], "greater than 0"),
        (["--scale-factor", "nan"], "nan"),
        (["--scale-factor", "inf"], "inf"),
        (["--scale-factor", "1e30"], "overflow"),
        (["--size", "7", "--numerics", "exakt"], "'exakt'"),
        (["--size", "7", "--layout", "HWC"], "'HWC'"),
        (["--size", "7", "--layout", "NNHW"], "'NNHW'"),
        (["--size", "7", "--backend", "nix"], "'nix'"),
        (["--size", "7", "--backend", "cuda"], "the command runs on the CPU"),
        (["--size", "7", "--threads", "0"], "threads"),
        (["--size", "7", "--threads", "many"], "'many'"),
        (["--size", "7", "--frobnicate"], "--frobnicate"),
        (["--size", "1000000"], "not enough memory"),
    ],
)
def test_wrong_arguments_are_one_line(capsys, tmp_path, array_file, arguments, part):
    assert part in refused(capsys, array_file, tmp_path / "out.npy", *arguments)
    assert sorted(os.listdir(tmp_path)) == ["in.npy"]


def test_missing_names_are_one_line(capsys):
    assert "IN, OUT" in refused(capsys, "--size", "7")


def test_a_dtype_that_the_mode_lacks_is_one_line(capsys, tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((1, 1, 4), np.int64))
    message = refused(capsys, tmp_path / "in.npy", tmp_path / "out.npy", "--size", "7", "--mode", "linear")
    assert "int64" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "No such file"),
        (b"", ""),
        (b"not an array", ""),
        (b"\x93NUMPY\x01\x00\x46\x00{'descr'", ""),
        ("truncated", ""),
        ("object", "allow_pickle"),
        ("pickle", "allow_pickle"),
        ("archive", ".npz archive"),
        ("huge", "not enough memory"),
        ("folder", ""),
    ],
)
def test_bad_array_files_are_one_line(capsys, tmp_path, content, part):
    path = tmp_path / "bad.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "truncated":
        np.save(path, np.zeros((1, 1, 100)))
        path.write_bytes(path.read_bytes()[:-5])
    elif content == "object":
        np.save(path, np.array([[[{}]]]), allow_pickle=True)
    elif content == "pickle":
        path.write_bytes(b"\x80\x04K\x01.")
    elif content == "archive":
        with open(path, "wb") as file:
            np.savez(file, a=np.zeros(3))
    elif content == "huge":
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1000000000000000), }\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    elif content == "folder":
        path.mkdir()
    with warnings.catch_warnings():
        # NumPy leaves the archive's handle to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        message = refused(capsys, path, tmp_path / "out.npy", "--size", "7")
    assert part in message
    assert "bad.npy" in message
    assert os.listdir(tmp_path) == ([] if content is None else ["bad.npy"])


@needs_pillow
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "folder"])
def test_bad_picture_files_are_one_line(capsys, tmp_path, ending, damage):
    path = tmp_path / f"bad.{ending}"
    if damage == "truncated":
        picture("RGB")[1].resize((200, 200)).save(path)
        path.write_bytes(path.read_bytes()[:1500])
    elif damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "text": b"this is no picture"}[damage])
    message = refused(capsys, path, tmp_path / "out.png", "--scale-factor", "2")
    assert f"bad.{ending}" in message
    assert not (tmp_path / "out.png").exists()


@needs_pillow
def test_unknown_format_of_input_is_one_line(capsys, tmp_path):
    picture("RGB")[1].save(tmp_path / "in.gif")
    assert "PNG, JPEG or TIFF" in refused(capsys, tmp_path / "in.gif", tmp_path / "out.png", "--scale-factor", "2")


@needs_pillow
def test_several_pages_are_refused(capsys, tmp_path):
    page = picture("L")[1]
    page.save(tmp_path / "in.tif", save_all=True, append_images=[page, page])
    assert "3 pages" in refused(capsys, tmp_path / "in.tif", tmp_path / "out.tif", "--scale-factor", "2")


@needs_pillow
def test_decompression_bombs_are_refused_and_large_pictures_are_not(capsys, tmp_path, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns from there and refuses from twice that
    assert run(capsys, photo, tmp_path / "out.png", "--scale-factor", "2")[::2] == (0, "")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert "bomb" in refused(capsys, photo, tmp_path / "out.png", "--scale-factor", "2", "-f")


@needs_pillow
def test_integer_tiff_is_resampled_by_nearest_only(capsys, tmp_path):
    array = samples((5, 6), np.int32)
    Image.fromarray(array).save(tmp_path / "in.tif")
    call = (tmp_path / "in.tif", tmp_path / "out.tif", "--scale-factor", "2")
    assert "int32" in refused(capsys, *call)
    assert run(capsys, *call, "--mode", "nearest")[0] == 0
    assert np.array_equal(read(tmp_path / "out.tif"), array.repeat(2, 0).repeat(2, 1))


@needs_pillow
@pytest.mark.parametrize(
    ("mode", "ending", "part"),
    [
        ("RGBA", "jpg", "PNG or TIFF can"),
        ("LA", "jpeg", "grey and alpha"),
        ("I;16", "jpg", "16-bit grey"),
        ("F", "png", "TIFF can"),
        ("CMYK", "png", "JPEG or TIFF can"),
    ],
)
def test_what_a_format_cannot_hold_is_one_line(capsys, tmp_path, mode, ending, part):
    picture(mode)[1].save(tmp_path / "in.tif")
    out = tmp_path / f"out.{ending}"
    assert part in refused(capsys, tmp_path / "in.tif", out, "--scale-factor", "2")
    assert not out.exists()


@needs_pillow
def test_picture_refusals_are_one_line(capsys, tmp_path, photo):
    assert "--layout" in refused(capsys, photo, tmp_path / "out.png", "--scale-factor", "2", "--layout", "HWC")
    assert "65500" in refused(capsys, photo, tmp_path / "out.jpg", "--size", "2,65501")
    assert "LAB" in _refused_mode(capsys, tmp_path, "LAB")


def _refused_mode(capsys, tmp_path, mode):
    Image.new(mode, (4, 5)).save(tmp_path / "mode.tif")
    return refused(capsys, tmp_path / "mode.tif", tmp_path / "out.tif", "--scale-factor", "2")


def test_pictures_without_pillow_say_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "in.png").write_bytes(b"")
    message = refused(capsys, tmp_path / "in.png", tmp_path / "out.png", "--scale-factor", "2")
    assert "pip install pillow" in message


@pytest.mark.parametrize("name", ["out.png", "out", "out.npz", "nowhere/out.npy", "folder.npy"])
def test_outputs_that_cannot_be_are_refused(capsys, tmp_path, array_file, name):
    (tmp_path / "folder.npy").mkdir()
    assert "cannot write" in refused(capsys, array_file, tmp_path / name, "--size", "7", "--force")


@pytest.mark.parametrize("name", ["out.npy", "out.gif", "out"])
def test_endings_that_pictures_lack_are_refused(capsys, tmp_path, name):
    assert ".png" in refused(capsys, tmp_path / "in.png", tmp_path / name, "--size", "7")


# ---- the file's place -----------------------------------------------------


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("no"), MemoryError()])
def test_failed_write_leaves_the_old_file_and_nothing_else(capsys, tmp_path, array_file, monkeypatch, error):
    out = tmp_path / "out.npy"
    out.write_bytes(b"precious")

    def save(file, array, **_):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "save", save)
    message = refused(capsys, array_file, out, "--size", "7", "--force")
    assert (error.strerror or "") in message if isinstance(error, OSError) else message
    assert out.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["in.npy", "out.npy"]


def test_interruption_is_130_and_leaves_nothing(capsys, tmp_path, array_file, monkeypatch):
    def save(file, array, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", save)
    assert run(capsys, array_file, tmp_path / "out.npy", "--size", "7")[0] == 130
    assert os.listdir(tmp_path) == ["in.npy"]


def test_file_that_appears_meanwhile_is_kept(capsys, tmp_path, array_file, monkeypatch):
    out = tmp_path / "out.npy"
    save = np.save

    def slow(file, array, **keywords):
        save(file, array, **keywords)
        out.write_bytes(b"precious")

    monkeypatch.setattr(np, "save", slow)
    assert "--force" in refused(capsys, array_file, out, "--size", "7")
    assert out.read_bytes() == b"precious"


@pytest.mark.skipif(os.name != "posix", reason="links and permission bits")
def test_overwriting_follows_links_and_keeps_permissions(capsys, tmp_path, array_file):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "out.npy"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link.npy"
    link.symlink_to(target)
    assert run(capsys, array_file, link, "--size", "7", "-f")[0] == 0
    assert link.is_symlink()
    assert np.load(target).shape == (2, 3, 7, 7)
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path / "real") == ["out.npy"]


# ---- the command itself ---------------------------------------------------


def test_python_dash_m(tmp_path, array_file):
    call = [sys.executable, "-m", "upsample", "in.npy", "out.npy", "--scale-factor", "2", "--mode", "bicubic"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    expected = upsample.interpolate(np.load(array_file), scale_factor=2, mode="bicubic")
    assert np.array_equal(np.load(tmp_path / "out.npy"), expected)
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "upsample: error: out.npy exists: give --force to overwrite it\n"


@needs_pillow
def test_first_command_of_the_readme(capsys, tmp_path):
    arguments = (EXAMPLES / "cat.png", tmp_path / "large.png", "--scale-factor", "2", "--mode", "bicubic")
    assert run(capsys, *arguments)[0] == 0
    assert read(tmp_path / "large.png").shape == (384, 512, 3)


@needs_pillow
def test_example_makes_its_files(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["enlarge.py", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "enlarge.py"), run_name="__main__")
    assert sorted(os.listdir(tmp_path)) == ["before-after.png", "brain-2x.npy", "cat-2x.png"]
    assert capsys.readouterr().out.count("\n") == 3


@needs_pillow
def test_the_example_learns(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_superres.py", str(tmp_path), "8"])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / "train_superres.py"), run_name="__main__")
    assert os.listdir(tmp_path) == ["superres.png"]
    said = capsys.readouterr().out
    losses = [float(line.split()[-1]) for line in said.splitlines() if line.startswith("step")]
    assert losses[-1] < 0.97 * losses[0]
    assert losses == sorted(losses, reverse=True)
    before, after = (float(word) for word in re.findall(r"([\d.]+) dB", said))
    assert after > before + 0.2  # on what it has not seen


@needs_pillow
def test_the_example_takes_no_steps(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_superres.py", str(tmp_path), "0"])
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / "train_superres.py"), run_name="__main__")
    before, after = (float(word) for word in re.findall(r"([\d.]+) dB", capsys.readouterr().out))
    assert before == after


@needs_pillow
@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), ([".", "many"], 2), ([".", "-1"], 2)])
def test_the_example_tells_its_arguments(arguments, status, tmp_path):
    call = [sys.executable, EXAMPLES / "train_superres.py", *arguments]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == status
    assert (done.stdout or done.stderr).startswith("usage: train_superres.py")
    assert "Traceback" not in done.stderr
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version(capsys, option):
    with pytest.raises(SystemExit) as exit_:
        main([option])
    assert exit_.value.code == 0
    assert ("--scale-factor" if option == "--help" else upsample.__version__) in capsys.readouterr().out
