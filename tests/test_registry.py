"""The backend registry: one door for every backend, selection, plugins, and which module may import which.

Tests that need a plugin run in a process of their own, where ``plugin_example`` is installed in the sense
that Python's packaging understands: its metadata lie on the path.  One test has pip do it.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import importlib
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import upsample

# `upsample.backends` is the public function; the module of the same name is found by its full name.
registry = importlib.import_module("upsample.backends")

HERE = Path(__file__).parent
EXAMPLE = HERE / "plugin_example"
PACKAGE = Path(upsample.__file__).parent
X = np.arange(6, dtype=np.float32).reshape(1, 1, 6)
serial = itertools.count()


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(registry, "_failed", dict(registry._failed))


class Spy:
    """A backend that fills the output with its mark and counts what is asked of it."""

    def __init__(self, mark: float, name: str | None = None) -> None:
        # prepared kernels are cached by name, so that every spy needs its own
        self.name = name or f"spy_{next(serial)}"
        self.mark, self.prepared, self.called = mark, 0, 0

    def prepare(self, plan: Any, like: Any) -> Callable[..., Any] | str:
        self.prepared += 1

        def kernel(x: Any, out: Any = None) -> Any:
            self.called += 1
            return np.full(plan.out_shape, self.mark, plan.dtype)

        return kernel


class Refuser:
    """A backend that runs nothing."""

    def __init__(self, name: str, reason: str = "it is on strike") -> None:
        self.name, self.reason = name, reason

    def prepare(self, plan: Any, like: Any) -> str:
        return self.reason


def registered(mark: float) -> Spy:
    spy = Spy(mark)
    upsample.register_backend(spy)
    return spy


def ran(x: np.ndarray = X, **kwargs: Any) -> float:
    """The mark that a call leaves."""
    got = upsample.interpolate(x, size=12, **kwargs)
    assert np.unique(got).size == 1
    return float(got.flat[0])


# ---- one door ----------------------------------------------------------------------------------------------


def calls(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        n.func.id for n in tree.body for n in ast.walk(n) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    ]


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_built_ins_come_through_register_backend(name):
    assert "register_backend" in calls(PACKAGE / "backends" / f"{name}.py")
    backend = registry.find(name)
    assert backend.name == name
    assert isinstance(backend, registry.Backend)


def test_nothing_else_fills_the_registry():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "register_backend":
                continue
            if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
                targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Subscript) and ast.unparse(target.value).endswith("_registered"):
                        assert path == PACKAGE / "backends" / "__init__.py"
                        assert ast.unparse(node) == "_registered[name] = backend"


def test_a_registered_backend_is_listed_and_selectable():
    spy = registered(3)
    assert upsample.backends()[:3] == ("cpu", "cuda", "reference")
    assert spy.name in upsample.backends()
    assert ran(backend=spy.name) == 3
    assert (spy.prepared, spy.called) == (1, 1)


def test_a_kernel_is_prepared_once_for_arrays_of_one_kind():
    spy = registered(3)
    for _ in range(3):
        ran(backend=spy.name)
    assert (spy.prepared, spy.called) == (1, 3)
    ran(X.astype(np.float64), backend=spy.name)
    ran(np.repeat(X, 2, -1)[..., ::2], backend=spy.name)  # other strides
    assert (spy.prepared, spy.called) == (3, 5)


def test_registering_changes_no_result():
    before = upsample.interpolate(X, size=9, mode="linear")
    registered(3)
    np.testing.assert_array_equal(upsample.interpolate(X, size=9, mode="linear"), before)
    y = np.ones((1, 1, 7))  # not seen before
    np.testing.assert_array_equal(upsample.interpolate(y, size=9, mode="linear"), np.ones((1, 1, 9)))


@pytest.mark.parametrize("name", ["cpu", "reference", "spy"])
def test_a_name_is_given_once(name):
    if name == "spy":
        upsample.register_backend(Spy(1, "spy"))
    first = registry.find(name)
    with pytest.raises(ValueError, match=f"'{name}' is registered already.*{type(first).__name__}"):
        upsample.register_backend(Spy(2, name))
    assert registry.find(name) is first


@pytest.mark.parametrize("name", ["my-backend", "my.backend", "my backend", "1st", "", "a\n", "a,b", "+"])
def test_a_name_is_an_identifier(name):
    backend = Spy(1)
    backend.name = name
    with pytest.raises(ValueError, match="not an identifier"):
        upsample.register_backend(backend)
    assert name not in upsample.backends()


def test_a_name_may_be_any_identifier():
    for name in ("_mine", "Mine2", "größer"):
        upsample.register_backend(Spy(5, name))
        assert ran(backend=name) == 5


# ---- selection ---------------------------------------------------------------------------------------------


def test_by_default_numpy_arrays_go_to_the_cpu():
    text = upsample.explain(X, size=12)
    assert re.search(r"^- cpu: runs it", text, re.MULTILINE)
    assert re.search(r"^- reference: could run it, when named", text, re.MULTILINE)


def test_backend_goes_before_the_context_and_the_context_before_the_default(monkeypatch):
    a, b, c = registered(1), registered(2), registered(3)
    monkeypatch.setattr(registry, "_default", a.name)
    assert ran() == 1
    with upsample.use_backend(b.name):
        assert ran() == 2
        assert ran(backend=c.name) == 3
        assert ran(backend=None) == 2
        with upsample.use_backend(c.name):
            assert ran() == 3
        assert ran() == 2
    assert ran() == 1


def test_use_backend_ends_with_an_exception_too():
    spy = registered(1)
    with pytest.raises(TypeError, match="size must be"), upsample.use_backend(spy.name):
        upsample.interpolate(X, size="12")
    assert registry.selected() is None


def test_use_backend_refuses_an_unknown_name_at_once():
    entered = False
    with pytest.raises(upsample.BackendError, match="no backend 'nope'"), upsample.use_backend("nope"):
        entered = True
    assert not entered
    assert registry.selected() is None


def test_objects_and_plans_use_the_context_of_the_call():
    spy = registered(1)
    module = upsample.Upsample(size=12)
    plan = upsample.plan(X.shape, X.dtype, size=12)
    usual = module(X)
    np.testing.assert_array_equal(plan(X), usual)
    with upsample.use_backend(spy.name):
        assert np.unique(module(X)).tolist() == [1]
        assert np.unique(plan(X)).tolist() == [1]
    np.testing.assert_array_equal(module(X), usual)
    np.testing.assert_array_equal(plan(X), usual)


def test_a_backend_given_to_an_object_or_a_plan_goes_before_the_context():
    a, b = registered(1), registered(2)
    module = upsample.Upsample(size=12, backend=a.name)
    plan = upsample.plan(X.shape, X.dtype, size=12, backend=a.name)
    with upsample.use_backend(b.name):
        assert np.unique(module(X)).tolist() == [1]
        assert np.unique(plan(X)).tolist() == [1]


def test_use_backend_is_for_one_thread():
    marks = {1: registered(1), 2: registered(2)}
    barrier = threading.Barrier(2, timeout=60)
    seen: dict[int, list[float]] = {1: [], 2: []}

    def work(mark: int) -> None:
        with upsample.use_backend(marks[mark].name):
            for _ in range(20):
                barrier.wait()  # both are within their blocks
                seen[mark].append(ran())
        seen[mark].append(-1 if registry.selected() is None else 0)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in marks]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {1: [1] * 20 + [-1], 2: [2] * 20 + [-1]}
    assert registry.selected() is None


def test_a_block_in_one_thread_does_not_reach_another_that_runs_already():
    spy = registered(1)
    inside, done = threading.Event(), threading.Event()
    selected: list[str | None] = []

    def look() -> None:
        assert inside.wait(60)
        selected.append(registry.selected())
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    # where new threads inherit their starter's context, this one was started outside of the block
    with upsample.use_backend(spy.name):
        inside.set()
        assert done.wait(60)
        assert ran() == 1
    thread.join()
    assert selected == [None]


def test_use_backend_is_for_one_task():
    marks = {1: registered(1), 2: registered(2)}

    async def work(mark: int) -> list[float]:
        seen = []
        with upsample.use_backend(marks[mark].name):
            for _ in range(5):
                await asyncio.sleep(0)  # the other task runs here, within its own block
                seen.append(ran())
        await asyncio.sleep(0)
        return [*seen, -1 if registry.selected() is None else 0]

    async def main() -> list[list[float]]:
        return await asyncio.gather(work(1), work(2))

    assert asyncio.run(main()) == [[1] * 5 + [-1], [2] * 5 + [-1]]


def test_a_task_starts_with_the_backend_of_its_creator_and_keeps_its_own():
    a, b = registered(1), registered(2)

    async def child() -> list[float]:
        before = ran()
        with upsample.use_backend(b.name):
            return [before, ran()]

    async def main() -> list[float]:
        with upsample.use_backend(a.name):
            task = asyncio.create_task(child())
        return [*await task, registry.selected() is None]

    assert asyncio.run(main()) == [1, 2, True]


def test_registering_from_many_threads_lets_one_win():
    outcomes: list[str] = []
    barrier = threading.Barrier(8, timeout=60)

    def work() -> None:
        barrier.wait()
        try:
            upsample.register_backend(Spy(1, "contested"))
            outcomes.append("won")
        except ValueError:
            outcomes.append("lost")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]


# ---- reasons -----------------------------------------------------------------------------------------------


def test_a_refusal_is_reported_with_every_backends_answer():
    upsample.register_backend(Refuser("striker"))
    upsample.register_backend(Refuser("lazy", "it sleeps"))
    with pytest.raises(upsample.BackendError) as info:
        upsample.interpolate(X, size=12, backend="striker")
    lines = str(info.value).splitlines()
    assert lines[0] == "backend 'striker' does not run this: it is on strike"
    assert any("cpu: would run it" in line for line in lines[1:])
    assert any("reference: would run it" in line for line in lines[1:])
    assert any("lazy: it sleeps" in line for line in lines[1:])
    assert not any("striker" in line for line in lines[1:])


def test_a_refusal_leaves_out_alone():
    upsample.register_backend(Refuser("striker"))
    out = np.full((1, 1, 12), 7, np.float32)
    with pytest.raises(upsample.BackendError):
        upsample.interpolate(X, size=12, backend="striker", out=out)
    assert (out == 7).all()


def test_a_refusal_is_not_remembered_for_another_backend_or_array():
    class Picky(Spy):
        def prepare(self, plan: Any, like: Any) -> Any:
            return super().prepare(plan, like) if plan.dtype == np.float32 else "it takes float32 only"

    picky = Picky(4)
    upsample.register_backend(picky)
    for _ in range(2):
        with pytest.raises(upsample.BackendError, match="float32 only"):
            ran(X.astype(np.float64), backend=picky.name)
        assert ran(backend=picky.name) == 4


def test_explain_gives_every_backends_answer():
    upsample.register_backend(Refuser("striker"))
    spy = registered(1)
    text = upsample.explain(X, size=12, mode="linear")
    assert "- striker: cannot run it: it is on strike" in text
    assert f"- {spy.name}: could run it, when named" in text
    text = upsample.explain(X, size=12, mode="linear", backend="striker")
    assert "- striker: cannot run it: it is on strike" in text
    assert "- cpu: could run it, when named" in text


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_built_ins_refuse_a_plan_with_a_feature_that_they_do_not_know(name):
    plan = dataclasses.replace(upsample.plan(X.shape, X.dtype, size=12), features=frozenset({"time-travel"}))
    answer = registry.find(name).prepare(plan, X)
    assert isinstance(answer, str)
    assert "time-travel" in answer
    with pytest.raises(upsample.BackendError, match="time-travel"):
        dataclasses.replace(plan, backend=name)(X)


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_built_ins_refuse_other_arrays_with_a_reason(name):
    plan = upsample.plan(X.shape, X.dtype, size=12)
    answer = registry.find(name).prepare(plan, object())
    assert isinstance(answer, str)
    assert "NumPy arrays" in answer


def test_prepare_must_return_a_callable_or_a_reason():
    class Vague:
        name = "vague"

        def prepare(self, plan: Any, like: Any) -> Any:
            return None

    upsample.register_backend(Vague())
    with pytest.raises(TypeError, match=r"'vague'.*callable or a reason.*NoneType"):
        upsample.interpolate(X, size=12, backend="vague")


class Clumsy:
    """A backend whose `prepare` raises."""

    name = "clumsy"

    def prepare(self, plan: Any, like: Any) -> Any:
        raise ZeroDivisionError("clumsy me")


def test_a_prepare_that_raises_says_so():
    upsample.register_backend(Clumsy())
    with pytest.raises((upsample.BackendError, ZeroDivisionError), match="clumsy me"):
        upsample.interpolate(X, size=12, backend="clumsy")


def test_a_prepare_that_raises_is_one_more_reason_in_what_others_report():
    upsample.register_backend(Clumsy())
    upsample.register_backend(Refuser("striker"))
    with pytest.raises(upsample.BackendError, match="on strike") as info:
        upsample.interpolate(X, size=12, backend="striker")
    assert "clumsy me" in str(info.value)


def test_a_prepare_that_raises_does_not_break_explain():
    upsample.register_backend(Clumsy())
    assert "clumsy me" in upsample.explain(X, size=12)


# ---- plugins -----------------------------------------------------------------------------------------------

Run = Callable[..., Any]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the example's metadata as an installer writes it; returns the folder."""
    write_metadata(tmp_path, "upsample_plugin_example", entry_points())
    return tmp_path


def entry_points() -> dict[str, str]:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["entry-points"]["upsample.backends"]


def write_metadata(folder: Path, package: str, points: dict[str, str]) -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = ["[upsample.backends]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def run(code: str, *path: Path, check: bool = True, **environment: str) -> Any:
    """Run code in a process that has the folders on its path; what it `print`s as JSON, last line."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("UPSAMPLE_") and k != "PYTHONPATH"}
    clean |= {"PYTHONPATH": os.pathsep.join(map(str, path)), **environment}
    head = "import json, sys, warnings\nimport numpy as np\nwarnings.simplefilter('error')\n"
    head += "X = np.arange(6, dtype=np.float32).reshape(1, 1, 6)\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", head + textwrap.dedent(code)],
        env=clean, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if not check:
        return done
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SRC = EXAMPLE / "src"
SHORT = """
import upsample
def is_loaded():
    return any(name.startswith("upsample_plugin_example") for name in sys.modules)
"""


def test_a_plugin_is_found_by_its_name(installed):
    got = run(
        SHORT + """
before = is_loaded()
y = upsample.interpolate(X, size=9, mode="linear", backend="matrix")
z = upsample.interpolate(X, size=9, mode="linear", backend="reference")
print(json.dumps([before, is_loaded(), y.tolist() == z.tolist(), type(y).__name__, str(y.dtype)]))
""",
        installed, SRC,
    )  # fmt: skip
    assert got == [False, True, True, "ndarray", "float32"]


def test_a_plugin_is_selected_in_every_way(installed):
    code = (
        SHORT
        + """
calls = []
def spied(how, call):
    # the plugin is the only backend whose kernels have this class
    from upsample_plugin_example import matrix
    plain = matrix.Product.__call__
    matrix.Product.__call__ = lambda self, x, out=None: (calls.append(how), plain(self, x, out))[1]
    try:
        call()
    finally:
        matrix.Product.__call__ = plain
def in_context():
    with upsample.use_backend("matrix"):
        upsample.interpolate(X, size=9)
spied("argument", lambda: upsample.interpolate(X, size=9, backend="matrix"))
spied("context", in_context)
spied("object", lambda: upsample.Upsample(size=9, backend="matrix")(X))
spied("plan", lambda: upsample.plan(X.shape, X.dtype, size=9, backend="matrix")(X))
spied("default", lambda: upsample.interpolate(X, size=9))
spied("not", lambda: upsample.interpolate(X, size=9, backend="cpu"))
print(json.dumps(calls))
"""
    )
    named = ["argument", "context", "object", "plan"]
    assert run(code, installed, SRC) == named
    assert run(code, installed, SRC, UPSAMPLE_BACKEND="matrix") == [*named, "default"]
    assert run(code, installed, SRC, UPSAMPLE_BACKEND="") == named


def test_the_environments_backend_is_resolved_at_the_first_call(installed):
    code = SHORT + """
before = is_loaded()
upsample.interpolate(X, size=9)
print(json.dumps([before, is_loaded()]))
"""  # fmt: skip
    assert run(code, installed, SRC, UPSAMPLE_BACKEND="matrix") == [False, True]
    done = run(code, installed, SRC, check=False, UPSAMPLE_BACKEND="nope")
    assert done.returncode == 1
    assert "BackendError" in done.stderr
    assert "matrix" in done.stderr  # among the known ones


def test_a_plugin_gives_its_reason_when_it_cannot_run(installed):
    got = run(
        SHORT + """
half, text = X.astype(np.float16), ""
try:
    upsample.interpolate(half, size=9, backend="matrix")
except upsample.BackendError as error:
    text = str(error)
y = upsample.interpolate(X, size=9, backend="matrix")
print(json.dumps([text, upsample.explain(half, size=9, backend="matrix"), upsample.explain(X, size=9)]))
""",
        installed, SRC,
    )  # fmt: skip
    assert got[0].startswith("backend 'matrix' does not run this: it has no half precision: use float32")
    assert "cpu: would run it" in got[0]
    assert "- matrix: cannot run it: it has no half precision" in got[1]
    assert "- matrix: could run it, when named: 1 matrix product(s)" in got[2]


def test_an_installed_plugin_is_not_imported_and_changes_no_result(installed):
    code = SHORT + """
import hashlib, io, contextlib
digest = hashlib.sha256()
rng = np.random.default_rng(0)
for shape, mode in (((2, 3, 7), "linear"), ((2, 3, 7, 5), "bicubic"), ((2, 3, 7), "nearest"), ((1, 4, 5, 6), "area")):
    for dtype in (np.float32, np.uint8):
        x = (rng.random(shape) * 255).astype(dtype)
        digest.update(upsample.interpolate(x, scale_factor=1.7, mode=mode).tobytes())
        digest.update(upsample.plan(shape, dtype, scale_factor=1.7, mode=mode)(x).tobytes())
with contextlib.redirect_stdout(io.StringIO()):
    upsample.show_config()
names, text = upsample.backends(), upsample.explain(X, size=9)
print(json.dumps([digest.hexdigest(), list(names), is_loaded(), text]))
"""  # fmt: skip
    without, with_ = run(code, SRC), run(code, installed, SRC)
    assert without[0] == with_[0]
    assert without[1] == ["cpu", "cuda", "reference"]
    assert with_[1] == ["cpu", "cuda", "reference", *entry_points()]
    assert not with_[2]
    for name in entry_points():
        assert f"- {name}: a plugin, imported only when it is named" in with_[3]


def test_entry_points_are_not_scanned_before_a_backend_is_named(installed):
    got = run(
        """
import importlib.metadata
scans = []
plain = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda **kwargs: (scans.append(kwargs), plain(**kwargs))[1]
import upsample
upsample.interpolate(X, size=9)
upsample.Upsample(size=9)(X)
upsample.plan(X.shape, X.dtype, size=9)(X)
upsample.interpolate(X, size=9, backend="cpu")
with upsample.use_backend("reference"):
    upsample.interpolate(X, size=9)
before = len(scans)
upsample.interpolate(X, size=9, backend="matrix")
print(json.dumps([before, len(scans) > 0]))
""",
        installed, SRC,
    )  # fmt: skip
    assert got == [0, True]


def test_a_plugin_that_fails_to_import_is_reported_once_and_harms_nothing(installed):
    got = run(
        SHORT + """
errors, texts = [], []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        try:
            upsample.interpolate(X, size=9, backend="broken")
        except upsample.BackendError as error:
            errors.append(str(error))
    try:
        with upsample.use_backend("broken"):
            pass
    except upsample.BackendError as error:
        errors.append(str(error))
    texts.append(upsample.explain(X, size=9, backend="broken"))
    texts.append(upsample.explain(X, size=9))
works = upsample.interpolate(X, size=9).shape, upsample.interpolate(X, size=9, backend="matrix").shape
print(json.dumps([[(w.category.__name__, str(w.message), w.filename) for w in caught], errors, texts, works,
                  list(upsample.backends())]))
""",
        installed, SRC,
    )  # fmt: skip
    caught, errors, texts, works, names = got
    assert len(caught) == 1
    category, message, filename = caught[0]
    assert category == "RuntimeWarning"
    assert "broken" in message
    assert "libfancy.so" in message
    assert filename == "<string>"  # the caller, not the library
    assert len(errors) == 4
    assert all("libfancy.so" in e and "broken" in e for e in errors)
    assert "libfancy.so" in texts[0]
    assert works == [[1, 1, 9], [1, 1, 9]]
    assert "broken" in names


def test_the_error_of_a_failed_plugin_is_kept_for_explain(installed):
    """Also where another backend is asked about: "imported only when it is named" is no longer why it does not run."""
    text = run(
        SHORT + """
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        upsample.interpolate(X, size=9, backend="broken")
    except upsample.BackendError:
        pass
print(json.dumps(upsample.explain(X, size=9)))
""",
        installed, SRC,
    )  # fmt: skip
    (line,) = [line for line in text.splitlines() if line.startswith("- broken")]
    assert "libfancy.so" in line


def test_a_failed_plugin_of_the_environment_is_an_error_and_no_crash(installed):
    code = SHORT + """
warnings.simplefilter("ignore")
try:
    upsample.interpolate(X, size=9)
except upsample.BackendError as error:
    print(json.dumps(str(error)))
"""  # fmt: skip
    assert "libfancy.so" in run(code, installed, SRC, UPSAMPLE_BACKEND="broken")


REFUSES = "    def prepare(self, plan, like):\n        return 'here'\n"
MODULES = {
    "raises": "raise SystemError('at import')",
    "misnamed": f"class Backend:\n    name = 'other'\n{REFUSES}",
    "no_prepare": "class Backend:\n    name = 'no_prepare'",
    "raises_when_made": "class Backend:\n    def __init__(self):\n        raise OSError('no device')",
    "lacks_it": "",
    "is_object": f"class B:\n    name = 'is_object'\n{REFUSES}Backend = B()",
    "registers_itself": f"import upsample\nclass B:\n    name = 'registers_itself'\n{REFUSES}Backend = B()\n"
    "upsample.register_backend(Backend)",
    "cpu": "raise SystemError('nobody asks a plugin for a name that is taken')",
}


def test_every_way_to_be_a_plugin_works_or_is_a_reason(tmp_path):
    for name, source in MODULES.items():
        (tmp_path / f"odd_{name}.py").write_text(source + "\n")
    write_metadata(tmp_path, "odd", {name: f"odd_{name}:Backend" for name in MODULES} | {"missing": "no_such_module:B"})
    got = run(
        """
import upsample
answers = {}
from importlib.metadata import entry_points
for name in [point.name for point in entry_points(group="upsample.backends")]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answers[name] = ["ran", upsample.interpolate(X, size=9, backend=name).shape[-1], len(caught)]
        except upsample.BackendError as error:
            answers[name] = ["error", str(error).splitlines()[0], len(caught)]
print(json.dumps(answers))
""",
        tmp_path,
    )
    assert set(got) == {*MODULES, "missing"}
    assert got["cpu"] == ["ran", 9, 0]
    for name in ("is_object", "registers_itself"):
        assert got[name] == ["error", f"backend {name!r} does not run this: here", 0]
    for name, reason in {
        "raises": "SystemError: at import", "misnamed": "holds a backend named 'other'", "no_prepare": "prepare",
        "raises_when_made": "OSError: no device", "lacks_it": "AttributeError", "missing": "no_such_module",
    }.items():  # fmt: skip
        assert got[name][0] == "error", name
        assert reason in got[name][1], name
        assert got[name][2] == 1, name


def test_a_plugin_is_loaded_once_however_many_threads_ask(tmp_path):
    (tmp_path / "slow_plugin.py").write_text(
        "import time\nwith open(__file__ + '.log', 'a') as f:\n    f.write('x')\ntime.sleep(0.2)\n"
        "class Backend:\n    name = 'slow'\n    def prepare(self, plan, like):\n"
        "        return lambda x, out=None: np.zeros(plan.out_shape, plan.dtype)\nimport numpy as np\n"
    )
    write_metadata(tmp_path, "slow", {"slow": "slow_plugin:Backend"})
    got = run(
        """
import threading, upsample
shapes = []
threads = [threading.Thread(target=lambda: shapes.append(upsample.interpolate(X, size=9, backend="slow").shape))
           for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps(shapes))
""",
        tmp_path,
    )
    assert got == [[1, 1, 9]] * 6
    assert (tmp_path / "slow_plugin.py.log").read_text() == "x"


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's backend, registered by hand in this process."""
    monkeypatch.syspath_prepend(str(SRC))
    module = importlib.import_module("upsample_plugin_example.matrix")
    upsample.register_backend(module.Matrix())
    yield module
    for name in [n for n in sys.modules if n.startswith("upsample_plugin_example")]:
        del sys.modules[name]


MODES = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}


@pytest.mark.parametrize("numerics", ["torch", "exact"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_example_agrees_with_the_reference(matrix, rank, numerics):
    rng = np.random.default_rng(rank)
    shape = (2, 3, 4, 5, 6)[: rank + 2]
    for mode in ("nearest", "nearest-exact", "area", "cubic", "lanczos", *MODES[rank]):
        for dtype in (np.float32, np.float64, np.uint8, np.int8, np.uint16, np.int16):
            low, high = (-100, 100) if np.dtype(dtype).kind in "if" else (0, 200)
            x = rng.integers(low, high, shape).astype(dtype)
            for kwargs in ({"size": 7}, {"scale_factor": 1.3}, {"scale_factor": 0.6}):
                flags = [{"antialias": True}] if mode == "lanczos" else [{}]
                if mode == "cubic":
                    flags.append({"antialias": True})
                for flag in flags:
                    got, expected = (
                        upsample.interpolate(x, **kwargs, **flag, mode=mode, numerics=numerics, backend=name)
                        for name in ("matrix", "reference")
                    )
                    assert got.dtype == expected.dtype
                    table = numerics == "torch" and x.dtype.itemsize == 1 and mode != "area"  # integer weights
                    if mode.startswith("nearest") or table:
                        atol = 0.0
                    else:  # sums in another order: a unit in the last place, or the other side of a tie
                        atol = 1 if x.dtype.kind in "iu" else 300 * np.finfo(dtype).eps
                    np.testing.assert_allclose(got.astype(float), expected.astype(float), rtol=0, atol=atol)


def test_the_example_keeps_infinities_where_they_are(matrix):
    x = np.array([[[1, np.inf, 2, 3, 4, 5]]], np.float32)
    for mode in ("nearest", "linear", "cubic", "area"):
        got, expected = (upsample.interpolate(x, size=11, mode=mode, backend=b) for b in ("matrix", "reference"))
        np.testing.assert_allclose(got, expected)


def test_the_example_refuses_what_it_must(matrix):
    plan = upsample.plan(X.shape, X.dtype, size=12)
    newer = dataclasses.replace(plan, features=frozenset({"time-travel"}))
    assert "time-travel" in matrix.Matrix().prepare(newer, X)
    assert "NumPy" in matrix.Matrix().prepare(plan, [1])
    read_only = np.zeros((1, 1, 12), np.float32)
    read_only.flags.writeable = False
    for out in (np.zeros((1, 1, 11), np.float32), np.zeros((1, 1, 12)), read_only):
        with pytest.raises(ValueError, match="out must"):
            upsample.interpolate(X, size=12, backend="matrix", out=out)
    with pytest.raises(ValueError, match="share memory"):
        upsample.interpolate(X, size=6, backend="matrix", out=X)


@pytest.mark.full
def test_the_example_installs_and_is_found(tmp_path):
    """Its own pyproject.toml, through pip, into a folder of its own: no network and no other package is touched."""
    pytest.importorskip("setuptools")
    pytest.importorskip("pip")
    source, target = tmp_path / "source", tmp_path / "target"
    for path in EXAMPLE.rglob("*"):  # builds write next to their sources
        if path.suffix in (".py", ".toml"):
            (source / path.relative_to(EXAMPLE)).parent.mkdir(parents=True, exist_ok=True)
            (source / path.relative_to(EXAMPLE)).write_bytes(path.read_bytes())
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--disable-pip-version-check", "--no-cache-dir", "--target", str(target), str(source),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    got = run(
        SHORT + """
names, before = list(upsample.backends()), is_loaded()
y = upsample.interpolate(X, size=9, mode="linear", backend="matrix")
print(json.dumps([names, before, sys.modules["upsample_plugin_example.matrix"].__file__, y.shape]))
""",
        target,
    )  # fmt: skip
    names, before, file, shape = got
    assert set(entry_points()) < set(names)
    assert not before
    assert Path(file).is_relative_to(target)
    assert shape == [1, 1, 9]


# ---- what importing the library imports --------------------------------------------------------------------


def test_importing_the_library_imports_no_framework():
    got = run(
        """
import upsample
upsample.interpolate(X, size=9, mode="linear")
heavy = ("torch", "cupy", "jax", "tensorflow", "ml_dtypes", "dask", "pandas", "PIL", "cv2", "scipy", "numba", "Cython")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    )
    assert got == []


def test_importing_the_library_reads_no_package_metadata(installed):
    got = run(
        """
before = "importlib.metadata" in sys.modules
import upsample
upsample.interpolate(X, size=9, mode="linear")
print(json.dumps([before, "importlib.metadata" in sys.modules]))
""",
        installed, SRC,
    )  # fmt: skip
    if got[0]:
        pytest.skip("Python's start or NumPy has imported importlib.metadata already")
    assert got == [False, False]


def test_a_framework_that_cannot_be_imported_is_not_missed(tmp_path):
    for name in ("torch", "cupy", "ml_dtypes"):
        (tmp_path / f"{name}.py").write_text("raise SystemError('imported without being asked')\n")
    got = run(
        """
import upsample
upsample.interpolate(X, size=9, mode="linear", backend="reference")
try:
    upsample.interpolate([1, 2], size=9)
except TypeError:
    print(json.dumps(upsample.explain(X, size=9).splitlines()[0]))
""",
        tmp_path,
    )
    assert got == "float32 (1, 1, 6) -> (1, 1, 9)"


# ---- nothing lower imports anything higher -----------------------------------------------------------------

# Rooms from the top of the data's path to its bottom.  Rooms of one level do not know each other, but that
# helpers ("leaves") may use helpers.
LEVELS = {
    "__main__": 6, "testing": 6, "_capi": 6, "config": 5, "_embed": 5, "__init__": 5, "_config": 4, "_interpolate": 4,
    "_plan": 3, "backends": 2, "_kernels": 1,
}  # fmt: skip
LEAF = 0
# Helpers that the levels up to the backends must not know: what a request means ends in the plan.
FRONT_END = {"_geometry"}


def room(module: str) -> str:
    """`upsample.backends.cpu` -> `backends`; `upsample` -> `__init__`."""
    return [*module.split("."), "__init__"][1]


FILES = {
    path.relative_to(PACKAGE).as_posix(): path for ext in ("py", "pyx", "pxd") for path in PACKAGE.rglob(f"*.{ext}")
}


def dotted(path: Path) -> str:
    """The name under which a file is imported."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def absolute(package: str, name: str, names: list[str]) -> set[str]:
    """The library's modules that `from name import names` means within a package; `import name` has no names."""
    inner = name.lstrip(".")
    dots = len(name) - len(inner)
    if dots:
        parts = package.split(".")
        name = ".".join([*parts[: len(parts) - dots + 1], *([inner] if inner else [])])
    if name.partition(".")[0] != "upsample":
        return set()
    known = {dotted(path) for path in FILES.values()}
    # what is no module is an object of the module itself
    return {f"{name}.{n}" if f"{name}.{n}" in known else name for n in names} or {name}


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from running(child)


def imported(file: str) -> set[str]:
    """The library's modules that a file imports when it runs, that is, not for type checkers only."""
    path = FILES[file]
    package, text = dotted(path.parent / "__init__.py"), path.read_text(encoding="utf-8")
    found = set()
    if path.suffix == ".py":
        for node in running(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= set().union(*(absolute(package, alias.name, []) for alias in node.names))
            elif isinstance(node, ast.ImportFrom):
                names = [alias.name for alias in node.names]
                found |= absolute(package, "." * node.level + (node.module or ""), names)
        return found
    # Cython: imports stand on lines of their own
    for line in re.finditer(r"^\s*(?:from\s+(\S+)\s+c?import\s+\(?(.*)|c?import\s+(\S+))", text, re.MULTILINE):
        found |= absolute(package, line[1] or line[3], re.findall(r"\w+", line[2] or ""))
    return found


def test_the_reader_of_imports_reads_them():
    """The tests below prove nothing if this does not work."""
    assert {"upsample._geometry", "upsample.backends", "upsample._plan"} <= imported("_interpolate.py")
    assert {"upsample.backends", "upsample._axismap"} <= imported("_plan.py")
    assert "upsample._kernels.cpu.skeleton" in imported("backends/cpu.py")
    assert "upsample._plan" not in imported("backends/cpu.py")  # for type checkers only
    assert {"upsample._axismap", "upsample._arrays"} <= imported("_kernels/cpu/skeleton.pyx")
    assert absolute("upsample.backends", "..", ["_plan", "x"]) == {"upsample._plan", "upsample"}
    assert absolute("upsample.backends", ".", ["register_backend"]) == {"upsample.backends"}
    assert absolute("upsample", "numpy", ["upsample"]) == set()


@pytest.mark.parametrize("file", sorted(FILES))
def test_nothing_lower_imports_anything_higher(file):
    own = room(dotted(FILES[file]))
    level = LEVELS.get(own, LEAF)
    for name in imported(file):
        other = room(name)
        if other == own:
            continue
        above = LEVELS.get(other, LEAF)
        assert above < level or above == level == LEAF, f"{file} imports {name}, which is not below it"
        if level <= LEVELS["backends"]:
            assert other not in FRONT_END, f"{file} imports {name}: what a request means ends in the plan"


def test_backends_know_each_other_through_the_registry_only():
    files = [file for file in FILES if file.startswith("backends/")]
    assert len(files) >= 4
    for file in files:
        others = {name for name in imported(file) if name.startswith("upsample.backends.")}
        assert others <= {"upsample.backends._axes", "upsample.backends._cuda"}, file  # these are no backends


def test_public_names_are_listed_and_exist():
    assert sorted(upsample.__all__) == list(upsample.__all__)
    for name in upsample.__all__:
        assert hasattr(upsample, name)


def test_the_registry_is_silent_about_itself_at_import():
    """Nothing is printed and nothing is warned of."""
    done = run("import upsample", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_warnings_as_errors_do_not_turn_a_broken_plugin_into_a_broken_library(installed):
    got = run(
        SHORT + """
kinds = []
for _ in range(2):
    try:
        upsample.interpolate(X, size=9, backend="broken")
    except (RuntimeWarning, upsample.BackendError) as error:
        kinds.append(type(error).__name__)
print(json.dumps([kinds, upsample.interpolate(X, size=9).shape]))
""",
        installed, SRC,
    )  # fmt: skip
    assert got == [["RuntimeWarning", "BackendError"], [1, 1, 9]]


# ---- explain -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("", upsample.BackendError, "no backend ''"),
        ("nope", upsample.BackendError, "no backend 'nope': known are"),
        ("CUDA", upsample.BackendError, r"no backend 'CUDA': did you mean 'cuda'\?"),
        ("gpu", upsample.BackendError, r"no backend 'gpu': did you mean 'cuda'\?"),
        (3, TypeError, "named by a string, got int 3"),
        (b"cpu", TypeError, "named by a string, got bytes"),
    ],
)
def test_explain_refuses_a_name_as_interpolate_does(name, error, match):
    for call in (upsample.interpolate, upsample.explain):
        with pytest.raises(error, match=match):
            call(X, size=12, backend=name)


def test_explain_refuses_an_unknown_default(monkeypatch):
    monkeypatch.setattr(registry, "_default", "nope")
    with pytest.raises(upsample.BackendError, match="UPSAMPLE_BACKEND"):
        upsample.explain(X, size=12)


def test_explain_tells_what_a_backend_remarks_on_the_arrays():
    spy = registered(1)
    spy.remarks = lambda plan, like, out: f"an input of {like.nbytes} bytes{'' if out is None else ', and out'}"
    assert f"- {spy.name}: runs it: an input of 24 bytes\n" in upsample.explain(X, size=12, backend=spy.name)
    text = upsample.explain(X, size=12, out=np.empty((1, 1, 12), np.float32))
    assert text.endswith(f"- {spy.name}: could run it, when named: an input of 24 bytes, and out")
