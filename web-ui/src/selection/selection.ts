// The selection that runs in every agent, in this browser: the same code, compiled to WebAssembly, and so the same
// answers. Text in, text out (endpoint-selection/src/json.rs); the types are those of the Rust code.

import type {
  Explanation,
  Outlook,
  OutlookInput,
  Pair,
  Run,
  Scenario,
  SelectInput,
  Selection,
} from "../api/generated/api";
import start, * as module from "./generated/endpoint_selection.js";
import address from "./generated/endpoint_selection_bg.wasm?url";

/** What the module can be asked. Each throws an Error that names the field where an input is not understood. */
export interface SelectionModule {
  select(input: SelectInput): Selection;
  /** The story of a pair, told from its own side. */
  explain(pair: Pair): Explanation;
  /** What paths each node of a network may expect; takes seconds for a thousand nodes. */
  outlook(input: OutlookInput): Outlook[];
  /** What would happen; takes tens of milliseconds. */
  simulate(scenario: Scenario): Run;
  /** The functions as they are, text in and text out. */
  raw: typeof module;
}

let loading: Promise<SelectionModule> | undefined;

/** Loads the module, once. */
export function load(): Promise<SelectionModule> {
  loading ??= start({ module_or_path: address }).then(
    () => ({
      select: typed<SelectInput, Selection>(module.select),
      explain: typed<Pair, Explanation>(module.explain),
      outlook: typed<OutlookInput, Outlook[]>(module.outlook),
      simulate: typed<Scenario, Run>(module.simulate),
      raw: module,
    }),
    (error) => {
      loading = undefined;
      throw error;
    },
  );
  return loading;
}

function typed<Input, Output>(call: (input: string) => string): (input: Input) => Output {
  return (input) => JSON.parse(call(JSON.stringify(input))) as Output;
}
