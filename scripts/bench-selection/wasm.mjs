// The selection as WASM, measured for `scripts/bench selection`; prints its figures as JSON.
// Usage: node wasm.mjs MODULE NODES DECISION <NETWORK: the module of this package, and what the shipped one is asked.

import { readFileSync } from "node:fs";

const RUNS = 5;
const CALLS = 5_000;

/** CPU seconds of the process; V8's compiler threads count as well. */
function seconds(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function runs(work) {
  return Array.from({ length: RUNS }, () => seconds(work));
}

const [module, nodes, decision] = process.argv.slice(2);
const network = readFileSync(0, "utf8");
const { instance } = await WebAssembly.instantiate(readFileSync(module));
let direct = 0;
const all_pairs_s = runs(() => {
  direct = instance.exports.decide_all(Number(nodes));
});

const generated = new URL("../../web-ui/src/selection/generated/", import.meta.url);
const selection = await import(new URL("endpoint_selection.js", generated));
selection.initSync({ module: readFileSync(new URL("endpoint_selection_bg.wasm", generated)) });
const json_ns = runs(() => {
  for (let call = 0; call < CALLS; call++) selection.select(decision);
}).map((all) => (all * 1e9) / CALLS);

let outlook = "";
const outlook_s = runs(() => {
  outlook = selection.outlook(network);
});

process.stdout.write(JSON.stringify({ direct, all_pairs_s, json_ns, outlook, outlook_s }));
