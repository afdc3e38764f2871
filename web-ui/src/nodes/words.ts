// What a node's report means, in the words of docs/glossary.md.

import type { Candidate, CandidateSource, Mapping, NodeOverview, PathKind } from "../api/generated/api";

export type State = "online" | "offline" | "no agent";

export function stateOf(node: NodeOverview): State {
  if (node.plain_endpoint !== null) return "no agent";
  return node.online ? "online" : "offline";
}

/** The NAT in front of a node: a short name, and what that means for a path. */
export function natOf(node: NodeOverview): { name: string; meaning: string } {
  if (node.plain_endpoint !== null) return { name: "unknown", meaning: "a peer without an agent measures nothing" };
  return MAPPINGS[node.nat.mapping ?? "unmeasured"];
}

const MAPPINGS: Record<Mapping | "unmeasured", { name: string; meaning: string }> = {
  none: { name: "no NAT", meaning: "its reflexive address is its own" },
  "endpoint-independent": {
    name: "endpoint-independent mapping",
    meaning: "one outside port for all destinations",
  },
  "address-dependent": {
    name: "address-dependent mapping",
    meaning: "one outside port per destination address",
  },
  "address-and-port-dependent": {
    name: "address-and-port-dependent mapping",
    meaning: "one outside port per destination address and port",
  },
  dependent: {
    name: "destination-dependent mapping",
    meaning: "its outside differs between destinations; whether by address or by port was not measured",
  },
  unmeasured: { name: "not measured", meaning: "no report yet, or no answer from a STUN server" },
};

/** What carries the traffic to a peer. */
export const PATHS: Record<PathKind, string> = { direct: "direct", relay: "relay", none: "no path" };

/** Who told an address. */
export function sourceOf(source: CandidateSource): string {
  if (typeof source === "string") return source;
  if ("interface" in source) return `interface ${source.interface}`;
  return "relay" in source ? `relay ${source.relay}` : `STUN server ${source["stun-server"]}`;
}

/** What a peer may try to reach a node: its candidates, or the endpoint that an administrator gave. */
export function addressesOf(node: NodeOverview): { kind: Candidate["kind"] | "endpoint"; address: string }[] {
  return node.plain_endpoint === null ? node.candidates : [{ kind: "endpoint", address: node.plain_endpoint }];
}
