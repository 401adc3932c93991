"""A fuzzer guided by behaviour: mutated inputs, and those that made something new happen are mutated further.

A target takes an input and tells, as one value, what kind of thing happened (reasons, counts, the kind of an
error). An input with a value never seen before joins the corpus. The same seed tries the same inputs.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Hashable, Sequence

SOAK = os.environ.get("RIVERRUN_SOAK") == "1"
#: How long each target is tried: 3 s, 10 minutes with RIVERRUN_SOAK=1, or as long as RIVERRUN_FUZZ_S says.
SECONDS = float(os.environ.get("RIVERRUN_FUZZ_S") or (600 if SOAK else 3))
#: Every long hunt is another one.
NEW = SECONDS > 3
#: No call may compute for longer.
HANG_S = 1.0
_CORPUS = 2_000

Target = Callable[[bytes], Hashable]


def hunt(target: Target, seeds: Sequence[bytes], tokens: Sequence[bytes], seconds: float = SECONDS) -> int:
    """Try a target for a while; how many inputs were tried. Fails with the input that broke it."""
    chance = random.Random(time.time_ns() if NEW else 0)
    corpus = list(seeds)
    known: set[Hashable] = set()
    end = time.monotonic() + seconds
    tried = 0
    while tried < len(seeds) or time.monotonic() < end:
        data = corpus[tried] if tried < len(seeds) else mutated(chance, corpus, tokens)
        tried += 1
        seen = _observed(target, data)
        if seen not in known:
            known.add(seen)
            if tried > len(seeds) and len(corpus) < _CORPUS:
                corpus.append(data)
    return tried


def _observed(target: Target, data: bytes) -> Hashable:
    try:
        # Not by the clock: a busy machine is no hang.
        begun = time.process_time()
        seen = target(data)
        assert time.process_time() - begun <= HANG_S, "it hangs"
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\nfor the input {data!r}") from error
    return seen


def mutated(chance: random.Random, corpus: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """One of the corpus, changed in one to five places."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 5)):
        at = chance.randint(0, len(data))
        until = min(len(data), at + chance.randint(0, 1 << chance.randint(0, 8)))
        kind = chance.randrange(7)
        if kind == 0:
            data[at:at] = chance.choice(tokens)
        elif kind == 1:
            data[at:until] = chance.choice(tokens)
        elif kind == 2:
            del data[at:until]
        elif kind == 3:
            data[at:at] = data[at:until] * chance.randint(1, 8)
        elif kind == 4 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 5:
            other = chance.choice(corpus)
            start = chance.randint(0, len(other))
            data[at:at] = other[start : start + chance.randint(0, 200)]
        else:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
    return bytes(data[: 64 * 1024])
