// The vectors of `scenarios/` in the WASM module under Node: the same bytes as natively (`scenarios.rs`).
// Usage, after `cargo run -q --bin xtask -- wasm`: node --test endpoint-selection/tests/*.test.mjs

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const generated = new URL("../../web-ui/src/selection/generated/", import.meta.url);
const selection = await import(new URL("endpoint_selection.js", generated));
selection.initSync({ module: readFileSync(new URL("endpoint_selection_bg.wasm", generated)) });

const scenarios = new URL("../scenarios/", import.meta.url);
for (const name of readdirSync(scenarios)) {
  for (const file of readdirSync(new URL(`${name}/`, scenarios))) {
    const { about, input, output } = JSON.parse(readFileSync(new URL(`${name}/${file}`, scenarios), "utf8"));
    test(`${name}: ${about}`, () => {
      assert.equal(selection[name](JSON.stringify(input)), JSON.stringify(output));
    });
  }
}

test("an input that is not understood is an exception that names the field", () => {
  assert.throws(() => selection.select('{"now":1,"candidates":[{"kind":"host","address":"x","source":"peer"}]}'), {
    name: "Error",
    message: /^candidates\[0\]\.address: invalid socket address/,
  });
  assert.throws(() => selection.select(" ".repeat(2 ** 20 + 1)), { message: /at most 1048576 are allowed/ });
});
