// Replaces one field of every body that has it.

import { Reject, transform } from "./rayline.js";

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const redact = transform({
  summary: "Replaces one field of every body that has it",
  options: {
    type: "object",
    properties: {
      field: { type: "string", description: "The field, as it stands in the body: `user.id`." },
    },
    required: ["field"],
  },
  open({ field }) {
    return (event) => {
      const body = parse(event.body);
      if (!isObject(body) || !Object.hasOwn(body, field)) return [event];
      body[field] = "[redacted]";
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
