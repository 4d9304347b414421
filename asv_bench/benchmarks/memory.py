"""How much memory does a call take at its peak? Beyond input and output there should be next to nothing."""

import grid
import numpy as np

import upsample


class PeakMemory:
    """Of the process: what `peakmem_fresh` shows above `peakmem_arrays_alone` is scratch memory and tables."""

    params = (
        [
            "f32-NCHW-1x3x1080x1920-x2-nearest",
            "f32-NCHW-1x3x1080x1920-x2-bicubic",
            "f32-NCHW-1x3x1080x1920-x0.5-bicubic-aa",
            "u8-HWC-1080x1920x3-x2-bicubic",
            "u8-HWC-1080x1920x3-x0.5-lanczos-aa",
            "f32-NCDHW-1x1x128x128x128-x2-trilinear",
        ],
    )
    param_names = ("cell",)

    def setup(self, name):
        self.cell = grid.BY_NAME[name]
        self.x, self.keywords = self.cell.data(), self.cell.keywords()

    def peakmem_arrays_alone(self, name):
        # Ones, since zeros would never be given pages.
        np.ones(self.cell.out_shape, self.cell.numpy_dtype)

    def peakmem_fresh(self, name):
        upsample.interpolate(self.x, **self.keywords)

    def peakmem_out(self, name):
        upsample.interpolate(self.x, **self.keywords, out=np.ones(self.cell.out_shape, self.cell.numpy_dtype))
