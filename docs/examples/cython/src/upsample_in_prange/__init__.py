"""A stack of images, each enlarged by the thread that gets it."""

from .stack import enlarge_stack

__all__ = ["enlarge_stack"]
