// Replaces one field of every body that has it.

import { Reject, transform } from "./rayline.js";

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const redact = transform({
  summary: "Replaces one field of every body that has it",
  options: {
    type: "object",
    properties: {
      field: { type: "string", description: "The field: its keys from the outside in, joined by dots." },
      replacement: { type: "string", description: "What stands in its place. `[redacted]` if absent." },
    },
    required: ["field"],
  },
  open({ field, replacement = "[redacted]" }) {
    const outer = field.split(".");
    const last = outer.pop();
    return (event) => {
      const body = parse(event.body);
      let inner = body;
      for (const key of outer) inner = isObject(inner) && Object.hasOwn(inner, key) ? inner[key] : undefined;
      if (!isObject(inner) || !Object.hasOwn(inner, last)) return [event];
      inner[last] = replacement;
      return [{ ...event, body: new TextEncoder().encode(JSON.stringify(body)) }];
    };
  },
});

function parse(body) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw new Reject("the body is not JSON");
  }
}

export const stage = redact.stage;
export const processor = redact.processor;
