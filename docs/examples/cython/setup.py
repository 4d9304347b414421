from Cython.Build import cythonize
from setuptools import Extension, setup

import upsample

extension = Extension(
    "upsample_in_prange.stack",
    ["src/upsample_in_prange/stack.pyx"],
    include_dirs=[upsample.get_include()],
    extra_compile_args=["-fopenmp"],
    extra_link_args=["-fopenmp"],
)
setup(ext_modules=cythonize([extension]))
