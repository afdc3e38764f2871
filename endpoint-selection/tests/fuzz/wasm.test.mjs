// What the fuzz test played natively, in the WASM module: the same answer or the same error for each input, byte for byte, and
// no memory that is never given back.
// Usage, after `cargo run -q --bin xtask -- wasm`: FUZZ_KEEP=FOLDER cargo nextest run -E 'binary(fuzz)', and then
// FUZZ_KEEP=FOLDER node --test endpoint-selection/tests/fuzz/wasm.test.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = process.env.FUZZ_KEEP;
assert(folder, "FUZZ_KEEP does not say where the inputs are");

const generated = new URL("../../../web-ui/src/selection/generated/", import.meta.url);
const selection = await import(new URL("endpoint_selection.js", generated));
const { memory } = selection.initSync({ module: readFileSync(new URL("endpoint_selection_bg.wasm", generated)) });

/** The inputs that were played natively: one in each line, with what came of it. */
function kept(name) {
  const lines = readFileSync(join(folder, `${name}.jsonl`), "utf8")
    .trimEnd()
    .split("\n");
  assert(lines.length >= 100, `only ${lines.length} inputs`);
  return lines.map((line) => JSON.parse(line));
}

function play(name, inputs) {
  for (const { seed, input, output, error } of inputs) {
    let answer;
    try {
      answer = { output: selection[name](input), error: null };
    } catch (thrown) {
      answer = { output: null, error: thrown.message };
    }
    assert.deepEqual(answer, { output, error }, `FUZZ_SEED=${seed}`);
  }
}

for (const name of ["select", "classify", "plan", "outlook", "explain", "simulate"]) {
  test(`${name} answers any input in the browser's module as it does natively`, () => {
    const inputs = kept(name);
    play(name, inputs);
    const bytes = memory.buffer.byteLength;
    play(name, inputs);
    assert.equal(memory.buffer.byteLength, bytes, "the same inputs a second time need no more memory");
  });
}

after(() => {
  // The longest input has a megabyte; its parts, its text and its answer are a few times as much.
  const bytes = memory.buffer.byteLength;
  assert(bytes <= 32 * 2 ** 20, `the module has grown to ${bytes} bytes`);
});
