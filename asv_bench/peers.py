"""The libraries that we are timed beside: one small adapter each.

In: a `Cell`, its data, a number of threads.  Out: a `Contender` (calls that do the cell's work, and nothing
else: wrapping arrays, building models and permuting views is done before), or the reason why the library
cannot.  An adapter picks what its library does fastest, as a user who knows it well would; whether the
answer means the same as ours is not its business: `compare.py` looks at the numbers.

A library is imported when its adapter is made, so that none is loaded that is not asked for.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from grid import Cell

Array = np.ndarray[Any, Any]

# What the pure-Python-speed peers are spared: more would take seconds a call and win nothing.
SLOW_LIMIT = 2**20


def _as_it_is(result: Any) -> Any:
    return result


@dataclass(frozen=True, slots=True)
class Contender:
    """One library's way to do one cell."""

    fresh: Callable[[], Any]
    """Does the work into memory that the library gets for this call."""
    reuse: Callable[[], Any] | None = None
    """Does the work into `memory`; None where the library has no way to."""
    memory: Any = None
    """What `reuse` fills, in the form that `fresh` returns."""
    array: Callable[[Any], Any] = _as_it_is
    """From what `fresh` returns to an array in the cell's layout; not timed."""


class Peer:
    """An adapter; making one imports its library, or raises ImportError."""

    name: ClassVar[str]
    """What the table says."""
    packages: ClassVar[tuple[str, ...]]
    """The distributions that it may come from."""
    gradients: ClassVar[bool] = False
    """Whether it does cells that go backward."""

    def set_threads(self, n: int) -> None:
        """For the libraries whose number of threads is the process's; others get it with each cell."""

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        """A way to do the cell, or why there is none; what the library raises counts as a reason, too."""
        raise NotImplementedError


def planes(cell: Cell, x: Array) -> Iterator[Array]:
    """The spatial parts of an array (one for every other index), as views."""
    others = [a for a in range(x.ndim) if a not in cell.spatial]
    for index in np.ndindex(*(x.shape[a] for a in others)):
        at: list[Any] = [slice(None)] * x.ndim
        for axis, i in zip(others, index, strict=True):
            at[axis] = i
        yield x[tuple(at)]


class Torch(Peer):
    """``torch.nn.functional.interpolate`` on views of the arrays; channels-last cells in that memory format."""

    name = "torch"
    packages = ("torch",)
    gradients = True

    # For writing into a given tensor there is only the operator itself; for a backward pass it is the fastest way.
    OPERATORS: ClassVar = {
        "nearest": "upsample_nearest{}d",
        "nearest-exact": "_upsample_nearest_exact{}d",
        "linear": "upsample_linear1d",
        "bilinear": "upsample_bilinear2d",
        "trilinear": "upsample_trilinear3d",
        "bicubic": "upsample_bicubic2d",
        "area": "adaptive_avg_pool{}d",
    }

    def __init__(self) -> None:
        import torch

        self.torch = torch
        torch.set_grad_enabled(False)

    def set_threads(self, n: int) -> None:
        self.torch.set_num_threads(n)

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        words = {k: v for k, v in cell.keywords().items() if k != "layout"}
        tensor = self._tensor(cell, x)
        if cell.backward:
            return self._backward(cell, tensor, words)
        fresh = partial(self.torch.nn.functional.interpolate, tensor, **words)
        memory = fresh()
        return Contender(fresh, self._into(cell, tensor, memory), memory, partial(self._array, cell))

    def _backward(self, cell: Cell, gradient: Any, words: dict[str, Any]) -> Contender:
        """The backward pass alone: its operator; where there is none autograd, with the graph made before and kept."""
        leaf = self._tensor(cell, np.zeros(cell.shape, cell.numpy_dtype))
        if cell.mode == "area":
            operator = getattr(self.torch.ops.aten, f"_{self._operator(cell)}_backward", None)
            if operator is not None:  # up to three times as fast as autograd, which takes another way for one output
                return Contender(partial(operator.default, gradient, leaf), array=partial(self._array, cell))
        operator = getattr(self.torch.ops.aten, self._operator(cell) + "_backward", None)
        if operator is not None and cell.mode != "area":
            arguments = (gradient, cell.out_sizes, list(leaf.shape), *self._rest(cell))
            fresh = partial(operator.default, *arguments)
            memory = fresh()
            reuse = None
            if "grad_input" in operator.overloads():
                reuse = partial(operator.grad_input, *arguments, grad_input=memory)
            return Contender(fresh, reuse, memory, partial(self._array, cell))
        leaf.requires_grad_()
        with self.torch.enable_grad():
            made = self.torch.nn.functional.interpolate(leaf, **words)
        call = partial(self.torch.autograd.grad, made, leaf, gradient, retain_graph=True)
        return Contender(call, array=lambda found: self._array(cell, found[0]))

    def _tensor(self, cell: Cell, x: Array) -> Any:
        if cell.dtype == "bfloat16":
            tensor = self.torch.from_numpy(x.view(np.int16)).view(self.torch.bfloat16)
        else:
            tensor = self.torch.from_numpy(x)
        if "C" not in cell.layout:
            tensor = tensor[None]
        elif cell.channels_last:
            tensor = tensor.movedim(-1, -1 - len(cell.spatial))
        return tensor if "N" in cell.layout else tensor[None]

    def _array(self, cell: Cell, result: Any) -> Any:
        if "N" not in cell.layout:
            result = result[0]
        if "C" not in cell.layout:
            result = result[0]
        elif cell.channels_last:
            result = result.movedim(-1 - len(cell.spatial), -1)
        if cell.dtype == "bfloat16":
            return result.view(self.torch.int16).numpy().view(cell.numpy_dtype)
        return result.numpy()

    def _into(self, cell: Cell, tensor: Any, memory: Any) -> Callable[[], Any] | None:
        operator = getattr(self.torch.ops.aten, self._operator(cell), None)
        if operator is None or "out" not in operator.overloads():
            return None
        return partial(operator.out, tensor, cell.out_sizes, *self._rest(cell), out=memory)

    def _operator(self, cell: Cell) -> str:
        name = f"_upsample_{cell.mode}2d_aa" if cell.antialias else self.OPERATORS[cell.mode]
        return name.format(len(cell.spatial))

    def _rest(self, cell: Cell) -> list[Any]:
        """An operator's arguments after the sizes."""
        more: list[Any] = []
        if cell.method in ("linear", "cubic", "lanczos"):
            more.append(bool(cell.align_corners))
        if cell.mode != "area":
            more += [cell.scale] * len(cell.spatial)
        return more


class OpenCV(Peer):
    """``cv2.resize`` on whole channels-last images, or plane by plane; a 1-D cell is one image, stretched along W."""

    name = "opencv"
    packages = ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")

    FILTERS: ClassVar = {
        "nearest": "INTER_NEAREST",
        "nearest-exact": "INTER_NEAREST_EXACT",
        "linear": "INTER_LINEAR",
        "cubic": "INTER_CUBIC",
        "area": "INTER_AREA",
        "lanczos": "INTER_LANCZOS4",
    }

    def __init__(self) -> None:
        import cv2

        self.cv2 = cv2

    def set_threads(self, n: int) -> None:
        # For OpenCV, 0 stands for no threads at all.
        self.cv2.setNumThreads(n if n > 1 else 0)

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        if len(cell.spatial) == 3:
            return "no volumes"
        if cell.align_corners:
            return "no aligned corners"
        if cell.dtype == "bfloat16":
            return "no bfloat16 arrays"
        # Its only filter that antialiases, and what its manual advises for reducing.
        name = "INTER_AREA" if cell.antialias and cell.reduces else self.FILTERS[cell.method]
        flag = getattr(self.cv2, name)
        if len(cell.spatial) == 1:
            height, width = x.size // x.shape[-1], cell.out_sizes[0]
        else:
            height, width = cell.out_sizes
        channels = cell.shape[-1:] if cell.channels_last else ()
        images = x.reshape(-1, *((height, x.shape[-1]) if len(cell.spatial) == 1 else cell.sizes), *channels)
        memory = np.empty(cell.out_shape, cell.numpy_dtype)

        def into(out: Array) -> Array:
            resize, size = self.cv2.resize, (width, height)
            for image, made in zip(images, out.reshape(-1, height, width, *channels), strict=True):
                resize(image, size, made, 0, 0, flag)
            return out

        reuse: Callable[[], Any]
        if len(images) == 1:
            size, made = (width, height), memory.reshape(height, width, *channels)
            fresh: Callable[[], Any] = partial(self.cv2.resize, images[0], size, interpolation=flag)
            reuse = partial(self.cv2.resize, images[0], size, made, 0, 0, flag)
        else:
            fresh = lambda: into(np.empty(cell.out_shape, cell.numpy_dtype))  # noqa: E731
            reuse = partial(into, memory)
        return Contender(fresh, reuse, memory, lambda result: result.reshape(cell.out_shape))


class Pillow(Peer):
    """``Image.resize`` from image to image (so without the copies from and to arrays); one thread by nature."""

    name = "pillow"
    packages = ("pillow",)

    FILTERS: ClassVar = {
        "nearest": "NEAREST",
        "nearest-exact": "NEAREST",
        "linear": "BILINEAR",
        "cubic": "BICUBIC",
        "area": "BOX",
        "lanczos": "LANCZOS",
    }

    def __init__(self) -> None:
        import PIL.Image

        self.module = PIL.Image

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        if len(cell.spatial) != 2:
            return "images only"
        if cell.align_corners:
            return "no aligned corners"
        if cell.dtype not in ("uint8", "uint16", "float32"):
            return f"no images of {cell.dtype}"
        if cell.reduces and not cell.antialias and cell.method in ("linear", "cubic"):
            return "always antialiases when it reduces"
        together = cell.layout == "HWC" and cell.dtype == "uint8" and cell.shape[-1] in (3, 4)
        images = [self.module.fromarray(np.ascontiguousarray(p)) for p in ([x] if together else planes(cell, x))]
        height, width = cell.out_sizes
        how = self.module.Resampling[self.FILTERS[cell.method]]
        if len(images) == 1:
            fresh: Callable[[], Any] = partial(images[0].resize, (width, height), how)
        else:
            calls = [partial(image.resize, (width, height), how) for image in images]
            fresh = lambda: [call() for call in calls]  # noqa: E731

        def array(result: Any) -> Array:
            if together:
                return np.asarray(result)
            made = np.empty(cell.out_shape, cell.numpy_dtype)
            for image, plane in zip(result if len(images) > 1 else [result], planes(cell, made), strict=True):
                plane[...] = np.asarray(image)
            return made

        return Contender(fresh, array=array)


class OnnxRuntime(Peer):
    """A model of one Resize node; `run` for fresh outputs, an I/O binding for given ones."""

    name = "ort"
    packages = ("onnxruntime",)

    def __init__(self) -> None:
        import onnx
        import onnxruntime

        self.onnx, self.ort = onnx, onnxruntime

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        if cell.mode == "area":
            return "no area mode"
        if cell.method == "lanczos":
            return "no lanczos"
        if cell.dtype == "bfloat16":
            return "no bfloat16 arrays"
        # Views and detours that ONNX Runtime 1.32 is faster with: signals as flat images (2x), nearest volumes
        # without a channel axis (15x), few channels by planes (1.1-4x, but 2-6x slower with 64 channels).
        before = math.prod(cell.shape[: cell.spatial[0]])
        after = cell.shape[-1:] if cell.channels_last else ()
        alone = bool(after) or (cell.method == "nearest" and len(cell.sizes) == 3)
        lead: tuple[int, ...] = (before,) if alone else (1, before)
        if len(cell.sizes) == 1:
            lead += (1,)
        by_planes = cell.channels_last and cell.shape[-1] <= 4 and cell.method != "cubic"
        shape, out_shape = (*lead, *cell.sizes, *after), (*lead, *cell.out_sizes, *after)
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        if by_planes:  # or the optimizer would take the transpositions out again
            options.graph_optimization_level = self.ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = self._model(cell, shape, out_shape, by_planes)
        session = self.ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        memory = np.empty(out_shape, x.dtype)
        binding = session.io_binding()
        binding.bind_cpu_input("x", x.reshape(shape))
        binding.bind_output("y", "cpu", 0, x.dtype, out_shape, memory.ctypes.data)
        return Contender(
            partial(session.run, ["y"], {"x": x.reshape(shape)}),
            partial(session.run_with_iobinding, binding),
            [memory],
            lambda result: result[0].reshape(cell.out_shape),
        )

    def _model(self, cell: Cell, shape: tuple[int, ...], out_shape: tuple[int, ...], by_planes: bool) -> bytes:
        helper = self.onnx.helper
        kind = helper.np_dtype_to_tensor_dtype(cell.numpy_dtype)
        attributes: dict[str, Any] = {
            "mode": {"nearest-exact": "nearest"}.get(cell.method, cell.method),
            "coordinate_transformation_mode": "align_corners" if cell.align_corners else "half_pixel",
        }
        if cell.method == "nearest":
            attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        elif cell.method == "nearest-exact":
            attributes |= {"nearest_mode": "round_prefer_ceil"}
        elif cell.method == "cubic":
            attributes |= {"cubic_coeff_a": -0.5 if cell.antialias else -0.75}
        if cell.antialias:
            attributes |= {"antialias": 1, "exclude_outside": 1}
        rank, last = len(shape), cell.channels_last
        if cell.size is not None:
            to = np.array(out_shape, np.int64)
        else:
            ones = rank - len(cell.sizes) - last
            to = np.array([1.0] * ones + [cell.scale] * len(cell.sizes) + [1.0] * last, np.float32)
        given = ["", "to"] if cell.size is None else ["", "", "to"]
        if by_planes:
            inward, outward = [0, rank - 1, *range(1, rank - 1)], [0, *range(2, rank), 1]
            to = to[inward]
            nodes = [
                helper.make_node("Transpose", ["x"], ["planes"], perm=inward),
                helper.make_node("Resize", ["planes", *given], ["resized"], **attributes),
                helper.make_node("Transpose", ["resized"], ["y"], perm=outward),
            ]
        else:
            nodes = [helper.make_node("Resize", ["x", *given], ["y"], **attributes)]
        graph = helper.make_graph(
            nodes,
            "resize",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", kind, out_shape)],
            [self.onnx.numpy_helper.from_array(to, "to")],
        )
        # The newest format is not needed, and an older runtime would refuse it.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
        return model.SerializeToString()


class OpenVINO(Peer):
    """A model of one Interpolate-11 node on the CPU device."""

    name = "openvino"
    packages = ("openvino",)

    def __init__(self) -> None:
        import openvino
        import openvino.opset11

        self.ov, self.ops = openvino, openvino.opset11
        self.core = openvino.Core()

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        if cell.mode == "area":
            return "no area mode"
        if cell.method == "lanczos":
            return "no lanczos"
        if cell.dtype == "bfloat16":
            return "no bfloat16 arrays"
        rank = len(cell.spatial)
        if cell.channels_last:
            shape = (math.prod(cell.shape[: cell.spatial[0]]), *cell.sizes, cell.shape[-1])
            out_shape = (shape[0], *cell.out_sizes, shape[-1])
        else:
            # N and C as channels: three times faster than N images on OpenVINO 2026.4.
            shape = (1, math.prod(cell.shape[: cell.spatial[0]]), *cell.sizes)
            out_shape = (*shape[:2], *cell.out_sizes)
        compiled = self.core.compile_model(
            self._model(cell, shape, rank),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                # Or it may compute float32 in bfloat16 where the CPU has matrix units for that.
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        source = self.ov.Tensor(x.reshape(shape), shared_memory=True)
        memory = np.empty(out_shape, x.dtype)
        into = compiled.create_infer_request()
        into.set_input_tensor(source)
        into.set_output_tensor(self.ov.Tensor(memory, shared_memory=True))
        request = compiled.create_infer_request()
        request.set_input_tensor(source)

        def fresh() -> Array:
            # Faster than the copy that a plain call makes of the request's own output.
            made = np.empty(out_shape, x.dtype)
            request.set_output_tensor(self.ov.Tensor(made, shared_memory=True))
            request.infer(share_outputs=True)
            return made

        return Contender(
            fresh, partial(into.infer, share_outputs=True), memory, lambda result: result.reshape(cell.out_shape)
        )

    def _model(self, cell: Cell, shape: tuple[int, ...], rank: int) -> Any:
        words: dict[str, Any] = {
            "coordinate_transformation_mode": "align_corners" if cell.align_corners else "half_pixel"
        }
        # linear_onnx is its fast one; the Pillow modes are its antialiased ones that agree with Pillow.
        mode = {"linear": "linear_onnx", "nearest-exact": "nearest"}.get(cell.method, cell.method)
        if cell.antialias:
            mode = {"linear": "bilinear_pillow", "cubic": "bicubic_pillow"}[cell.method]
        if cell.method == "nearest":
            words |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        elif cell.method == "nearest-exact":
            words |= {"nearest_mode": "round_prefer_ceil"}
        elif cell.method == "cubic":
            words |= {"cube_coeff": -0.5 if cell.antialias else -0.75}
        if cell.size is not None:
            to, how = np.array(cell.size, np.int64), "sizes"
        else:
            to, how = np.array([cell.scale] * rank, np.float32), "scales"
        given = self.ops.parameter(list(shape), cell.numpy_dtype)
        node: Any = given
        # Inside, it works on channels-last data anyhow and elides these.
        if cell.channels_last:
            node = self.ops.transpose(node, np.array([0, rank + 1, *range(1, rank + 1)]))
        axes = np.arange(2, 2 + rank, dtype=np.int64)
        node = self.ops.interpolate(node, to, mode, how, axes=axes, **words)
        if cell.channels_last:
            node = self.ops.transpose(node, np.array([0, *range(2, rank + 2), 1]))
        return self.ov.Model([node], [given])


class SciPy(Peer):
    """``scipy.ndimage.zoom`` plane by plane; one thread."""

    name = "scipy"
    packages = ("scipy",)

    def __init__(self) -> None:
        import scipy.ndimage

        self.zoom = scipy.ndimage.zoom

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        refusal = _slow(cell)
        if refusal:
            return refusal
        if cell.antialias or cell.method not in ("nearest", "nearest-exact", "linear", "cubic"):
            return "splines only"
        if cell.dtype in ("float16", "bfloat16"):
            return f"no {cell.dtype} arrays"
        order = {"linear": 1, "cubic": 3}.get(cell.method, 0)
        factors = [m / n for n, m in zip(cell.sizes, cell.out_sizes, strict=True)]
        words: dict[str, Any] = {"order": order, "mode": "nearest", "grid_mode": not cell.align_corners}
        pieces = list(planes(cell, x))

        def into(out: Array) -> Array:
            for piece, made in zip(pieces, planes(cell, out), strict=True):
                self.zoom(piece, factors, output=made, **words)
            return out

        memory = np.empty(cell.out_shape, x.dtype)
        return Contender(lambda: into(np.empty(cell.out_shape, x.dtype)), partial(into, memory), memory)


class ScikitImage(Peer):
    """``skimage.transform.resize`` of images; ``downscale_local_mean`` for area by a whole factor; one thread."""

    name = "skimage"
    packages = ("scikit-image",)

    def __init__(self) -> None:
        import skimage.transform

        self.transform = skimage.transform

    def prepare(self, cell: Cell, x: Array, threads: int) -> Contender | str:
        refusal = _slow(cell)
        if refusal:
            return refusal
        if cell.dtype not in ("float32", "float64"):
            return "answers in floating point"
        if cell.align_corners:
            return "no aligned corners"
        if cell.method == "lanczos":
            return "no lanczos"
        if cell.method == "area":
            steps = [n // m for n, m in zip(cell.sizes, cell.out_sizes, strict=True)]
            if not all(m * s == n for n, m, s in zip(cell.sizes, cell.out_sizes, steps, strict=True)):
                return "area by whole factors only"
            factors = [1] * x.ndim
            for axis, step in zip(cell.spatial, steps, strict=True):
                factors[axis] = step
            return Contender(partial(self.transform.downscale_local_mean, x, tuple(factors)))
        order = {"linear": 1, "cubic": 3}.get(cell.method, 0)
        resize = partial(
            self.transform.resize,
            output_shape=cell.out_sizes,
            order=order,
            mode="edge",
            anti_aliasing=cell.antialias,
            preserve_range=True,
        )
        if cell.layout in ("HW", "HWC"):
            return Contender(partial(resize, x))
        pieces = list(planes(cell, x))

        def fresh() -> Array:
            made = np.empty(cell.out_shape, x.dtype)
            for piece, part in zip(pieces, planes(cell, made), strict=True):
                part[...] = resize(piece)
            return made

        return Contender(fresh)


def _slow(cell: Cell) -> str | None:
    if math.prod(cell.out_shape) > SLOW_LIMIT:
        return f"too slow beyond {SLOW_LIMIT} outputs"
    return None


PEERS: dict[str, type[Peer]] = {
    peer.name: peer for peer in (Torch, OpenCV, Pillow, OnnxRuntime, OpenVINO, SciPy, ScikitImage)
}


def load(names: Sequence[str]) -> tuple[list[Peer], dict[str, str]]:
    """The adapters of those `names` that are installed, and for each other one why it is not there."""
    loaded: list[Peer] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            loaded.append(PEERS[name]())
        except ImportError as error:
            missing[name] = str(error)
    return loaded, missing


def version(peer: Peer) -> str:
    """The version of the installed distribution."""
    for package in peer.packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
