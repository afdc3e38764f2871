// Which nodes a table shows and in which order; both stand in the address, so that a view can be kept and sent.

import type { NodeOverview } from "../api/generated/api";
import { addressesOf, natOf, type State, stateOf } from "./words";

export type Column = "name" | "state" | "nat";

export interface View {
  /** Shows only nodes that hold each of its words. */
  filter: string;
  column: Column;
  isDescending: boolean;
}

const COLUMNS: readonly Column[] = ["name", "state", "nat"];
const BY_NAME: View = { filter: "", column: "name", isDescending: false };
const STATES: Record<State, number> = { online: 0, "no agent": 1, offline: 2 };

/** Numbers inside names count as numbers: web-2 comes before web-10. */
const collator = new Intl.Collator("en", { numeric: true });

/** The view of a query such as `?filter=web&sort=-state`. What it does not understand is as if it were not there. */
export function viewOf(query: string): View {
  const parameters = new URLSearchParams(query);
  const sort = parameters.get("sort") ?? "";
  const column = COLUMNS.find((column) => column === sort.replace(/^-/, ""));
  const filter = parameters.get("filter") ?? "";
  return column ? { filter, column, isDescending: sort.startsWith("-") } : { ...BY_NAME, filter };
}

/** The query of a view; empty for the usual one. */
export function queryOf({ filter, column, isDescending }: View): string {
  const parameters = new URLSearchParams();
  if (filter !== "") parameters.set("filter", filter);
  if (column !== BY_NAME.column || isDescending) parameters.set("sort", `${isDescending ? "-" : ""}${column}`);
  const query = parameters.toString();
  return query === "" ? "" : `?${query}`;
}

/** The view after a click on a column's head: by that column, or the other way round. */
export function sortedBy(view: View, column: Column): View {
  return { ...view, column, isDescending: view.column === column && !view.isDescending };
}

/** The nodes of a view. Equal ones are ordered by name. */
export function shown(nodes: readonly NodeOverview[], view: View): NodeOverview[] {
  const words = view.filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  const direction = view.isDescending ? -1 : 1;
  return nodes
    .filter((node) => words.length === 0 || holdsAll(textOf(node), words))
    .sort((a, b) => direction * compared(a, b, view.column) || collator.compare(a.name, b.name));
}

function compared(a: NodeOverview, b: NodeOverview, column: Column): number {
  if (column === "state") return STATES[stateOf(a)] - STATES[stateOf(b)];
  return column === "nat" ? collator.compare(natOf(a).name, natOf(b).name) : collator.compare(a.name, b.name);
}

function holdsAll(text: string, words: string[]): boolean {
  return words.every((word) => text.includes(word));
}

/** Everything of a node that its row shows. */
function textOf(node: NodeOverview): string {
  const candidates = addressesOf(node).map(({ kind, address }) => `${kind} ${address}`);
  const nat = natOf(node);
  const facts = [node.name, stateOf(node), nat.name, ...nat.facts, ...node.addresses, ...candidates];
  return facts.join("\n").toLowerCase();
}
