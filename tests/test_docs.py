"""The documentation: every example runs, every link leads somewhere, every public name is described.

Each file's ```python blocks run one after another in one namespace and an empty folder; blocks that begin with
``>>>`` are doctests. Nothing here needs PyTorch, a GPU or the network.

PyPI shows the README as well, and relative links lead nowhere there: the README's links have whole addresses, which are
looked up in this repository.
"""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample
import upsample.testing
from upsample._kernels.cpu import skeleton

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
NAMES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
PAGES = [*(ROOT / name for name in NAMES), *sorted(ROOT.glob("docs/*.md"))]
MODULES = ["upsample", *(f"upsample.{name}" for name in ("_interpolate", "_threads", "_config", "backends", "testing"))]
FLAGS = doctest.ELLIPSIS | doctest.FAIL_FAST

registry = importlib.import_module("upsample.backends")  # the package's attribute of that name is the function


def name_of(value: Any) -> str:
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@pytest.fixture(autouse=True)
def unchanged_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Backends and thread numbers that an example sets are gone afterwards; the environment names no backend."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_default", None)
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    threads, limit = upsample.get_num_threads(), skeleton.pool_info()["limit"]
    yield
    upsample.set_num_threads(threads)
    upsample.set_pool_limit(limit)


# ---- blocks ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: the words after the fence, the text, and the line (from 0) on which the text begins."""

    info: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    info: str | None = None
    start, lines = 0, text.splitlines()
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if info is None:
            info, start = line.strip().strip("`").strip(), number + 1
        else:
            found.append(Block(info, "\n".join(lines[start:number]) + "\n", start))
            info = None
    assert info is None, f"the block that begins on line {start} does not end"
    return found


def run(block: Block, namespace: dict[str, Any], name: str) -> None:
    """Run a block as a module's text or, with prompts, as a doctest; errors point into the page."""
    if not block.text.lstrip().startswith(">>>"):
        exec(compile("\n" * block.line + block.text, name, "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.text, namespace, name, name, block.line)
    test.globs = namespace  # and no copy: blocks share it
    said: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append, clear_globs=False)
    assert not said, "".join(said)


def test_blocks_are_found_and_run():
    """The tests below prove nothing if this does not work."""
    page = "a\n```python\nx = 1\n```\n```\nno language\n```\n```python\n>>> x\n1\n```\n```python\n>>> x\n2\n```\n"
    found = blocks(page)
    assert [(b.info, b.line) for b in found] == [("python", 2), ("", 5), ("python", 8), ("python", 12)]
    namespace: dict[str, Any] = {}
    run(found[0], namespace, "page")
    run(found[2], namespace, "page")
    with pytest.raises(AssertionError, match=r'File "page", line 13'):
        run(found[3], namespace, "page")
    with pytest.raises(AssertionError, match="does not end"):
        blocks("```python\n")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_run(page):
    namespace: dict[str, Any] = {"__name__": "example"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.info == "python":
            run(block, namespace, name_of(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page):
    """So that no Python escapes the test above by another name."""
    assert {b.info for b in blocks(page.read_text(encoding="utf-8"))} <= {"python", "sh", "text", "toml", "c", "cython"}


def test_the_backend_of_the_readme_passes_the_kit():
    block = next(b for b in blocks(README.read_text(encoding="utf-8")) if "class Takes" in b.text)
    run(block, {"__name__": "example"}, "README.md")
    with np.errstate(invalid="ignore"):  # infinities times weights of taps that are not counted
        report = upsample.testing.check_backend("takes", count=40)
    assert report.passed > 50
    assert report.gradients > 50
    x = np.zeros((1, 1, 3))
    assert upsample.interpolate(x, scale_factor=0.2, mode="area", backend="takes").shape == (1, 1, 0)


def test_most_pages_have_examples():
    with_examples = [p for p in PAGES if any(b.info == "python" for b in blocks(p.read_text(encoding="utf-8")))]
    assert {name_of(p) for p in with_examples} >= {"README.md", "docs/backends.md", "docs/differences.md"}


# ---- the README's two commands -----------------------------------------------------------------------------


def commands() -> list[str]:
    return [b.text for b in blocks(README.read_text(encoding="utf-8")) if b.info == "sh"]


def test_the_first_two_sh_blocks_are_the_commands_that_ci_runs():
    first, second = commands()[:2]
    assert first.startswith("pip install ")
    assert re.search(r"^upsample |&& upsample ", first)
    assert second.startswith("python -m pytest")


def test_the_commands_name_files_that_exist():
    named = re.findall(r"\bdocs/\S+", commands()[0])
    assert {Path(name).suffix for name in named} == {".py", ".png"}
    assert all((ROOT / name).is_file() for name in named)


def test_the_performance_figures_come_with_their_command():
    part = README.read_text(encoding="utf-8").partition("## Performance")[2].partition("\n## ")[0]
    assert "python asv_bench/compare.py --threads 1 2" in part
    assert re.search(r"^\| .* \| [\d.]+ \|", part, re.MULTILINE)


def prose(text: str) -> str:
    """A page without its blocks and `code`."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^\s*```.*?^\s*```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text: str) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}


def links(text: str) -> list[str]:
    """Where a page's links and pictures lead: those in the text, and the definitions of those by label."""
    found = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]\n]+\]: (\S+)$", prose(text), re.MULTILINE)
    return ["".join(pair) for pair in found]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


SOURCE = project()["urls"]["Source"]
RAW = SOURCE.replace("//github.com/", "//raw.githubusercontent.com/")


def in_repository(page: Path, link: str) -> tuple[Path, str] | None:
    """The file of this repository and the anchor that a link of a page leads to; None if it leads elsewhere."""
    for start in (f"{SOURCE}/blob/main/", f"{RAW}/main/"):
        if link.startswith(start):
            page, link = README, link.removeprefix(start)
    if re.match(r"\w+:", link):
        return None
    target, _, anchor = link.partition("#")
    return (page.parent / target).resolve() if target else page, anchor


def broken(page: Path, link: str) -> str:
    """What is wrong with a link, empty if nothing is."""
    found = in_repository(page, link)
    if found is None:
        return "a file of this repository by another address" if link.startswith((f"{SOURCE}/blob/", RAW)) else ""
    file, anchor = found
    if not (file.is_relative_to(ROOT) and file.is_file()):
        return "no such file"
    return "no such heading" if anchor and anchor not in anchors(file.read_text(encoding="utf-8")) else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_into_the_repository_exist(page):
    found = links(page.read_text(encoding="utf-8"))
    if page == README:
        assert len(found) >= 8
        assert not [link for link in found if not re.match(r"https:|#", link)], "PyPI needs whole addresses"
    assert not {link: broken(page, link) for link in found if broken(page, link)}


def test_dead_links_are_seen():
    """The test above proves nothing if this does not work."""
    page = ROOT / "docs" / "index.md"
    for link in ("nothing.md", "../../README.md", "#nothing", f"{SOURCE}/blob/main/docs/nothing.md"):
        assert broken(page, link), link
    for link in (f"{SOURCE}/blob/main/README.md#no", f"{RAW}/main/docs/no.png", f"{SOURCE}/blob/v0/README.md"):
        assert broken(page, link), link
    for link in ("../README.md#limits", f"{SOURCE}/blob/main/README.md#limits", f"{SOURCE}/issues", "https://pypi.org"):
        assert not broken(page, link), link
    assert links("[a](b) ![c](d)\n[e][f] `[g](h)`\n\n[f]: i\n") == ["b", "d", "i"]


def test_labels_of_the_readme_are_defined_and_used():
    text = prose(README.read_text(encoding="utf-8"))
    defined = re.findall(r"^\[([^\]\n]+)\]: ", text, re.MULTILINE)
    used = re.findall(r"\[([^\]\n]+)\](?![\[(:])", text)
    assert len(defined) == len(set(defined))
    assert set(defined) == set(used)


@pytest.mark.tools
def test_pypi_shows_the_readme():
    """It is rendered, links and pictures have whole addresses, and links within the page lead to its headings."""
    reason = 'needs what PyPI renders with: pip install "readme-renderer[md]>=45"'
    pytest.importorskip("comrak", reason=reason)
    markdown = pytest.importorskip("readme_renderer.markdown", reason=reason)
    page = markdown.render(README.read_text(encoding="utf-8"))
    assert page
    assert "][" not in re.sub(r"<pre.*?</pre>|<code>.*?</code>", "", page, flags=re.DOTALL), "a label is not defined"
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    within = [link for link in re.findall(r'\bhref="([^"]*)"', page) if link.startswith("#")]
    assert "#user-content-environment-variables" in within
    assert not [link for link in within if link[1:] not in ids]
    whole = [link for link in re.findall(r'\b(?:href|src)="([^"]*)"', page) if not link.startswith("#")]
    assert len(whole) >= 8
    assert not [link for link in whole if not link.startswith("https://")]
    pictures = re.findall(r'<img\b[^>]*\bsrc="([^"]*)"', page)
    assert len(pictures) >= 2
    for picture in pictures:
        assert picture.startswith(f"{RAW}/main/"), "GitHub's page of a picture is no picture"
        assert not broken(README, picture), picture


def test_the_citation_is_of_this_version():
    citation = dict(re.findall(r"^([\w-]+): (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    version = re.search(r'__version__ = "(.+)"', (ROOT / "upsample" / "_version.py").read_text(encoding="utf-8"))
    assert version is not None
    assert citation["version"] == version[1]
    assert citation["license"] == project()["license"]
    assert citation["repository-code"] == SOURCE


def test_every_page_of_docs_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index, page.name


# ---- the table of modes ------------------------------------------------------------------------------------

DTYPES = {
    "float16, bfloat16": ["float16"],
    "float32, float64": ["float32", "float64"],
    "uint8": ["uint8"],
    "int8, int16, uint16": ["int8", "int16", "uint16"],
    "all other dtypes": ["bool", "int32", "uint64", "complex64", "S3", "M8[s]", "V12"],
}


def table() -> list[dict[str, str]]:
    """Rows of the README's table of modes, by column."""
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    start = next(i for i, line in enumerate(lines) if line.startswith("| mode | 1-D |"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:]]
    head, body = rows[0], rows[2:]
    stop = next((i for i, row in enumerate(body) if len(row) != len(head)), len(body))
    return [dict(zip(head, row, strict=True)) for row in body[:stop]]


def accepts(mode: str, rank: int, dtype: Any, antialias: bool) -> bool:
    try:
        upsample.plan((1, 2) + (6,) * rank, dtype, size=4, mode=mode, antialias=antialias)
    except (NotImplementedError, ValueError):
        return False
    return True


@pytest.mark.parametrize("row", table(), ids=lambda row: row["mode"].replace("`", "").replace(", ", "-"))
def test_the_table_of_modes_tells_the_truth(row):
    mode, antialias = row["mode"].split("`")[1], "antialias" in row["mode"]
    assert set(row.values()) - {row["mode"]} <= {"both", "here", "–"}
    ranks = [rank for rank in (1, 2, 3) if row[f"{rank}-D"] != "–"]
    assert ranks == [rank for rank in (1, 2, 3) if accepts(mode, rank, "float32", antialias)]
    for column, dtypes in DTYPES.items():
        for dtype in dtypes:
            for rank in ranks:
                assert accepts(mode, rank, np.dtype(dtype), antialias) is (row[column] != "–"), (dtype, rank)


def test_the_table_has_every_mode():
    from upsample._geometry import MODES

    assert {row["mode"].split("`")[1] for row in table()} == set(MODES)


# ---- docstrings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module):
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module))
    assert any(test.examples for test in found)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in found:
        runner.run(test, out=said.append)
    assert not said, "".join(said)


PUBLIC: dict[str, Any] = {
    **{name: getattr(upsample, name) for name in upsample.__all__ if name != "__version__"},
    "testing.check_backend": upsample.testing.check_backend,
}


def section(text: str, title: str) -> str:
    """The body of a docstring's section, empty if there is none."""
    match = re.search(rf"^{title}\n-{{{len(title)}}}\n(.*?)(?=^\w[\w ]*\n---|\Z)", text, re.MULTILINE | re.DOTALL)
    return match[1].strip() if match else ""


def parameters(value: Callable[..., Any]) -> list[str]:
    """Names of what a public callable takes; none for an exception."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return []
    return list(inspect.signature(value).parameters)


def gives_a_result(value: Any) -> bool:
    if isinstance(value, type):
        return False
    annotation = str(inspect.signature(value).return_annotation)
    return annotation != "None" and not annotation.startswith("Iterator")


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_described(name):
    value = PUBLIC[name]
    text = inspect.getdoc(value)
    assert text, "it has no docstring"
    first = text.splitlines()[0]
    assert first.endswith((".", ":")), first
    taken = parameters(value)
    described = section(text, "Parameters")
    assert bool(described) is bool(taken)
    # names, also several to a line, stand at the margin
    names = {
        n for line in re.findall(r"^\w.*", described, re.MULTILINE) for n in re.findall(r"\w+", line.split(" :")[0])
    }
    assert names == set(taken)
    assert bool(section(text, "Returns")) is gives_a_result(value)
    if taken:
        assert ">>> " in section(text, "Examples")


@pytest.mark.parametrize("name", upsample.testing.__all__)
def test_names_for_authors_of_backends_are_described(name):
    assert inspect.getdoc(getattr(upsample.testing, name))
    assert inspect.getdoc(registry.Backend)
