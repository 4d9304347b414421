"""The binary interface: declarations, sizes, offsets, the table's order, numbers of enumerations, beside a snapshot.

``abi.json`` has one entry per version of the interface. What a version had keeps its place in all later ones of
the same major number; the newest is what the header says now. After appending to a structure or an enumeration:
raise UPSAMPLE_API_MINOR, then ``python tests/capi/test_capi_abi.py`` adds the entry.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import building
import ctable

HERE = Path(__file__).resolve().parent
SNAPSHOT = HERE / "abi.json"
HEADER = Path(building.INCLUDE) / "upsample.h"
STRUCTS = ("upsample_work", "upsample_info", "upsample_table")
# What all major versions share, so that each can name the other.
SHARED = (
    "UPSAMPLE_CAPSULE", "upsample_table.major", "upsample_table.minor", "upsample_table.table_size",
    "upsample_table.work_size", "upsample_table.info_size", "upsample_table.version",
)  # fmt: skip


def names(text: str) -> tuple[str, dict[str, str]]:
    """Everything in a header that has a place or a number, as abi.c's macros; and the declarations' words.

    A changed type of the same size, of a field or of an argument, shows in the words alone.
    """
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    (capsule,) = re.findall(r'^#define UPSAMPLE_CAPSULE "(.*)"$', text, re.MULTILINE)
    words = {"UPSAMPLE_CAPSULE": capsule}
    for function in re.findall(r"^static inline (.*?)\n\{", text, re.MULTILINE | re.DOTALL):
        name = re.search(r"upsample_\w+(?=\()", function)
        assert name, function
        if not name[0].startswith("upsample_private"):
            words[f"{name[0]}()"] = " ".join(function.split())
    lines = [f"VALUE({name})" for name in re.findall(r"^#define (UPSAMPLE_(?:API|MAX)_\w+) \d", text, re.MULTILINE)]
    for body, _ in re.findall(r"typedef enum \{(.*?)\} (\w+);", text, re.DOTALL):
        lines += [f"VALUE({name})" for name in re.findall(r"(\w+) = ", body)]
    for body, struct in re.findall(r"typedef struct \{(.*?)\} (\w+);", text, re.DOTALL):
        lines.append(f"STRUCT({struct})")
        for declaration in filter(None, map(str.strip, body.split(";"))):
            function = re.search(r"\(\*(\w+)\)", declaration)
            fields = [function[1]] if function else re.findall(r"(\w+)(?:\[\w+\])?(?=,|$)", declaration)
            lines += [f"FIELD({struct}, {field})" for field in fields]
            # of several fields in one declaration each gets the type
            first, *more = [declaration] if function else declaration.split(",")
            kind = first.rpartition(" ")[0]
            for field, one in zip(fields, [first, *(f"{kind} {m.strip()}" for m in more)], strict=True):
                words[f"{struct}.{field}"] = " ".join(one.split())
    return "\n".join(lines) + "\n", words


def interface(header: Path, folder: Path) -> dict[str, Any]:
    """What a compiler makes of a header."""
    macros, words = names(header.read_text(encoding="utf-8"))
    (folder / "abi_names.h").write_text(macros)
    program = building.compile_strictly(
        [HERE / "abi.c"], folder / "abi", "-std=c11", f"-I{folder}", include=str(header.parent)
    )
    found = dict(json.loads(building.run([program])))
    return {**found, **{name: [*found[name], text] if name in found else text for name, text in words.items()}}


def differences(now: dict[str, Any], recorded: dict[str, dict[str, Any]]) -> list[str]:
    """How an interface breaks with the recorded ones."""
    version = f"{now['UPSAMPLE_API_MAJOR']}.{now['UPSAMPLE_API_MINOR']}"
    found = [] if version in recorded else [f"version {version} is not recorded"]
    for known, entry in recorded.items():
        other_major = known.partition(".")[0] != version.partition(".")[0]
        for name, value in entry.items():
            if other_major and name not in SHARED:
                continue
            grows = known != version and (name.startswith("sizeof") or name == "UPSAMPLE_API_MINOR")
            if now.get(name) != value and not (grows and now.get(name, 0) >= value):
                found.append(f"{name} was {value} in version {known} and is {now.get(name)}")
    found += [f"{name} is new: raise UPSAMPLE_API_MINOR" for name in now if name not in recorded.get(version, now)]
    return found


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Any]]:
    return dict(json.loads(SNAPSHOT.read_text()))


def test_the_header_is_what_the_snapshot_says(recorded: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    now = interface(HEADER, tmp_path)
    assert len(now) > 80
    assert now["upsample_work.struct_size"] == now["upsample_info.struct_size"] == [0, 8, "int64_t struct_size"]
    assert now["upsample_table.minor"] == [4, 4, "int32_t minor"]
    assert now["upsample_query()"] == "int32_t upsample_query(const upsample_kernel *kernel, upsample_info *info)"
    assert differences(now, recorded) == []


def swapped(text: str, a: str, b: str) -> str:
    assert text.count(a) == text.count(b) == 1, (a, b)
    return text.replace(a, "\0").replace(b, a).replace("\0", b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("int32_t align_corners; ", "int32_t antialias; ", "upsample_work.align_corners was [244, 4, "),
        ("int64_t in_bytes; ", "int64_t out_bytes;", "upsample_info.in_bytes was [296, 8, "),
        (
            "    upsample_kernel *(*retain)(upsample_kernel *kernel);\n",
            "    void (*release)(upsample_kernel *kernel);\n",
            "upsample_table.retain was [64, 8, ",
        ),
        (
            "UPSAMPLE_BILINEAR = 3",
            "UPSAMPLE_BICUBIC = 4",
            "",
        ),  # the order of enumerators is free, their numbers are not
    ],
)
def test_a_swapped_field_is_seen(
    a: str, b: str, expected: str, recorded: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    header = tmp_path / "changed" / "upsample.h"
    header.parent.mkdir()
    header.write_text(swapped(HEADER.read_text(encoding="utf-8"), a, b), encoding="utf-8")
    found = differences(interface(header, tmp_path), recorded)
    assert any(text.startswith(expected) for text in found) if expected else found == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("UPSAMPLE_BILINEAR = 3", "UPSAMPLE_BILINEAR = 33", "UPSAMPLE_BILINEAR was 3 in version 1.0 and is 33"),
        ("    int32_t fresh_output;\n", "    int32_t fresh_output;\n    int64_t more;\n", "upsample_work.more is new"),
        ("    int32_t fresh_output;\n", "", "upsample_work.fresh_output was [372, 4, "),
        ("#define UPSAMPLE_API_MINOR 0", "#define UPSAMPLE_API_MINOR 1", "version 1.1 is not recorded"),
        ("double scale[3]; ", "int64_t scale[3];", "upsample_work.scale was [288, 24, 'double scale[3]']"),
        ('"upsample._capi.table"', '"upsample._capi.other"', "UPSAMPLE_CAPSULE was upsample._capi.table"),
        ("(*error_text)(int32_t status)", "(*error_text)(int64_t status)", "upsample_table.error_text was [80, 8, "),
        (
            "int64_t upsample_first_unit(int64_t units",
            "int64_t upsample_first_unit(int32_t units",
            "upsample_first_unit() was",
        ),
        ("    int32_t major, minor;", "    int32_t minor, major;", "upsample_table.major was [0, 4, "),
        ("int64_t itemsize;", "int32_t itemsize;", "upsample_work.itemsize was [16, 8, "),
    ],
)
def test_changes_that_break_or_are_not_recorded_are_seen(
    old: str, new: str, expected: str, recorded: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    text = HEADER.read_text(encoding="utf-8")
    assert text.count(old) == 1
    header = tmp_path / "changed" / "upsample.h"
    header.parent.mkdir()
    header.write_text(text.replace(old, new), encoding="utf-8")
    assert any(f.startswith(expected) for f in differences(interface(header, tmp_path), recorded))


def test_another_major_version_has_the_beginning_of_the_table(recorded: dict[str, dict[str, Any]]) -> None:
    major = {**recorded["1.0"], "UPSAMPLE_API_MAJOR": 2, "upsample_table.create": [40, 8, "another"], "UPSAMPLE_OK": 7}
    assert differences(major, {**recorded, "2.0": major}) == []
    for name in SHARED:
        broken = {**major, name: "another"}
        (found,) = differences(broken, {**recorded, "2.0": broken})
        assert found.startswith(f"{name} was {recorded['1.0'][name]} in version 1.0")


def test_appending_with_a_new_minor_version_breaks_nothing(recorded: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    text = HEADER.read_text(encoding="utf-8").replace("API_MINOR 0", "API_MINOR 1")
    text = text.replace("    int32_t fresh_output;\n", "    int32_t fresh_output;\n    int64_t more;\n")
    header = tmp_path / "changed" / "upsample.h"
    header.parent.mkdir()
    header.write_text(text, encoding="utf-8")
    now = interface(header, tmp_path)
    assert differences(now, {**recorded, "1.1": now}) == []


def test_the_tests_and_the_library_have_the_headers_layout(recorded: dict[str, dict[str, Any]]) -> None:
    """No compiler needed: ctypes, the compiled module, and the snapshot."""
    table = ctable.TABLE
    entry = recorded[f"{table.major}.{table.minor}"]
    classes = dict(zip(STRUCTS, (ctable.Work, ctable.Info, ctable.Table), strict=True))
    for struct, made in classes.items():
        assert ctypes.sizeof(made) == entry[f"sizeof({struct})"]
        fields = {name: getattr(made, name) for name, _ in made._fields_}
        assert {f"{struct}.{n}": [f.offset, f.size] for n, f in fields.items()} == {
            n: place[:2] for n, place in entry.items() if n.startswith(f"{struct}.")
        }
    sizes = [entry[f"sizeof({struct})"] for struct in STRUCTS]
    assert [table.work_size, table.info_size, table.table_size] == sizes
    # no padding: every byte of the structures is a field's
    for struct, size in zip(STRUCTS, sizes, strict=True):
        assert sum(place[1] for n, place in entry.items() if n.startswith(f"{struct}.")) == size


def appended(text: str) -> str:
    """The header of version 1.1: a field more in each structure, at the end."""
    for old, new in (
        ("#define UPSAMPLE_API_MINOR 0", "#define UPSAMPLE_API_MINOR 1"),
        ("    int32_t fresh_output;\n", "    int32_t fresh_output;\n    int64_t more;\n"),
        ("} upsample_info;", "    int64_t more[2];\n} upsample_info;"),
        ("} upsample_table;", "    int32_t (*more)(void);\n} upsample_table;"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.mark.tools
def test_a_module_of_version_1_0_runs_with_a_library_of_1_1(tmp_path: Path) -> None:
    """This package, built with a header that was appended to; the test's module is compiled with the one of now."""
    building.need(importlib.util.find_spec("Cython"), "Cython")
    skeleton = "upsample/_kernels/cpu"
    own = building.ROOT / "upsample"
    building.need((own / "_capi.pyx").is_file(), "the source tree")
    site, source = tmp_path / "site", tmp_path / "source"
    shutil.copytree(Path(upsample.__file__).parent, site / "upsample", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(own, source / "upsample", ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__"))
    header = source / "upsample" / "include" / "upsample.h"
    header.write_text(appended(header.read_text(encoding="utf-8")), encoding="utf-8")
    building.run([sys.executable, "-m", "cython", "-3", "upsample/_capi.pyx", "-o", "capi.c"], source)
    module = site / "upsample" / Path(str(importlib.util.find_spec("upsample._capi").origin)).name
    module.unlink()
    building.run(
        [building.compiler(), "-O1", "-fPIC", "-shared", "-w", f"-I{source / skeleton}", f"-I{header.parent}",
         f"-I{np.get_include()}", *building.python_includes(), "capi.c", "-o", module],
        source,
    )  # fmt: skip
    flags = ("-std=c11", "-O1", "-fPIC", "-shared")
    building.compile_strictly(
        [HERE / "checks.c", HERE / "checks_other.c"], tmp_path / f"checks{building.SUFFIX}", *flags
    )
    code = "import checks; checks.without_import(); print(checks.with_import(), checks.sizes())"
    path = os.pathsep.join((str(tmp_path), str(site), building.PATHS))
    said = building.run([sys.executable, "-c", code], tmp_path, PYTHONPATH=path)
    # what the library says of itself, and that a query leaves the caller's size and the bytes behind it as they are
    assert said == "(0, 1, 0) (1, 1, 384, 344, 328, 1)\n"
    now = building.run(
        [sys.executable, "-c", code], tmp_path, PYTHONPATH=os.pathsep.join((str(tmp_path), building.PATHS))
    )
    assert now == "(0, 1, 0) (1, 0, 376, 328, 328, 1)\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_folder:
        current = interface(HEADER, Path(made_folder))
    known_versions = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    known_versions[f"{current['UPSAMPLE_API_MAJOR']}.{current['UPSAMPLE_API_MINOR']}"] = current
    SNAPSHOT.write_text(json.dumps(known_versions, indent=1) + "\n")
