"""The binary interface: sizes, offsets, the table's order and the numbers of enumerations, beside a snapshot.

``abi.json`` has one entry per version of the interface. What a version had keeps its place in all later ones of
the same major number; the newest is what the header says now. After appending to a structure or an enumeration:
raise UPSAMPLE_API_MINOR, then ``python tests/capi/test_capi_abi.py`` adds the entry.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import building
import ctable

HERE = Path(__file__).resolve().parent
SNAPSHOT = HERE / "abi.json"
HEADER = Path(building.INCLUDE) / "upsample.h"
STRUCTS = ("upsample_work", "upsample_info", "upsample_table")


def names(text: str) -> str:
    """Everything in a header that has a place or a number, as the macros that abi.c expands."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    lines = [f"VALUE({name})" for name in re.findall(r"^#define (UPSAMPLE_(?:API|MAX)_\w+) \d", text, re.MULTILINE)]
    for body, _ in re.findall(r"typedef enum \{(.*?)\} (\w+);", text, re.DOTALL):
        lines += [f"VALUE({name})" for name in re.findall(r"(\w+) = ", body)]
    for body, struct in re.findall(r"typedef struct \{(.*?)\} (\w+);", text, re.DOTALL):
        lines.append(f"STRUCT({struct})")
        for declaration in filter(None, map(str.strip, body.split(";"))):
            function = re.search(r"\(\*(\w+)\)", declaration)
            fields = [function[1]] if function else re.findall(r"(\w+)(?:\[\w+\])?(?=,|$)", declaration)
            lines += [f"FIELD({struct}, {field})" for field in fields]
    return "\n".join(lines) + "\n"


def interface(header: Path, folder: Path) -> dict[str, Any]:
    """What a compiler makes of a header."""
    (folder / "abi_names.h").write_text(names(header.read_text(encoding="utf-8")))
    program = building.compile_strictly(
        [HERE / "abi.c"], folder / "abi", "-std=c11", f"-I{folder}", include=str(header.parent)
    )
    return dict(json.loads(building.run([program])))


def differences(now: dict[str, Any], recorded: dict[str, dict[str, Any]]) -> list[str]:
    """How an interface breaks with the recorded ones."""
    version = f"{now['UPSAMPLE_API_MAJOR']}.{now['UPSAMPLE_API_MINOR']}"
    found = [] if version in recorded else [f"version {version} is not recorded"]
    for known, entry in recorded.items():
        if known.partition(".")[0] != version.partition(".")[0]:
            continue
        for name, value in entry.items():
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
    assert now["upsample_work.struct_size"] == now["upsample_info.struct_size"] == [0, 8]
    assert differences(now, recorded) == []


def swapped(text: str, a: str, b: str) -> str:
    assert text.count(a) == text.count(b) == 1, (a, b)
    return text.replace(a, "\0").replace(b, a).replace("\0", b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("int32_t align_corners; ", "int32_t antialias; ", "upsample_work.align_corners was [236, 4]"),
        ("int64_t in_bytes; ", "int64_t out_bytes;", "upsample_info.in_bytes was [296, 8]"),
        (
            "    upsample_kernel *(*retain)(upsample_kernel *kernel);\n",
            "    void (*release)(upsample_kernel *kernel);\n",
            "upsample_table.retain was [64, 8]",
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
        ("    int32_t fresh_output;\n", "", "upsample_work.fresh_output was [356, 4] in version 1.0 and is None"),
        ("#define UPSAMPLE_API_MINOR 0", "#define UPSAMPLE_API_MINOR 1", "version 1.1 is not recorded"),
        ("int64_t itemsize;", "int32_t itemsize;", "upsample_work.itemsize was [16, 8]"),
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
            n: place for n, place in entry.items() if n.startswith(f"{struct}.")
        }
    sizes = [entry[f"sizeof({struct})"] for struct in STRUCTS]
    assert [table.work_size, table.info_size, table.table_size] == sizes
    # no padding: every byte of the structures is a field's
    for struct, size in zip(STRUCTS, sizes, strict=True):
        assert sum(place[1] for n, place in entry.items() if n.startswith(f"{struct}.")) == size


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_folder:
        current = interface(HEADER, Path(made_folder))
    known_versions = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    known_versions[f"{current['UPSAMPLE_API_MAJOR']}.{current['UPSAMPLE_API_MINOR']}"] = current
    SNAPSHOT.write_text(json.dumps(known_versions, indent=1) + "\n")
