"""What a transform in Python is written with: hides the flat layout of events that wit/stage.wit describes.

Events cross with ends counted in bytes, so ids and attributes are cut as bytes and decoded after.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from componentize_py_types import Err
from wit_world.exports.processor import Processed, Rejection
from wit_world.imports.types import Batch, Entry, Failure_Fatal


@dataclass(frozen=True)
class Event:
    """One event. `dataclasses.replace` makes another that is like it."""

    body: bytes
    id: str = ""  # Empty: the host takes the SHA-256 of the body.
    labels: dict[str, str] = field(default_factory=dict)
    time: int = 0  # Nanoseconds since 1970-01-01T00:00:00Z. 0: unknown.
    version: int = 0  # A later state of the same id has a higher version.
    attrs: str = ""  # A small JSON object, or nothing. Ignored in what a transform returns.


class Reject(Exception):
    """Raised by `process`: the event, or a part of it, goes to the dead letter."""

    def __init__(self, reason: str, part: bytes | None = None):
        super().__init__(reason)
        self.reason = reason
        self.part = part


class Transform:
    """What a stage derives from."""

    SUMMARY = ""  # What it does, in one line.
    OPTIONS: dict[str, Any] | None = None  # The JSON Schema of its options.

    def __init__(self, options: dict[str, Any], context: dict[str, Any]):
        """Starts an instance. An exception stops the pipeline."""

    def process(self, event: Event) -> Iterable[Event]:
        """The events that come of this one. Those that came before a `Reject` do not count."""
        raise NotImplementedError


def export(transform: type[Transform]) -> tuple[type, type]:
    """The classes that the component exports: `Stage, Processor = rayline.export(MyTransform)`."""
    running: list[Transform] = []

    class Stage:
        def describe(self) -> str:
            description = {"summary": transform.SUMMARY, "bindings": []}
            if transform.OPTIONS is not None:
                description["options"] = transform.OPTIONS
            return json.dumps(description)

        def open(self, context: str) -> None:
            members = json.loads(context)
            try:
                running[:] = [transform(members["options"], members)]
            except Exception as error:
                raise Err(Failure_Fatal(str(error))) from error

        def close(self) -> None:
            running.clear()

    class Processor:
        def process(self, events: Batch) -> Processed:
            output, rejected = Output(), []
            for origin, event in enumerate(read(events)):
                try:
                    made = list(running[0].process(event))
                except Reject as reject:
                    rejected.append(Rejection(origin, reject.reason, reject.part))
                else:
                    for new in made:
                        output.push(origin, new)
            return Processed(output.batch(), rejected)

    return Stage, Processor


def read(batch: Batch) -> Iterable[Event]:
    """The events of a batch."""
    label_sets = [dict(labels) for labels in batch.label_sets]
    ids, attrs = batch.ids.encode(), batch.attrs.encode()
    id_at = attr_at = body_at = 0
    for entry in batch.entries:
        yield Event(
            body=batch.bodies[body_at : entry.body_end],
            id=ids[id_at : entry.id_end].decode(),
            labels=label_sets[entry.labels],
            time=entry.time,
            version=entry.version,
            attrs=attrs[attr_at : entry.attr_end].decode(),
        )
        id_at, attr_at, body_at = entry.id_end, entry.attr_end, entry.body_end


class Output:
    """A batch under construction."""

    def __init__(self) -> None:
        self.label_sets: dict[tuple[tuple[str, str], ...], int] = {}
        self.entries: list[Entry] = []
        self.ids: list[str] = []
        self.bodies = bytearray()
        self.id_end = 0

    def push(self, origin: int, event: Event) -> None:
        labels = self.label_sets.setdefault(tuple(event.labels.items()), len(self.label_sets))
        self.ids.append(event.id)
        self.id_end += len(event.id.encode())
        self.bodies += event.body
        self.entries.append(Entry(labels, origin, event.time, event.version, self.id_end, 0, len(self.bodies)))

    def batch(self) -> Batch:
        label_sets = [list(labels) for labels in self.label_sets]
        return Batch(label_sets, self.entries, "".join(self.ids), "", bytes(self.bodies))
