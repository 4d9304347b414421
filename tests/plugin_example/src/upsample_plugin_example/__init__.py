"""A backend for `upsample` that lives in a package of its own; see `matrix`.

Nothing is imported here: whoever asks for one backend need not have what another one needs.
"""
