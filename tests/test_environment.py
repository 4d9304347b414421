"""What is read from the environment and from packages' metadata, judged in this process."""

from __future__ import annotations

import builtins
import io
from typing import Any

import numpy as np
import pytest

import upsample
from upsample import _threads
from upsample._kernels.cpu import skeleton

backends = __import__("importlib").import_module("upsample.backends")
cpu = __import__("importlib").import_module("upsample.backends.cpu")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"UPSAMPLE_NUM_THREADS": "3"}, 3),
        ({"UPSAMPLE_NUM_THREADS": " 7 ", "OMP_NUM_THREADS": "2"}, 7),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
    ],
)
def test_threads_come_from_the_environment(environ: dict[str, str], expected: int) -> None:
    assert _threads.initial(environ) == expected


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "100000", "²"])
def test_bad_thread_counts_are_errors_that_say_so(value: str) -> None:
    with pytest.raises(ValueError, match="UPSAMPLE_NUM_THREADS"):
        _threads.initial({"UPSAMPLE_NUM_THREADS": value})


@pytest.mark.parametrize("value", ["", "0", "lots", "²", "-3"])
def test_nonsense_of_others_gives_what_the_machine_has(value: str) -> None:
    assert _threads.initial({"OMP_NUM_THREADS": value}) is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_limits_threads(
    files: dict[str, str], expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(path: str, *rest: Any) -> Any:
        name = path.rpartition("/")[2]
        if name in files:
            return io.StringIO(files[name])
        raise FileNotFoundError(path)

    monkeypatch.setattr(builtins, "open", fake)
    assert _threads._cgroup_limit() == expected


def test_the_level_is_capped_by_name() -> None:
    before = skeleton.level()
    cpu._cap_level("baseline")
    assert skeleton.level() == skeleton.levels()[-1]
    cpu._cap_level(None)
    assert skeleton.level() == skeleton.levels()[-1]
    skeleton.set_level(before)
    with pytest.raises(ValueError, match=r"UPSAMPLE_SIMD must be one of .*, got 'sse'"):
        cpu._cap_level("sse")


def test_the_pools_limit_is_a_number_of_bytes() -> None:
    assert cpu._pool_limit("1048576") == 2**20
    assert cpu._pool_limit("") is None
    with pytest.raises(ValueError, match="UPSAMPLE_POOL must be a number of bytes"):
        cpu._pool_limit("1GB")


class Point:
    """An entry point as the metadata gives it."""

    def __init__(self, name: str, made: Any) -> None:
        self.name, self.value, self.made = name, f"somewhere:{name}", made

    def load(self) -> Any:
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


class Plugin:
    def __init__(self, name: str = "plugged_class") -> None:
        self.name = name

    def prepare(self, plan: Any, like: Any) -> Any:
        return "it never runs"


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = [
        Point("plugged_object", Plugin("plugged_object")),
        Point("plugged_class", Plugin),
        Point("plugged_wrong", Plugin("another_name")),
        Point("plugged_broken", OSError("no such library")),
    ]
    monkeypatch.setattr(backends, "_entry_points", lambda: found)
    monkeypatch.setattr(backends, "_registered", dict(backends._registered))
    monkeypatch.setattr(backends, "_failed", {})
    return found


def test_plugins_are_loaded_when_named(points: Any) -> None:
    assert backends.find("plugged_object") is points[0].made
    assert isinstance(backends.find("plugged_class"), Plugin)
    assert "plugged_broken" in upsample.backends()
    x = np.zeros((1, 1, 4), np.float32)
    with pytest.raises(upsample.BackendError, match="it never runs") as info:
        upsample.interpolate(x, size=8, backend="plugged_object")
    assert "would run it; name it with backend=" in str(info.value)


@pytest.mark.parametrize(("name", "reason"), [("plugged_wrong", "another_name"), ("plugged_broken", "no such library")])
def test_a_plugin_that_fails_is_reported_once_and_its_error_kept(points: Any, name: str, reason: str) -> None:
    with pytest.warns(RuntimeWarning, match=reason), pytest.raises(upsample.BackendError, match=reason):
        backends.find(name)
    with pytest.raises(upsample.BackendError, match=reason):
        backends.find(name)
    assert reason in upsample.explain(np.zeros((1, 1, 4), np.float32), size=8)


def test_an_unknown_default_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_default", "nope")
    with pytest.raises(upsample.BackendError, match="UPSAMPLE_BACKEND"):
        upsample.interpolate(np.zeros((1, 1, 4), np.float32), size=8)
    with upsample.use_backend("reference"):
        assert upsample.interpolate(np.zeros((1, 1, 4), np.float32), size=8).shape == (1, 1, 8)


def test_a_backend_must_return_a_kernel_or_a_reason(points: Any) -> None:
    points[0].made.prepare = lambda plan, like: 7
    with pytest.raises(TypeError, match="must return a callable or a reason, got int"):
        upsample.interpolate(np.zeros((1, 1, 4), np.float32), size=8, backend="plugged_object")


def test_the_configuration_tells_a_pool_that_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    limit = skeleton.pool_info()["limit"]
    skeleton.set_pool_limit(0)
    upsample.show_config()
    skeleton.set_pool_limit(limit)
    assert "off" in capsys.readouterr().out


def test_levels_of_other_processors_are_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("baseline", "avx2", "avx512") if "baseline" in skeleton.levels() else ("neon",)
    other = "neon" if "baseline" in names else "avx2"
    with pytest.raises(ValueError, match=f"UPSAMPLE_SIMD must be one of {', '.join(names)} on this processor, got"):
        cpu._cap_level(other)
    monkeypatch.setattr(cpu.skeleton, "levels", lambda: ("neon",), raising=False)
    assert cpu._level_names() == ("neon",)
    monkeypatch.setattr(cpu.skeleton, "levels", lambda: ("baseline",), raising=False)
    monkeypatch.setattr(cpu.platform, "machine", lambda: "ppc64le")
    assert cpu._level_names() == ("baseline",)


@pytest.mark.parametrize("value", ["18446744073709551615", "-1", "1e9", "9" * 5000, "²"])
def test_the_pools_limit_names_its_range(value: str) -> None:
    with pytest.raises(
        ValueError, match=r"UPSAMPLE_POOL must be a number of bytes from 0 \(off\) to 9223372036854775807"
    ):
        cpu._pool_limit(value)


def test_the_pools_limit_may_have_spaces_around_it() -> None:
    assert cpu._pool_limit(" 5 ") == 5
    assert cpu._pool_limit(" ") is None


def test_the_configuration_tells_a_small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    from upsample import _config

    state = {"kept": 0, "limit": 1, "blocks": 0, "hits": 0, "misses": 0}
    monkeypatch.setattr(_config, "skeleton", type("Fake", (), {"pool_info": staticmethod(lambda: state)}))
    assert _config._pool() == "0 MiB of 1 B kept in 0 blocks"
    state.update(kept=5 << 20, limit=512 << 20, blocks=1)
    assert _config._pool() == "5 MiB of 512 MiB kept in 1 blocks"


def test_the_configuration_warns_of_a_backend_that_there_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backends, "_default", "nope")
    upsample.show_config()
    assert "nope (there is none of that name: calls will fail)" in capsys.readouterr().out


@pytest.mark.parametrize("shape", [(1, 3, True, 8), (True, 1, 8), (1, 1, 8.0)])
def test_true_is_no_size_in_a_shape(shape: Any) -> None:
    for given in (shape, iter(shape)):
        with pytest.raises(TypeError, match="input_shape must be a sequence of ints"):
            upsample.plan(given, np.float32, size=8)


def test_a_shape_may_be_an_iterator() -> None:
    assert upsample.plan(iter((1, 1, 8)), np.float32, size=4).shape == (1, 1, 8)
