"""How long does each cell of the grid take on one thread? A class per kind of filter."""

import grid

import upsample


class _Cells:
    param_names = ("cell",)
    timeout = 60

    def setup(self, name):
        cell = grid.BY_NAME[name]
        try:
            self.x = cell.data()
        except ModuleNotFoundError as error:  # bfloat16 needs ml_dtypes
            raise NotImplementedError(str(error)) from error
        self.keywords = cell.keywords()
        upsample.set_num_threads(1)
        self.out = upsample.interpolate(self.x, **self.keywords)

    def time_fresh(self, name):
        upsample.interpolate(self.x, **self.keywords)

    def time_out(self, name):
        upsample.interpolate(self.x, **self.keywords, out=self.out)


class _Gradients(_Cells):
    def setup(self, name):
        cell = grid.BY_NAME[name]
        self.x, self.keywords = cell.data(), {"input_shape": cell.shape, **cell.keywords()}
        upsample.set_num_threads(1)
        self.out = upsample.interpolate_backward(self.x, **self.keywords)

    def time_fresh(self, name):
        upsample.interpolate_backward(self.x, **self.keywords)

    def time_out(self, name):
        upsample.interpolate_backward(self.x, **self.keywords, out=self.out)


class Nearest(_Cells):
    params = (grid.names("nearest", "nearest-exact"),)


class Linear(_Cells):
    params = (grid.names("linear", antialias=False),)


class Cubic(_Cells):
    params = (grid.names("cubic", antialias=False),)


class Area(_Cells):
    params = (grid.names("area"),)


class Antialias(_Cells):
    params = (grid.names(antialias=True),)


class NearestBackward(_Gradients):
    params = (grid.names("nearest", "nearest-exact", backward=True),)


class LinearBackward(_Gradients):
    params = (grid.names("linear", antialias=False, backward=True),)


class CubicBackward(_Gradients):
    params = (grid.names("cubic", antialias=False, backward=True),)


class AreaBackward(_Gradients):
    params = (grid.names("area", backward=True),)


class AntialiasBackward(_Gradients):
    params = (grid.names(antialias=True, backward=True),)
