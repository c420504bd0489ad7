"""Replaces one field of every body that has it."""

import json
from dataclasses import replace

import rayline


class Redact(rayline.Transform):
    SUMMARY = "Replaces one field of every body that has it"
    OPTIONS = {
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "The field, as it stands in the body: `user.id`."},
        },
        "required": ["field"],
    }

    def __init__(self, options, context):
        self.field = options["field"]

    def process(self, event):
        try:
            body = json.loads(event.body.decode(), parse_constant=not_json)
        except ValueError:
            raise rayline.Reject("the body is not JSON")
        if not isinstance(body, dict) or self.field not in body:
            return [event]
        body[self.field] = "[redacted]"
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return [replace(event, body=text.encode())]


def not_json(name):
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


Stage, Processor = rayline.export(Redact)
