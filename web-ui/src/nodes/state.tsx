// Whether a node is there, in a word; its dot never says it alone.

import type { NodeOverview } from "../api/generated/api";
import { age } from "../ui/format";
import { type State, stateOf } from "./words";

const CLASSES: Record<State, string> = { online: "state online", offline: "state offline", "no agent": "state plain" };

export function StateOf({ node, now }: { node: NodeOverview; now: number }) {
  const state = stateOf(node);
  const seen = node.reported_at_ms === null ? "never reported" : `reported ${age(now - node.reported_at_ms)} ago`;
  return (
    <>
      <span class={CLASSES[state]}>{state}</span>
      {state === "offline" && <span class="since quiet">{seen}</span>}
    </>
  );
}
