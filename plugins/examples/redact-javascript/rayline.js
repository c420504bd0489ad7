// What a transform in JavaScript is written with: hides the flat layout of events that wit/stage.wit describes.
//
// Events cross with ends counted in bytes, so ids and attributes are cut as bytes and decoded after.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Thrown by `process`: the event, or a part of it (a Uint8Array), goes to the dead letter. */
export class Reject extends Error {
  constructor(reason, part) {
    super(reason);
    this.part = part;
  }
}

/**
 * The objects that the component exports, `stage` and `processor`.
 *
 * `summary` is one line; `options` is a JSON Schema, if the stage has options. `open(options, context)` starts an
 * instance and returns the function that makes a list of events of one event; an exception stops the pipeline.
 *
 * An event is `{ body, id, labels, time, version, attrs }`: a Uint8Array, a string (empty: the host takes the SHA-256 of
 * the body), an object of strings, nanoseconds as a BigInt, a BigInt, and a string that is ignored in what is returned.
 * What was made before a `Reject` does not count.
 */
export function transform({ summary, options, open }) {
  let process;
  return {
    stage: {
      describe: () => JSON.stringify({ summary, options, bindings: [] }),
      open(text) {
        const context = JSON.parse(text);
        try {
          process = open(context.options, context);
        } catch (error) {
          throw { tag: "fatal", val: String(error) };
        }
      },
      close() {
        process = undefined;
      },
    },
    processor: {
      process(batch) {
        const output = new Output(batch.bodies.length);
        const rejected = [];
        read(batch).forEach((event, origin) => {
          try {
            for (const made of [...process(event)]) output.push(origin, made);
          } catch (error) {
            if (!(error instanceof Reject)) throw error;
            rejected.push({ origin, reason: error.message, part: error.part });
          }
        });
        return { events: output.batch(), rejected };
      },
    },
  };
}

/** The events of a batch. */
function read(batch) {
  const labelSets = batch.labelSets.map((labels) => Object.fromEntries(labels));
  const ids = encoder.encode(batch.ids);
  const attrs = encoder.encode(batch.attrs);
  let [idAt, attrAt, bodyAt] = [0, 0, 0];
  return batch.entries.map(({ labels, time, version, idEnd, attrEnd, bodyEnd }) => {
    const event = {
      body: batch.bodies.subarray(bodyAt, bodyEnd),
      id: decoder.decode(ids.subarray(idAt, idEnd)),
      labels: labelSets[labels],
      time,
      version,
      attrs: decoder.decode(attrs.subarray(attrAt, attrEnd)),
    };
    [idAt, attrAt, bodyAt] = [idEnd, attrEnd, bodyEnd];
    return event;
  });
}

/** A batch under construction. */
class Output {
  labelSets = new Map();
  entries = [];
  ids = "";
  idEnd = 0;
  bodyEnd = 0;

  constructor(capacity) {
    this.bodies = new Uint8Array(capacity);
  }

  push(origin, { body, id = "", labels = {}, time = 0n, version = 0n }) {
    this.reserve(body.length);
    this.bodies.set(body, this.bodyEnd);
    this.bodyEnd += body.length;
    this.ids += id;
    this.idEnd += encoder.encode(id).length;
    this.entries.push({
      labels: this.labelSet(Object.entries(labels)),
      origin,
      time,
      version,
      idEnd: this.idEnd,
      attrEnd: 0,
      bodyEnd: this.bodyEnd,
    });
  }

  batch() {
    return {
      labelSets: [...this.labelSets.values()].map(({ labels }) => labels),
      entries: this.entries,
      ids: this.ids,
      attrs: "",
      bodies: this.bodies.subarray(0, this.bodyEnd),
    };
  }

  labelSet(labels) {
    const key = JSON.stringify(labels);
    if (!this.labelSets.has(key)) this.labelSets.set(key, { index: this.labelSets.size, labels });
    return this.labelSets.get(key).index;
  }

  reserve(length) {
    if (this.bodyEnd + length <= this.bodies.length) return;
    const larger = new Uint8Array(2 * (this.bodyEnd + length));
    larger.set(this.bodies.subarray(0, this.bodyEnd));
    this.bodies = larger;
  }
}
