"""What does a call cost when there is hardly anything to do?"""

import grid
import numpy as np

import upsample

TINY = [cell.name for cell in grid.GRID if max(cell.sizes) <= 16]


class SmallCalls:
    """Calls seen before, the four ways to make them."""

    params = (TINY,)
    param_names = ("cell",)

    def setup(self, name):
        cell = grid.BY_NAME[name]
        self.x, self.keywords = cell.data(), cell.keywords()
        self.plan = upsample.plan(cell.shape, cell.numpy_dtype, **self.keywords)
        self.out = self.plan(self.x)
        # So that a single quick run finds nothing left to be done once.
        self.time_interpolate_out(name)
        self.time_plan_out(name)

    def time_interpolate(self, name):
        upsample.interpolate(self.x, **self.keywords)

    def time_interpolate_out(self, name):
        upsample.interpolate(self.x, **self.keywords, out=self.out)

    def time_plan(self, name):
        self.plan(self.x)

    def time_plan_out(self, name):
        self.plan(self.x, self.out)


class ModuleCalls:
    """The same through `Upsample`."""

    def setup(self):
        self.x = np.random.default_rng(7).random((1, 3, 16, 16), dtype=np.float32)
        self.double = upsample.Upsample(scale_factor=2, mode="bilinear")
        self.double(self.x)

    def time_upsample(self):
        self.double(self.x)


class NewCalls:
    """What the first call of a kind pays on top: working out the plan, and the tables of its kernel."""

    params = ([name for name in grid.names() if name.startswith("f32-NCHW-1x3x1080x1920-x2-")],)
    param_names = ("cell",)

    def setup(self, name):
        self.cell = grid.BY_NAME[name]
        self.x = np.ascontiguousarray(self.cell.data()[:, :, :1])
        self.keywords = self.cell.keywords()

    def time_plan(self, name):
        upsample.plan(self.cell.shape, self.cell.numpy_dtype, **self.keywords)

    def time_plan_and_first_row(self, name):
        upsample.plan(self.x.shape, self.x.dtype, **self.keywords)(self.x)
