"""Threads: their number decides no bit, callers do not disturb each other, and settings stay where they were made."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import itertools
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import upsample
from upsample._kernels.cpu import skeleton
from upsample.testing import Case, random_cases, systematic_cases

COUNTS = (1, 2, 3, 7, 64)
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = upsample.get_num_threads()
    yield
    upsample.set_num_threads(before)


def run_code(code: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("UPSAMPLE_", "OMP_", "GOMP_", "KMP_"))}
    return subprocess.run(
        [sys.executable, "-P", "-c", code], env=clean | environment, capture_output=True, text=True, timeout=timeout
    )


def printed(code: str, **environment: str) -> str:
    done = run_code(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- the number of threads and the bits --------------------------------------------------------------------


def grown(case: Case, outputs: int, batch: bool) -> Case | None:
    """The case with more samples, along an axis that is not resampled or along the first that is."""
    layout = case.arguments.get("layout") or "NC" + "DHW"[5 - len(case.shape) :]
    by = -(-outputs // max(1, case.output_size()))
    first = min(i for i, c in enumerate(layout) if c in "DHW")
    shape, arguments = list(case.shape), dict(case.arguments)
    if batch and layout[0] not in "DHW":
        shape[0] *= by
    else:
        shape[first] *= by
        if isinstance(arguments.get("size"), tuple):
            arguments["size"] = (arguments["size"][0] * by, *arguments["size"][1:])
    if np.prod(shape) > 4 * outputs + 10**6:
        return None
    return replace(case, shape=tuple(shape), arguments=arguments)


def parallel_cases() -> list[Case]:
    rng = random.Random(0)
    made = [grown(case, rng.choice((70_000, 100_000, 240_000)), rng.random() < 0.5) for case in systematic_cases(7)]
    return [case for case in made if case is not None]


# Large enough for 64 threads, in each form of work unit: rows, planes, tiles of one long row, batches.
LARGE = [
    Case((1, 3, 700, 600), "float32", {"mode": "bilinear", "scale_factor": 1.5}),
    Case((601, 703, 3), "uint8", {"mode": "bicubic", "scale_factor": 1.7, "layout": "HWC"}),
    Case((601, 703, 3), "uint8", {"mode": "nearest", "scale_factor": 2, "layout": "HWC"}),
    Case((1, 2, 61, 82, 93), "float32", {"mode": "trilinear", "scale_factor": 1.4}),
    Case((61, 82, 93, 2), "float16", {"mode": "area", "scale_factor": (2.2, 1.3, 0.9), "layout": "DHWC"}),
    Case((1, 1, 3_000_001), "float32", {"mode": "cubic", "scale_factor": 1.1}),
    Case((1_300_001,), "int16", {"mode": "linear", "scale_factor": 2, "layout": "W"}),
    Case((430, 1, 5000), "float64", {"mode": "lanczos", "size": 5003, "antialias": True}),
    Case((2_300_001, 1), "uint8", {"mode": "bilinear", "size": (2_400_000, 1), "layout": "HW"}),
]


def bits(case: Case, x: Any, threads: int) -> bytes:
    with upsample.num_threads(threads):
        return upsample.interpolate(x, **case.arguments).tobytes()


def check_counts(cases: list[Case]) -> None:
    for case in cases:
        x = case.array()
        expected = bits(case, x, 1)
        for threads in COUNTS[1:]:
            assert bits(case, x, threads) == expected, f"{threads} threads: {case}"


def test_thread_count_does_not_change_bits():
    cases = parallel_cases()
    assert len(cases) > 200
    assert {case.arguments["mode"] for case in cases} == set(upsample.testing.MODES)
    assert all(case.output_size() > 65536 for case in cases)
    check_counts(cases)


def test_thread_count_does_not_change_bits_of_small_arrays():
    check_counts(list(random_cases(150, 11)))


@pytest.mark.parametrize("case", LARGE, ids=lambda case: f"{case.arguments['mode']}-{case.dtype}-{len(case.shape)}d")
def test_many_threads_do_not_change_bits(case):
    assert case.output_size() > 64 * 32768
    check_counts([case])


def test_thread_count_does_not_change_bits_of_a_window():
    plan = upsample.plan((1, 2, 300, 301), "float32", scale_factor=1.7, mode="bicubic")
    x = np.random.default_rng(0).uniform(-1, 1, plan.shape).astype("float32")
    whole = plan(x)
    lo, hi, part = plan.window((17, 3), (500, 490))
    piece = x[:, :, lo[0] : hi[0], lo[1] : hi[1]]
    for threads in COUNTS:
        with upsample.num_threads(threads):
            np.testing.assert_array_equal(part(piece), whole[:, :, 17:500, 3:490])


# ---- several callers at once -------------------------------------------------------------------------------


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """The results of functions that start together, each in a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def start(call: Callable[[], Any]) -> Any:
        barrier.wait(30)
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(start, call) for call in calls]]


def test_eight_threads_with_different_calls_get_their_own_results():
    upsample.set_num_threads(2)
    cases = [*parallel_cases()[::16], *random_cases(40, 5)]
    inputs = [case.array() for case in cases]
    expected = [bits(case, x, 1) for case, x in zip(cases, inputs, strict=True)]

    def work(seed: int) -> list[str]:
        order = list(range(len(cases)))
        random.Random(seed).shuffle(order)
        got = ((i, upsample.interpolate(inputs[i], **cases[i].arguments).tobytes()) for i in order)
        return [str(cases[i]) for i, found in got if found != expected[i]]

    assert at_once([lambda seed=seed: work(seed) for seed in range(8)]) == [[]] * 8


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area", "lanczos"])
def test_eight_threads_may_share_one_plan(mode):
    upsample.set_num_threads(2)
    plan = upsample.plan((1, 3, 120, 121), "uint8", scale_factor=1.9, mode=mode, antialias=mode == "lanczos")
    rng = np.random.default_rng(1)
    inputs = [rng.integers(0, 256, plan.shape, dtype=np.uint8) for _ in range(8)]
    expected = [plan(x).tobytes() for x in inputs]
    fresh = upsample.plan((1, 3, 120, 121), "uint8", scale_factor=1.9, mode=mode, antialias=mode == "lanczos")

    def work(i: int) -> bool:
        out = np.empty(plan.out_shape, np.uint8)
        return all(
            fresh(inputs[j % 8]).tobytes() == expected[j % 8] and fresh(inputs[i], out).tobytes() == expected[i]
            for j in range(i, i + 12)
        )

    assert at_once([lambda i=i: work(i) for i in range(8)]) == [True] * 8


def test_threads_may_write_disjoint_parts_of_one_output():
    plan = upsample.plan((1, 1, 400, 300), "float32", size=(808, 610), mode="bicubic")
    x = np.random.default_rng(2).uniform(-1, 1, plan.shape).astype("float32")
    out = np.full(plan.out_shape, np.nan, np.float32)

    def work(i: int) -> None:
        rows = slice(i * 101, (i + 1) * 101)
        lo, hi, part = plan.window((rows.start, 0), (rows.stop, 610))
        part(x[:, :, lo[0] : hi[0]], out[:, :, rows])

    at_once([lambda i=i: work(i) for i in range(8)])
    np.testing.assert_array_equal(out, plan(x))


def test_an_error_in_one_thread_leaves_the_others_alone():
    x = np.random.default_rng(3).integers(0, 256, (1, 3, 150, 150), dtype=np.uint8)
    expected = upsample.interpolate(x, scale_factor=2, mode="bilinear").tobytes()

    def good() -> bool:
        return all(upsample.interpolate(x, scale_factor=2, mode="bilinear").tobytes() == expected for _ in range(10))

    def bad() -> bool:
        for _ in range(10):
            with pytest.raises(ValueError, match="out has shape"):
                upsample.interpolate(x, scale_factor=2, mode="bilinear", out=np.empty((1, 3, 3, 3), np.uint8))
        return True

    assert all(at_once([good, bad] * 4))


# ---- fork --------------------------------------------------------------------------------------------------

PREPARE = """
import faulthandler, os, signal, sys, threading
import numpy as np
import upsample
faulthandler.dump_traceback_later(40, exit=True)
upsample.set_num_threads(2)
x = np.arange(3 * 300 * 301, dtype=np.float32).reshape(1, 3, 300, 301) % 1009
call = lambda: upsample.interpolate(x, scale_factor=1.5, mode="bilinear").tobytes()

def in_child(work):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            os._exit(0 if work() else 1)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
FORKS = {
    "after-a-parallel-call": """
expected = call()
print(in_child(lambda: call() == expected), call() == expected)
""",
    "before-any-call": """
code = in_child(lambda: call() == call())
expected = call()
print(code, in_child(lambda: call() == expected) == 0)
""",
    "grandchild": """
expected = call()
print(in_child(lambda: call() == expected and in_child(lambda: call() == expected) == 0), call() == expected)
""",
    "first-call-in-the-child-then-its-child": """
print(in_child(lambda: call() == call() and in_child(lambda: len(call()) > 0) == 0), True)
""",
    "while-other-threads-call": """
expected = call()
stop = threading.Event()
def repeat():
    while not stop.is_set():
        assert call() == expected
threads = [threading.Thread(target=repeat) for _ in range(3)]
for t in threads: t.start()
codes = [in_child(lambda: call() == expected) for _ in range(10)]
stop.set()
for t in threads: t.join()
print(max(codes), call() == expected)
""",
    "more-threads-in-the-child": """
expected = call()
def work():
    upsample.set_num_threads(7)
    with upsample.num_threads(3):
        return call() == expected and upsample.get_num_threads() == 3
print(in_child(work), upsample.get_num_threads() == 2)
""",
    "threads-started-in-the-child": """
expected = call()
def work():
    got = []
    threads = [threading.Thread(target=lambda: got.append(call() == expected)) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join(20)
    return got == [True] * 4
print(in_child(work), True)
""",
}


@can_fork
@pytest.mark.parametrize("name", FORKS)
def test_a_forked_child_computes_the_same(name):
    assert printed(PREPARE + FORKS[name]) == "0 True"


@can_fork
def test_a_pool_of_forked_processes_computes_the_same():
    code = """
import multiprocessing
import numpy as np
import upsample

def work(seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (1, 3, 200, 201)).astype(np.float32)
    return upsample.interpolate(x, scale_factor=2, mode="bicubic").tobytes()

if __name__ == "__main__":
    upsample.set_num_threads(2)
    expected = [work(i) for i in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map_async(work, range(4)).get(40) == expected)
"""
    assert printed(code) == "True"


@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_a_plan_travels_to_other_processes(how, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(f"""
import multiprocessing
import numpy as np
import upsample

def work(plan):
    return plan(np.arange(12, dtype=np.float32).reshape(plan.shape)).tolist()

if __name__ == "__main__":
    plan = upsample.plan((1, 1, 12), np.float32, size=31, mode="cubic")
    expected = work(plan)
    with multiprocessing.get_context({how!r}).Pool(1) as pool:
        print(pool.map_async(work, [plan]).get(40) == [expected])
""")
    if how == "forkserver" and not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    done = subprocess.run([sys.executable, "-P", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


# ---- settings ----------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Runs a function in a thread that was there before the test began, so that it inherits no context of the test."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(upsample.get_num_threads).result(30)
        yield lambda call: pool.submit(call).result(30)


def test_the_process_wide_number_is_seen_by_every_thread():
    for n in (3, 1, 1024, np.int64(5)):
        upsample.set_num_threads(n)
        assert upsample.get_num_threads() == n
        assert type(upsample.get_num_threads()) is int
        assert at_once([upsample.get_num_threads] * 2) == [n, n]


def test_the_number_of_a_block_ends_with_it():
    upsample.set_num_threads(4)
    with upsample.num_threads(2):
        assert upsample.get_num_threads() == 2
        with upsample.num_threads(7):
            assert upsample.get_num_threads() == 7
        assert upsample.get_num_threads() == 2
    assert upsample.get_num_threads() == 4
    with pytest.raises(KeyError, match="stop"), upsample.num_threads(2):
        raise KeyError("stop")
    assert upsample.get_num_threads() == 4


def test_the_number_of_a_block_wins_over_the_process_wide_one(elsewhere):
    upsample.set_num_threads(4)
    with upsample.num_threads(2):
        upsample.set_num_threads(6)
        assert upsample.get_num_threads() == 2
        assert elsewhere(upsample.get_num_threads) == 6
    assert upsample.get_num_threads() == 6


def test_a_refused_number_changes_nothing():
    upsample.set_num_threads(4)
    for bad, error in ((0, ValueError), (1025, ValueError), (2.0, TypeError), (True, TypeError), ("2", TypeError)):
        with pytest.raises(error, match="number of threads"):
            upsample.set_num_threads(bad)
        with pytest.raises(error, match="number of threads"), upsample.num_threads(bad):
            pass
    assert upsample.get_num_threads() == 4


def test_the_number_of_a_block_is_not_seen_by_other_threads(elsewhere):
    upsample.set_num_threads(4)
    with upsample.num_threads(2):
        assert elsewhere(upsample.get_num_threads) == 4
        assert upsample.get_num_threads() == 2


def test_a_copied_context_carries_the_number_of_the_block(elsewhere):
    upsample.set_num_threads(4)
    with upsample.num_threads(2):
        context = contextvars.copy_context()
    assert context.run(upsample.get_num_threads) == 2
    assert elsewhere(lambda: context.run(upsample.get_num_threads)) == 2
    assert upsample.get_num_threads() == 4


def test_the_number_of_a_block_is_not_seen_by_other_tasks():
    upsample.set_num_threads(4)

    async def task(n: int) -> list[int]:
        seen = [upsample.get_num_threads()]
        with upsample.num_threads(n):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(upsample.get_num_threads())
            seen.append(await asyncio.to_thread(upsample.get_num_threads))
        return [*seen, upsample.get_num_threads()]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(task(n) for n in (2, 3, 5)))

    assert asyncio.run(main()) == [[4, n, n, n, n, 4] for n in (2, 3, 5)]


def test_the_backend_of_a_block_is_not_seen_by_other_threads_and_tasks(elsewhere):
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4)

    def chosen() -> str:
        text = upsample.explain(x, size=8, mode="linear")
        return "reference" if "- reference: runs it" in text else "cpu"

    async def task(name: str) -> list[str]:
        with upsample.use_backend(name):
            await asyncio.sleep(0)
            return [chosen(), await asyncio.to_thread(chosen)]

    async def main() -> list[list[str]]:
        return await asyncio.gather(task("reference"), task("cpu"))

    with upsample.use_backend("reference"):
        assert chosen() == "reference"
        assert elsewhere(chosen) == "cpu"
    assert asyncio.run(main()) == [["reference"] * 2, ["cpu"] * 2]


# ---- the environment ---------------------------------------------------------------------------------------

COUNT = "import upsample; print(upsample.get_num_threads())"


@pytest.mark.parametrize(
    ("expected", "environment"),
    [
        ("3", {"UPSAMPLE_NUM_THREADS": "3"}),
        ("3", {"UPSAMPLE_NUM_THREADS": " 3 "}),
        ("1024", {"UPSAMPLE_NUM_THREADS": "1024"}),
        ("3", {"UPSAMPLE_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}),
        ("3", {"UPSAMPLE_NUM_THREADS": "3", "OMP_NUM_THREADS": "nonsense"}),
        ("5", {"UPSAMPLE_NUM_THREADS": "", "OMP_NUM_THREADS": "5"}),
        ("5", {"OMP_NUM_THREADS": "5"}),
        ("5", {"OMP_NUM_THREADS": "5,3,2"}),
        ("5", {"OMP_NUM_THREADS": " 5 , 3"}),
    ],
)
def test_the_environment_sets_the_number_of_threads(expected, environment):
    assert printed(COUNT, **environment) == expected


@pytest.fixture(scope="module")
def default_threads() -> str:
    return printed(COUNT)


@pytest.mark.parametrize(
    "value", ["", " ", "nonsense", "0", "-2", "2.5", "1e3", "0x4", ",4", "true", "99999999999999999999", "²"]
)
def test_nonsense_in_omp_num_threads_is_ignored(value, default_threads):
    assert printed(COUNT, OMP_NUM_THREADS=value) == default_threads


@pytest.mark.parametrize("value", ["0", "-1", "1025", "two", "2.5", "1,2", "99999999999999999999", "²"])
def test_a_bad_upsample_num_threads_is_an_error_that_says_so(value):
    done = run_code("import upsample", UPSAMPLE_NUM_THREADS=value)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError")
    assert "UPSAMPLE_NUM_THREADS" in last
    assert repr(value) in last
    assert "1024" in last


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_the_default_number_of_threads_respects_the_cpu_affinity(default_threads):
    assert 1 <= int(default_threads) <= len(os.sched_getaffinity(0))
    pinned = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + COUNT
    assert printed(pinned) == "1"


@pytest.mark.parametrize("value", ["avx1024", "AVX2", "sse", "0", "avx2,avx512", " avx2"])
def test_a_bad_upsample_simd_is_an_error_that_says_so(value):
    done = run_code("import upsample", UPSAMPLE_SIMD=value)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError")
    assert "UPSAMPLE_SIMD" in last
    assert repr(value) in last
    assert "baseline, avx2, avx512" in last


def test_upsample_simd_caps_the_level():
    level = "from upsample._kernels.cpu import skeleton; print(skeleton.level(), *skeleton.levels())"
    best, *levels = printed(level).split()
    assert best == levels[0]
    assert printed(level, UPSAMPLE_SIMD="").split()[0] == best
    order = ("baseline", "avx2", "avx512")
    for cap in order:
        within = [name for name in levels if name not in order or order.index(name) <= order.index(cap)]
        assert printed(level, UPSAMPLE_SIMD=cap).split()[0] == within[0]


CALL = """
import numpy as np
import upsample
x = np.ones((1, 1, 2), np.float32)
print("imported", flush=True)
"""


@pytest.mark.parametrize("value", ["nope", "CPU"])
@pytest.mark.parametrize(
    "call", ["upsample.interpolate(x, size=4)", "upsample.Upsample(size=4)(x)", "upsample.plan(x.shape, x.dtype, 4)(x)"]
)
def test_an_unknown_upsample_backend_is_an_error_at_the_first_call(value, call):
    done = run_code(CALL + call, UPSAMPLE_BACKEND=value)
    assert (done.returncode, done.stdout.strip()) == (1, "imported")
    error = done.stderr[done.stderr.rindex("BackendError") :]
    assert repr(value) in error
    assert "UPSAMPLE_BACKEND" in error
    assert "cpu" in error
    assert "reference" in error


def test_upsample_backend_is_a_default_that_a_call_may_override():
    code = CALL + "print(upsample.explain(x, size=4), upsample.explain(x, size=4, backend='cpu'), sep='|')"
    first, second = printed(code, UPSAMPLE_BACKEND="reference").split("|")
    assert "- reference: runs it" in first
    assert "- cpu: runs it" in second
    named = CALL + "print(upsample.interpolate(x, size=4, backend='cpu').tolist())"
    assert printed(named, UPSAMPLE_BACKEND="nope").splitlines()[-1] == "[[[1.0, 1.0, 1.0, 1.0]]]"


def test_neither_the_environment_nor_openmp_settings_are_touched():
    code = """
import ctypes, os
before = dict(os.environ)
import numpy as np
import upsample
lib = next((line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line), None)
most = ctypes.CDLL(lib).omp_get_max_threads if lib else lambda: 0
threads = most()
upsample.set_num_threads(threads + 3)
x = np.ones((1, 1, 500, 500), np.float32)
upsample.interpolate(x, scale_factor=2)
with upsample.num_threads(threads + 5):
    upsample.interpolate(x, scale_factor=2, mode="bilinear")
print(dict(os.environ) == before and most() == threads)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    assert printed(code) == "True"


# ---- how threads wait, and when there are none -------------------------------------------------------------

needs_openmp = pytest.mark.skipif(not skeleton.has_openmp(), reason="this build has no OpenMP")
CONFIG = "import upsample\nprint(upsample._config.config()['waiting'])"


@needs_openmp
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "threads sleep after some 20 us"),
        ({"OMP_WAIT_POLICY": "active"}, "as OMP_WAIT_POLICY=active says"),
        ({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "5"}, "as OMP_WAIT_POLICY=passive says"),
        ({"OMP_WAIT_POLICY": "bogus"}, "threads sleep after some 20 us"),
        ({"OMP_WAIT_POLICY": ""}, "threads sleep after some 20 us"),
    ],
)
def test_how_threads_wait_is_the_users_choice_first(environment, said):
    assert printed(CONFIG, **environment).startswith(said)


@needs_openmp
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_runtime_that_others_loaded_is_told_and_gets_half_of_the_cpus():
    load = f"import ctypes\nctypes.CDLL({skeleton.openmp_library()!r})\n"
    assert "another package loaded it" in printed(load + CONFIG)
    number = (
        load + "import os, upsample\nprint(upsample.get_num_threads() == max(1, upsample._threads._available() // 2))"
    )
    assert printed(number) == "True"
    assert printed(load + "import upsample\nprint(upsample.get_num_threads())", UPSAMPLE_NUM_THREADS="5") == "5"


def test_a_worker_of_multiprocessing_uses_one_thread(tmp_path):
    (tmp_path / "job.py").write_text("def number():\n    import upsample\n    return upsample.get_num_threads()\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import multiprocessing, job, upsample
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(job.number))
"""
    main = tmp_path / "main.py"
    main.write_text(code)
    run = f"import runpy; runpy.run_path({str(main)!r}, run_name='__main__')"
    assert printed(run) == "1"
    assert printed(run, UPSAMPLE_NUM_THREADS="3") == "3"


CALLS = """
import numpy as np, upsample
from upsample._kernels.cpu import skeleton
x = np.random.default_rng(0).random((1, 3, 300, 300), np.float32)
with upsample.num_threads(1):
    expected = upsample.interpolate(x, scale_factor=2, mode="bilinear").tobytes()
"""


@needs_openmp
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_while_a_cpu_is_shared_calls_are_serial():
    """Two threads and a process that does nothing else, on one CPU."""
    code = (
        CALLS
        + """
import os, subprocess, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    upsample.set_num_threads(2)
    x = np.ones((1, 3, 1000, 1000), np.float32)
    for _ in range(60):
        upsample.interpolate(x, scale_factor=2, mode="bilinear")
finally:
    busy.kill()
    busy.wait()
counts = skeleton.regions()
print(counts["regions"] >= counts["crowded"] >= 1, counts["serial"] >= 1)
print(upsample._config._regions())
"""
    )
    numbers, text = printed(code).splitlines()
    assert numbers == "True True"
    assert "calls were serial" in text


@needs_openmp
def test_threads_that_the_system_does_not_give_are_done_without():
    """A thread's stack of 8 MB does not fit into the memory that is left."""
    pytest.importorskip("resource")
    code = (
        CALLS
        + """
import resource
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))
skeleton.set_thread_cost(1)
for threads in (1024, 2, 1024):
    upsample.set_num_threads(threads)
    assert upsample.interpolate(x, scale_factor=2, mode="bilinear").tobytes() == expected
print(skeleton.regions()["regions"], skeleton.regions()["refused"])
print(upsample._config._regions())
"""
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    numbers, text = printed(code).splitlines()
    regions, refused = map(int, numbers.split())
    assert regions >= 1
    assert refused >= 1
    assert "the system gives no more" in text


@needs_openmp
@pytest.mark.parametrize(
    "settings",
    [{"GOMP_SPINCOUNT": "5", "KMP_BLOCKTIME": "7"}, {"KMP_BLOCKTIME": "7"}, {"GOMP_SPINCOUNT": "5"}],
)
def test_a_setting_of_another_runtime_decides_nothing(settings):
    own = "GOMP_SPINCOUNT" if "gomp" in skeleton.openmp_library() else "KMP_BLOCKTIME"
    said = printed(CONFIG, **settings)
    assert said.startswith(f"as {own}={settings[own]} says" if own in settings else "threads sleep")


@needs_openmp
def test_much_work_is_parallel_and_little_is_not():
    code = (
        CALLS
        + """
upsample.set_num_threads(2)
small = np.zeros((1, 1, 32, 32), np.float32)
upsample.interpolate(small, scale_factor=2)
print(skeleton.regions()["regions"], "serial (small)" in upsample.explain(small, scale_factor=2))
upsample.interpolate(x, scale_factor=2, mode="bilinear")
print(skeleton.regions()["regions"], "serial (small)" in upsample.explain(x, scale_factor=2, mode="bilinear"))
large = np.zeros((1, 1, 4000, 4000), np.uint8)
print("serial (small)" in upsample.explain(large, size=10))
"""
    )
    assert printed(code) == "0 True\n1 False\nTrue"


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 7, 16])
def test_planes_are_filled_whole_for_any_number_of_threads(threads):
    plan = upsample.plan((8, 512, 7, 7), np.float32, size=1, mode="area").T
    g = np.random.default_rng(0).random((8, 512, 1, 1), np.float32)
    with upsample.num_threads(1):
        expected = plan(g)
    skeleton.set_thread_cost(1)
    try:
        with upsample.num_threads(threads):
            assert plan(g).tobytes() == expected.tobytes()
    finally:
        skeleton.set_thread_cost()


# ---- the call cache ----------------------------------------------------------------------------------------


class Name(str):
    """A string of another type, equal to what it spells."""


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    try:
        got = call(*args, **kwargs)
    except Exception as error:
        return type(error).__name__, str(error)
    return got.shape, got.tobytes()


def uncached(x: Any, arguments: dict[str, Any]) -> tuple[Any, ...]:
    """What a call gives that no earlier one could have prepared: `plan` has no cache."""
    return outcome(lambda: upsample.plan(x.shape, x.dtype, **arguments)(x))


NUMBERS: list[Any] = [
    2, 2.0, True, 1, 1.0, False, 0, (2, 2), (2.0, 2.0), (2, 2.0), (2.0, 2), (True, True), (1, 1), (1.0, 1.0), (1, True),
    [2, 2], [2.0, 2.0], (2,), (2.0,), np.float32(2), np.float64(2), np.int64(2), np.int8(1), np.True_,
    (np.int64(2), np.int64(2)), (np.float32(2), 2), (np.float64(2), np.float64(2)), np.array([2, 2]), "2", b"2", None,
    (None, None), ("2", "2"), ((2, 2), (2, 2)), float("nan"), 2 + 0j,
]  # fmt: skip
VARIED: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "size": ({"mode": "bilinear"}, NUMBERS),
    "scale_factor": ({"mode": "bilinear"}, NUMBERS),
    "align_corners": (
        {"size": 5, "mode": "bilinear"}, [None, True, False, 1, 0, 1.0, 0.0, np.True_, np.False_, "", "x"],
    ),
    "recompute_scale_factor": (
        {"scale_factor": 1.3, "mode": "bilinear"}, [None, True, False, 1, 0, 1.0, 0.0, np.True_, "", "x"],
    ),
    "antialias": ({"size": 2, "mode": "bilinear"}, [True, False, 1, 0, 1.0, 0.0, None, np.True_, "", "x"]),
    "mode": (
        {"size": 5},
        ["nearest", Name("nearest"), "bilinear", Name("bilinear"), b"nearest", None, 1, True, ["nearest"]],
    ),
    "numerics": ({"size": 5}, ["torch", Name("torch"), "exact", Name("exact"), b"torch", None, 1, ["torch"]]),
    "layout": ({"size": 5}, [None, "NCHW", Name("NCHW"), "NHWC", Name("NHWC"), b"NCHW", 0, False, ["NCHW"]]),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIED)
def test_equal_arguments_of_other_types_do_not_meet_in_the_call_cache(name):
    """Every value after every other one, on a shape that no earlier pair has used."""
    common, values = VARIED[name]
    for number, (first, second) in enumerate(itertools.product(values, repeat=2)):
        x = np.arange((number + 1) * 12, dtype=np.float32).reshape(number + 1, 1, 3, 4)
        for value in (first, second, first):
            arguments = {**common, name: value}
            expected = uncached(x, arguments)
            assert outcome(upsample.interpolate, x, **arguments) == expected, f"{first!r} then {second!r}: {arguments}"


def test_a_float_size_is_refused_after_the_equal_integer_size():
    x = np.ones((1, 1, 3, 3), np.float32)
    for good, bad in (((2, 2), (2.0, 2.0)), ((2, 2), (2, 2.0)), (2, 2.0), ((1, 1), (1.0, 1.0))):
        upsample.interpolate(x, size=good)
        for _ in range(2):
            with pytest.raises(TypeError, match="size"):
                upsample.interpolate(x, size=bad)
        upsample.interpolate(x, size=good)


def test_invalid_calls_stay_invalid_and_valid_ones_valid():
    x = np.ones((1, 1, 3, 3), np.float32)
    for _ in range(3):
        for arguments, error in (
            ({"size": 0}, RuntimeError),
            ({"size": 4, "scale_factor": 2}, ValueError),
            ({"size": 4, "mode": "nope"}, NotImplementedError),
            ({"size": (4, 4.0)}, TypeError),
            ({"size": 4, "backend": "nope"}, upsample.BackendError),
        ):
            with pytest.raises(error):
                upsample.interpolate(x, **arguments)
        assert upsample.interpolate(x, size=4).shape == (1, 1, 4, 4)


def test_a_lazily_changed_list_is_read_at_every_call():
    x, size = np.ones((1, 1, 3, 3), np.float32), [4, 4]
    assert upsample.interpolate(x, size=size).shape == (1, 1, 4, 4)
    size[1] = 7
    assert upsample.interpolate(x, size=size).shape == (1, 1, 4, 7)


def test_the_call_cache_tells_arrays_apart():
    base = np.random.default_rng(0).uniform(-9, 9, (1, 3, 4, 4)).astype(np.float32)
    variants = [
        base, base.astype(np.float64), base.astype(np.uint8), base.astype(np.int8), base.astype(">f4"),
        base.transpose(0, 1, 3, 2), base[:, ::-1], base.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
        np.broadcast_to(base[:1, :1], (1, 3, 4, 4)), np.asfortranarray(base), base.view(np.int32), base.view("S4"),
    ]  # fmt: skip
    for mode in ("nearest", "bilinear"):
        for x, y in itertools.product(variants, repeat=2):
            for z in (x, y, x):
                assert outcome(upsample.interpolate, z, size=7, mode=mode) == uncached(z, {"size": 7, "mode": mode})


def test_the_call_cache_tells_backends_apart():
    x = np.random.default_rng(0).uniform(-9, 9, (2, 3, 40, 41)).astype(np.float32)
    by_cpu = upsample.interpolate(x, scale_factor=1.7, mode="bicubic").tobytes()
    by_reference = upsample.interpolate(x, scale_factor=1.7, mode="bicubic", backend="reference").tobytes()
    assert by_cpu != by_reference
    for _ in range(2):
        with upsample.use_backend("reference"):
            assert upsample.interpolate(x, scale_factor=1.7, mode="bicubic").tobytes() == by_reference
            assert upsample.interpolate(x, scale_factor=1.7, mode="bicubic", backend="cpu").tobytes() == by_cpu
        assert upsample.interpolate(x, scale_factor=1.7, mode="bicubic").tobytes() == by_cpu


def test_the_call_cache_is_shared_by_threads_and_may_overflow():
    """More kinds of calls than any cache keeps, from eight threads, each in its own order."""
    x = np.arange(7, dtype=np.float32).reshape(1, 1, 7)
    sizes = range(1, 1500)
    expected = {m: upsample.plan(x.shape, x.dtype, size=m, mode="linear")(x).tobytes() for m in sizes}

    def work(seed: int) -> list[int]:
        order = list(sizes)
        random.Random(seed).shuffle(order)
        return [m for m in order if upsample.interpolate(x, size=m, mode="linear").tobytes() != expected[m]]

    assert at_once([lambda seed=seed: work(seed) for seed in range(8)]) == [[]] * 8
