"""What do more threads bring?"""

import os

import grid

import upsample


class Threads:
    params = (
        [
            "f32-NCHW-8x64x64x64-x2-bilinear",
            "f32-NCHW-1x3x1080x1920-x2-bicubic",
            "f32-NHWC-1x128x128x64-x2-bilinear",
            "u8-HWC-1080x1920x3-x0.5-bilinear-aa",
            "f32-NCDHW-1x1x128x128x128-x2-trilinear",
        ],
        [1, 2, 4, 8, 16],
    )
    param_names = ("cell", "threads")

    def setup(self, name, threads):
        if threads > (os.cpu_count() or 1):
            raise NotImplementedError(f"this machine has no {threads} CPUs")
        cell = grid.BY_NAME[name]
        self.x, self.keywords = cell.data(), cell.keywords()
        upsample.set_num_threads(threads)
        self.out = upsample.interpolate(self.x, **self.keywords)

    def time_out(self, name, threads):
        upsample.interpolate(self.x, **self.keywords, out=self.out)
