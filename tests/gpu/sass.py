"""What is in a kernel's machine code: its instructions, its loops, how many run per output.

In: a cubin and an entry's name.  Out: `Code`.  The disassembler is that of the wheel ``nvidia-cuda-nvdisasm``.
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nvrtc


@dataclass(frozen=True)
class Code:
    """One kernel: its instructions in order, and the loops among them as (first, last) positions, inner ones first."""

    instructions: tuple[str, ...]
    loops: tuple[tuple[int, int], ...]
    calls: tuple[str, ...]
    jumps: tuple[tuple[int, int], ...]  # from, to

    def count(self, *prefixes: str) -> int:
        """Instructions whose opcode begins so."""
        return sum(opcode(i).startswith(prefixes) for i in self.instructions)

    def in_loops(self, *prefixes: str) -> int:
        """The same within any loop."""
        inside = {i for a, b in self.loops for i in range(a, b + 1)}
        return sum(opcode(self.instructions[i]).startswith(prefixes) for i in inside)

    def shortest(self, first: int, last: int) -> int:
        """Instructions on the shortest way from one to another, both counted, without leaving what is between."""
        jumps = dict(self.jumps)
        reached = {first: 1}
        ready = [first]
        while ready:
            at = min(ready, key=reached.__getitem__)
            ready.remove(at)
            if at == last:
                return reached[at]
            instruction = self.instructions[at]
            ends = not instruction.startswith("@") and opcode(instruction).startswith(("BRA", "EXIT", "RET"))
            following = [] if ends else [at + 1]
            if at in jumps:
                following.append(jumps[at])
            for target in following:
                if first <= target <= last and reached.get(target, 1 << 30) > reached[at] + 1:
                    reached[target] = reached[at] + 1
                    ready.append(target)
        raise AssertionError(f"no way from {first} to {last}")

    def histogram(self) -> Counter[str]:
        return Counter(opcode(i) for i in self.instructions)


def opcode(instruction: str) -> str:
    words = instruction.split()
    return words[1] if words[0].startswith("@") else words[0]


@functools.cache
def disassembler() -> Path | None:
    found = nvrtc.wheel("cu13/bin/nvdisasm", "cuda_nvdisasm/bin/nvdisasm")
    if found is not None:
        found.chmod(0o755)  # the wheel forgets it
    return found


@functools.cache
def disassemble(cubin: bytes) -> dict[str, Code]:
    """The code of every entry of a cubin."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run(
            [str(disassembler()), "-c", file.name], capture_output=True, text=True, check=True
        ).stdout  # fmt: skip
    made: dict[str, Code] = {}
    for part in re.split(r"^\s*\.section\s+\.text\.", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+", part)
        assert name
        made[name[0]] = parse(part)
    return made


def parse(text: str) -> Code:
    instructions: list[str] = []
    labels: dict[str, int] = {}
    for line in text.splitlines():
        if found := re.match(r"(\.L\w+|\$\w+):", line.strip()):
            labels[found[1]] = len(instructions)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            instructions.append(found[1])
    loops, calls, jumps = [], [], []
    for at, instruction in enumerate(instructions):
        code = opcode(instruction)
        if code.startswith("CALL") and "$" in instruction:  # a routine; others are jumps
            calls.append(instruction)
        if code.startswith("BRA") and (found := re.search(r"(\.L\w+)", instruction)):
            start = labels.get(found[1], at)
            jumps.append((at, start))
            if start < at:
                loops.append((start, at))
    loops.sort(key=lambda ab: ab[1] - ab[0])
    return Code(tuple(instructions), tuple(loops), tuple(calls), tuple(jumps))
