// A simulated run in words and lengths of time.

import type { PathKind, Run, RunEvent } from "../api/generated/api";
import { obstacleWords, techniqueWords } from "./plan";
import { factsOf, NOT_KNOWN, seconds, thousands } from "./words";

export type Nodes = readonly [string, string];

/** A length of time in which a node's packets took one way. */
export interface Stretch {
  kind: PathKind;
  fromMs: number;
  toMs: number;
}

/** How it ended, and why where that is not as wanted. */
export function outcomeOf(run: Run, [own, peer]: Nodes): { kind: PathKind; sentence: string; why: string | null } {
  const { carrier, plan, sentence } = run.explanation;
  if (run.is_direct) {
    const after = run.direct_after_ms === null ? "" : ` after ${seconds(run.direct_after_ms)}`;
    return { kind: "direct", sentence: `Direct${after}.`, why: null };
  }
  const why = plan.obstacle ? obstacleWords(plan.obstacle, { own, peer }) : sentence;
  return carrier === "nothing"
    ? { kind: "none", sentence: "Nothing connects the two.", why }
    : { kind: "relay", sentence: "It stays on the relay.", why };
}

/** What it took. */
export function costOf({ probes, mappings_max }: Run, [own, peer]: Nodes): string {
  const [ours, theirs] = probes.map(thousands);
  const [owns, peers] = mappings_max.map(thousands);
  return `Probes: ${ours} by ${own}, ${theirs} by ${peer}. Mappings on the nearest router, other hosts' included: at most ${owns} for ${own}, ${peers} for ${peer}.`;
}

/** The time that is worth showing: a little beyond the last event. */
export function spanMs(run: Run): number {
  const last = run.events.at(-1)?.at_ms ?? 0;
  return Math.max(1000, Math.ceil((last * 1.15) / 500) * 500);
}

/** Which ways the packets of a node took, from the start to `endMs`. */
export function stretchesOf(run: Run, node: number, endMs: number): Stretch[] {
  const stretches: Stretch[] = [];
  let current: Stretch = { kind: "none", fromMs: 0, toMs: endMs };
  for (const event of run.events) {
    if (event.node !== node || event.event !== "path-changed") continue;
    stretches.push({ ...current, toMs: event.at_ms });
    current = { kind: wayOf(event), fromMs: event.at_ms, toMs: endMs };
  }
  return [...stretches, current].filter(({ fromMs, toMs }) => toMs > fromMs);
}

function wayOf({ remote, is_relay }: { remote: string | null; is_relay: boolean }): Exclude<PathKind, "idle"> {
  if (is_relay) return "relay";
  // The module leaves out what is null.
  return remote ? "direct" : "none";
}

/** What happened, in words without the node's name. */
export function eventWords(event: RunEvent, nodes: Nodes): string {
  switch (event.event) {
    case "learnt": {
      const facts = factsOf(event.nat).filter(({ name, value }) => LEARNT.includes(name) && value !== NOT_KNOWN);
      if (facts.length === 0) return "learns nothing of its NAT";
      return `learns of its NAT: ${facts.map(({ name, value }) => `${name.toLowerCase()} ${short(value)}`).join(", ")}`;
    }
    case "round-began":
      return "begins a round of plain opening";
    case "attempt-began": {
      // Own and peer are as the node of the event sees them.
      const [own, peer] = event.node === 0 ? nodes : [nodes[1], nodes[0]];
      const { name, what } = techniqueWords(event, { own, peer });
      return `begins an attempt, ${name}: ${what}`;
    }
    case "attempt-ended":
      return event.outcome === "opened" ? "ends its attempt: a path is open" : "ends its attempt: nothing opened";
    case "path-changed":
      return { direct: `sends directly to ${event.remote}`, relay: "sends over the relay", none: "reaches nothing" }[
        wayOf(event)
      ];
  }
}

const LEARNT = ["Mapping", "Allocation"];

/** A fact's value without its meaning. */
function short(value: string): string {
  return value.split(":", 1)[0] ?? value;
}
