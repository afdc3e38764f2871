// The selection that runs in every agent, in this browser: the same code, compiled to WebAssembly, and so the same
// answers. Text in, text out (endpoint-selection/src/json.rs); the types are those of the Rust code.

import type { SelectInput, Selection } from "../api/generated/api";
import start, * as module from "./generated/endpoint_selection.js";
import address from "./generated/endpoint_selection_bg.wasm?url";

/** What the module can be asked. Each throws an Error that names the field where an input is not understood. */
export interface SelectionModule {
  select(input: SelectInput): Selection;
  /** The functions as they are, text in and text out. */
  raw: typeof module;
}

let loading: Promise<SelectionModule> | undefined;

/** Loads the module, once. */
export function load(): Promise<SelectionModule> {
  loading ??= start({ module_or_path: address }).then(
    () => ({ select: (input) => JSON.parse(module.select(JSON.stringify(input))) as Selection, raw: module }),
    (error) => {
      loading = undefined;
      throw error;
    },
  );
  return loading;
}
