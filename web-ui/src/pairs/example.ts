// A pair for tests: two nodes, what each reported, and the story that the selection tells of them.

import type { Explanation, NodeView, PairReport, PathOverview } from "../api/generated/api";
import { nat } from "../nodes/example";

export const DIRECT = "203.0.113.7:41641";

const budget = { sockets_max: 256, probes_per_s: 200, probes_max: 2048, pause_min_s: 15, pause_max_s: 900 };

export function view(name: string, fields: Partial<NodeView> = {}): NodeView {
  return { name, candidates: [], nat: nat(null), paths: { now: 0, paths: [] }, ...fields };
}

export function path(peer: string, fields: Partial<PathOverview> = {}): PathOverview {
  return { peer, kind: "direct", remote: DIRECT, rtt_us: 4210, ...fields };
}

export function report(fields: Partial<PairReport> = {}): PairReport {
  return {
    pair: { own: view("alpha"), peer: view("bravo"), mesh: [], relays: [] },
    own_decision: path("bravo"),
    peer_decision: path("alpha"),
    reported_at_ms: [1000, 2000],
    ...fields,
  };
}

export function story(fields: Partial<Explanation> = {}): Explanation {
  return {
    carrier: "direct",
    chosen: DIRECT,
    sentence: "alpha and bravo are connected directly over the internet, 4.2 ms.",
    advice: [],
    peer_candidates: [],
    own_candidates: [],
    plan: { opening: { pairs: [], rhythm_ms: [0, 1700] }, techniques: [], budget },
    ...fields,
  };
}
