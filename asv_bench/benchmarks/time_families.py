"""How long do the cells take that networks hold, on one thread? Two classes per family of `grid.py`."""

import grid

from .time_grid import _Cells, _Gradients


class Planes(_Cells):
    params = (grid.family_names("planes"),)


class Volumes(_Cells):
    params = (grid.family_names("volumes"),)


class Means(_Cells):
    params = (grid.family_names("means"),)


class Narrow(_Cells):
    params = (grid.family_names("narrow"),)


class Pyramids(_Cells):
    params = (grid.family_names("pyramids"),)


class PlanesBackward(_Gradients):
    params = (grid.family_names("planes", backward=True),)


class VolumesBackward(_Gradients):
    params = (grid.family_names("volumes", backward=True),)


class MeansBackward(_Gradients):
    params = (grid.family_names("means", backward=True),)


class NarrowBackward(_Gradients):
    params = (grid.family_names("narrow", backward=True),)


class PyramidsBackward(_Gradients):
    params = (grid.family_names("pyramids", backward=True),)
