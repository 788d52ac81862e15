"""A robot arm as a serial bus of servos: a process of its own at the far end of a pseudo-terminal.

    python fake_servos.py <file descriptor> <log> <first position of each servo [steps]>

Frames are Feetech's: FF FF, id, length, instruction or error, parameters, and the complement of the sum of
all but the first two bytes. It knows ping, read, write and their synchronous kinds, over registers as STS3215
servos have them: LeRobot's own bus works with it. Positions are steps, 4096 a turn, 2048 the middle; joints
follow their goals with a first-order lag. Faults are asked for on standard input, one a line: "drop 3"
(answers), "corrupt 1", "latency_ms 20", "jitter_ms 5", "mute_s 1.5", "block 2" (a joint stands
still; 0 for none), "unplug"; each but the last is said back once it is so. The log holds every goal that
arrived, as JSON lines.
"""

import json
import math
import os
import random
import select
import sys
import time

PING, READ, WRITE, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x82, 0x83
FIRMWARE, MODEL, LIMITS, GOAL, PRESENT = 0, 3, 9, 42, 56  # registers
STS3215 = 777
STEPS, MIDDLE = 4096, 2048
LAG_S = 0.06


def checksum(body: bytes) -> int:
    """Of id, length, instruction and parameters."""
    return ~sum(body) & 0xFF


def frame(id: int, kind: int, parameters: bytes) -> bytes:
    """One packet."""
    body = bytes([id, len(parameters) + 2, kind]) + parameters
    return b"\xff\xff" + body + bytes([checksum(body)])


def parsed(buffer: bytearray) -> tuple[int, int, bytes] | None:
    """Takes the first whole packet off a buffer: id, kind, parameters; what is no packet is skipped."""
    while True:
        begin = buffer.find(b"\xff\xff")
        if begin < 0 or len(buffer) < begin + 6:
            return None
        length = buffer[begin + 3]
        end = begin + 4 + length
        if len(buffer) < end:
            return None
        body = bytes(buffer[begin + 2 : end - 1])
        whole = checksum(body) == buffer[end - 1] and length >= 2
        del buffer[: end if whole else begin + 2]
        if whole:
            return body[0], body[2], body[3:]


class Servos:
    """The joints, and what is wrong with them."""

    def __init__(self, log: str, start: list[float]) -> None:
        self.position, self.goal = list(start), list(start)
        self._memory = [bytearray(128) for _ in start]
        for memory in self._memory:
            memory[FIRMWARE : FIRMWARE + 2] = bytes([3, 10])
            memory[MODEL : MODEL + 2] = STS3215.to_bytes(2, "little")
            memory[LIMITS : LIMITS + 4] = (0).to_bytes(2, "little") + (STEPS - 1).to_bytes(2, "little")
        self.faults: dict[str, float] = {}
        self.mute_until_s = 0.0
        self._at_s = time.monotonic()
        self._log = open(log, "w", buffering=1, encoding="utf-8")  # noqa: SIM115 as long as the process
        self._random = random.Random(0)

    def answer(self, id: int, kind: int, parameters: bytes) -> bytes:
        """What goes back; nothing after a synchronous write."""
        self._move()
        for memory, position in zip(self._memory, self.position, strict=True):
            memory[PRESENT : PRESENT + 2] = round(position).to_bytes(2, "little")
        if kind in (PING, READ, WRITE):
            return self._single(id, kind, parameters)
        if kind == SYNC_WRITE and parameters[0] == GOAL:
            told = parameters[2:]
            for at in range(0, len(told), 3):
                self.goal[told[at] - 1] = float(int.from_bytes(told[at + 1 : at + 3], "little"))
            line = {"at_s": time.monotonic(), "goal": self.goal, "position": self.position}
            self._log.write(json.dumps(line) + "\n")
        if kind == SYNC_READ:
            at, length = parameters[:2]
            return b"".join(frame(id, 0, self._memory[id - 1][at : at + length]) for id in parameters[2:])
        return b""

    def _single(self, id: int, kind: int, parameters: bytes) -> bytes:
        """Of one servo: where it is, what a register holds, or that it was written."""
        if not 1 <= id <= len(self._memory):
            return b""
        memory, read = self._memory[id - 1], b""
        if kind == READ:
            read = bytes(memory[parameters[0] : parameters[0] + parameters[1]])
        if kind == WRITE:
            memory[parameters[0] : parameters[0] + len(parameters) - 1] = parameters[1:]
        return frame(id, 0, read)

    def spoilt(self, reply: bytes) -> bytes:
        """A reply after its latency, as the faults leave it."""
        wait_ms = self.faults.get("latency_ms", 0) + self._random.random() * self.faults.get("jitter_ms", 0)
        time.sleep(wait_ms / 1000)
        if time.monotonic() < self.mute_until_s or self._takes("drop"):
            return b""
        if self._takes("corrupt"):
            return reply[:-2] + bytes([reply[-2] ^ 0x55, reply[-1]])
        return reply

    def hear(self, order: str) -> None:
        """Takes a fault."""
        name, _, number = order.partition(" ")
        if name == "unplug":
            raise SystemExit
        if name == "mute_s":
            self.mute_until_s = time.monotonic() + float(number)
        self.faults[name] = float(number)
        print(order, flush=True)

    def _takes(self, name: str) -> bool:
        left = self.faults.get(name, 0)
        self.faults[name] = max(0, left - 1)
        return left > 0

    def _move(self) -> None:
        now_s = time.monotonic()
        share = 1.0 - math.exp(-(now_s - self._at_s) / LAG_S)
        self._at_s = now_s
        before, stuck = self.position, round(self.faults.get("block", 0)) - 1
        self.position = [p + share * (g - p) for p, g in zip(before, self.goal, strict=True)]
        if stuck >= 0:
            self.position[stuck] = before[stuck]


def main(wire: int, log: str, start: list[float]) -> None:
    """Serves until it is unplugged, or nobody is left to ask for faults."""
    servos, heard, orders = Servos(log, start), bytearray(), b""
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([wire, 0], [], [])
        if 0 in ready:
            if not (read := os.read(0, 4096)):
                return
            *lines, orders = (orders + read).split(b"\n")
            for line in lines:
                servos.hear(line.decode())
        if wire in ready:
            heard += os.read(wire, 4096)
            while (packet := parsed(heard)) is not None:
                if reply := servos.answer(*packet):
                    os.write(wire, servos.spoilt(reply))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [float(step) for step in sys.argv[3:]])
