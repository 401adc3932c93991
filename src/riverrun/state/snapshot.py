"""State as bytes: a small document for its shape, and one columnar blob for each frame in it.

A state is a value of frozen dataclasses, tuples, lists, mappings, plain values and Polars frames. `Encoder`
writes it as JSON in which a frame is a number; the frames themselves are Arrow IPC. A frame that has not
changed since the last snapshot is the same object, so that it keeps its number and is not written again: a
checkpoint costs what has changed. Nothing here runs what the bytes say: `decode` makes only the dataclasses
that the type of the state names.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import polars as pl

from riverrun.errors import StateError

T = TypeVar("T")

#: Frames of so many rows are worth compressing, and a file format that decodes in parallel.
LARGE_ROWS = 2_000

_FILE_MAGIC = b"ARROW1"
_INT64 = range(-(2**63), 2**63)
_CLASS, _TAG = "~class", "~"


def frame_to_bytes(frame: pl.DataFrame) -> bytes:
    """A frame as Arrow IPC. Others may read the frame meanwhile."""
    # Polars locks a frame while it is written, and needs the interpreter's lock for that, which a thread that
    # waits for the frame holds. A clone has a lock of its own, and shares the data.
    frame = frame.clone()
    buffer = io.BytesIO()
    if frame.height < LARGE_ROWS:
        frame.write_ipc_stream(buffer)
    else:
        frame.write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def frame_from_bytes(data: bytes) -> pl.DataFrame:
    """What `frame_to_bytes` wrote."""
    read = pl.read_ipc if data.startswith(_FILE_MAGIC) else pl.read_ipc_stream
    frame = read(io.BytesIO(data))
    assert isinstance(frame, pl.DataFrame)
    return frame


@dataclass(slots=True)
class FrameNumbers:
    """The numbers of the frames that the last snapshot held, and of those that this one holds."""

    last: int = 0
    known: dict[int, tuple[pl.DataFrame | pl.Series, int]] = field(default_factory=dict)


class Encoder:
    """Writes the states of one checkpoint.

    Parameters
    ----------
    numbers : of the checkpoint before; those of this one are in `numbers` afterwards.
    """

    def __init__(self, numbers: FrameNumbers | None = None) -> None:
        before = numbers if numbers is not None else FrameNumbers()
        self._before = before.known
        self.numbers = FrameNumbers(before.last)
        self.blobs: dict[int, bytes] = {}

    def encode(self, value: object, *, where: str) -> bytes:
        """The document of a state; its new frames are added to `blobs`.

        Raises `StateError` when the state holds something that cannot be kept, and says where in it.
        """
        return orjson.dumps(self._plain(value, where))

    @property
    def dropped(self) -> list[int]:
        """The numbers of frames that are in no state any more."""
        kept = {number for _, number in self.numbers.known.values()}
        return [number for _, number in self._before.values() if number not in kept]

    def _plain(self, value: object, where: str) -> object:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return value if value in _INT64 else {_TAG: "int", "of": str(value)}
        if isinstance(value, float):
            return value if math.isfinite(value) else {_TAG: "float", "of": repr(value)}
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {_TAG: "bytes", "of": base64.b64encode(value).decode()}
        if isinstance(value, list):
            return [self._plain(item, f"{where}[{at}]") for at, item in enumerate(value)]
        if isinstance(value, tuple):
            return {_TAG: "tuple", "of": [self._plain(item, f"{where}[{at}]") for at, item in enumerate(value)]}
        if isinstance(value, Mapping):
            pairs = [
                [self._plain(k, f"{where} (key)"), self._plain(v, f"{where}[{k!r}]")] for k, v in value.items()
            ]
            return {_TAG: "dict", "of": pairs}
        if isinstance(value, (pl.DataFrame, pl.Series)):
            kind = "frame" if isinstance(value, pl.DataFrame) else "series"
            return {_TAG: kind, "of": self._number(value)}
        if isinstance(value, pl.DataType):
            empty = pl.DataFrame(schema={"type": value})
            return {_TAG: "dtype", "of": base64.b64encode(frame_to_bytes(empty)).decode()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {
                item.name: self._plain(getattr(value, item.name), f"{where}.{item.name}")
                for item in dataclasses.fields(value)
            }
            return {_CLASS: type(value).__name__, **fields}
        raise StateError(
            f"a state cannot hold a {type(value).__name__}",
            where=where,
            hint="plain values, tuples, lists, dicts, frozen dataclasses of them, and Polars frames can",
        )

    def _number(self, frame: pl.DataFrame | pl.Series) -> int:
        known = self.numbers.known.get(id(frame))
        if known is not None:
            return known[1]
        before = self._before.get(id(frame))
        if before is not None and before[0] is frame:
            number = before[1]
        else:
            self.numbers.last += 1
            number = self.numbers.last
            data = frame if isinstance(frame, pl.DataFrame) else frame.to_frame()
            self.blobs[number] = frame_to_bytes(data)
        self.numbers.known[id(frame)] = (frame, number)
        return number


class Decoder:
    """Reads the states of one checkpoint back.

    Parameters
    ----------
    frame : a numbered frame.
    """

    def __init__(self, frame: Callable[[int], pl.DataFrame]) -> None:
        self._read = frame
        self._frames: dict[tuple[int, str], pl.DataFrame | pl.Series] = {}

    def decode(self, document: bytes, kind: type[T], *, where: str, also: tuple[type, ...] = ()) -> T:
        """The state of a document.

        Parameters
        ----------
        kind : the class of the state, whose annotations tell the dataclasses that may be in it.
        also : further dataclasses that may be in it.

        Raises
        ------
        StateError : when the document holds anything else.
        """
        classes = dict(known_classes(kind))
        for other in also:
            classes.update(known_classes(other))
        made = self._made(orjson.loads(document), classes, where)
        if not isinstance(made, kind):
            raise StateError(f"expected a {kind.__name__}, got a {type(made).__name__}", where=where)
        return made

    def numbers(self) -> FrameNumbers:
        """The frames that were read, for the next `Encoder`."""
        known = {id(frame): (frame, number) for (number, _), frame in self._frames.items()}
        return FrameNumbers(max((number for number, _ in self._frames), default=0), known)

    def _made(self, value: Any, classes: Mapping[str, type], where: str) -> Any:
        if isinstance(value, list):
            return [self._made(item, classes, where) for item in value]
        if not isinstance(value, dict):
            return value
        if _CLASS in value:
            return self._instance(value, classes, where)
        of = value["of"]
        match value[_TAG]:
            case "int":
                return int(of)
            case "float":
                return float(of)
            case "bytes":
                return base64.b64decode(of)
            case "tuple":
                return tuple(self._made(item, classes, where) for item in of)
            case "dict":
                return {self._made(k, classes, where): self._made(v, classes, where) for k, v in of}
            case "dtype":
                return frame_from_bytes(base64.b64decode(of)).schema["type"]
            case "frame" | "series" as kind:
                return self._frame(of, kind)
            case other:
                raise StateError(f"there is no kind of value {other!r}", where=where)

    def _instance(self, value: dict[str, Any], classes: Mapping[str, type], where: str) -> Any:
        name = value.pop(_CLASS)
        if name not in classes:
            raise StateError(
                f"it holds a {name}, which this version does not know here; known are {sorted(classes)}",
                where=where,
                hint="open it with the version that wrote it",
            )
        try:
            return classes[name](**{key: self._made(item, classes, where) for key, item in value.items()})
        except TypeError as error:
            raise StateError(f"a {name} has other parts in this version: {error}", where=where) from None

    def _frame(self, number: int, kind: str) -> pl.DataFrame | pl.Series:
        known = self._frames.get((number, kind))
        if known is None:
            frame = self._read(number)
            known = self._frames[number, kind] = frame if kind == "frame" else frame.to_series()
        return known


def known_classes(kind: type) -> Mapping[str, type]:
    """The dataclasses that a dataclass is made of, itself included, by name."""
    found: dict[str, type] = {}
    _collect(kind, found)
    return found


def _collect(hint: Any, found: dict[str, type]) -> None:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if hint.__name__ in found:
            return
        found[hint.__name__] = hint
        for item in typing.get_type_hints(hint).values():
            _collect(item, found)
        return
    if typing.get_origin(hint) is not None or isinstance(hint, types.UnionType):
        for part in typing.get_args(hint):
            _collect(part, found)
