// Makes a component of redact.js: `node build.mjs WIT_FOLDER OUTPUT`.

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";

const [witPath, output] = process.argv.slice(2);
const sourcePath = fileURLToPath(new URL("redact.js", import.meta.url));
const { component } = await componentize({ sourcePath, witPath, worldName: "transform" });
await writeFile(output, component);
