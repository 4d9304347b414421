"""How long do processes take that share the CPUs, with threads as they are by default?"""

import workers


class SharedCpus:
    """Of the slowest of several workers that make 200 calls each, in seconds, the median of three."""

    params = ([2, 4, 8], ["spawn", "program"], ["default", "one"])
    param_names = ("processes", "started by", "threads")
    timeout = 300

    def track_slowest(self, processes, how, contender):
        return sorted(workers.seconds(contender, how, processes, 0) for _ in range(3))[1]

    track_slowest.unit = "seconds"
