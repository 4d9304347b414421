"""How long does `import upsample` take in a new interpreter?"""


class Import:
    def timeraw_upsample(self):
        return "import upsample"

    def timeraw_upsample_beside_numpy(self):
        """What it takes where NumPy is imported already, as it will be."""
        return "import upsample", "import numpy"

    def timeraw_numpy(self):
        return "import numpy"
