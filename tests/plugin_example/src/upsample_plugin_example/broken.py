"""A backend whose import fails, as one does whose own dependency is missing."""

raise ImportError("libfancy.so: cannot open shared object file")
