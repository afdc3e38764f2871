// A network in a few figures.

import type { NetworkOverview, PathKind } from "../api/generated/api";

export interface Summary {
  nodes: number;
  online: number;
  /** Pairs of nodes by the path that carries their traffic, as their nodes last reported it. */
  pairs: Record<PathKind, number>;
}

/** Each side chooses the path it sends on: a pair is as good as its worse side. */
const WORSE: readonly PathKind[] = ["direct", "idle", "relay", "none"];

export function summaryOf(network: NetworkOverview): Summary {
  const kinds = new Map<string, PathKind>();
  for (const node of network.nodes) {
    for (const path of node.paths) {
      const pair = [node.name, path.peer].sort().join(" ");
      const known = kinds.get(pair) ?? "direct";
      kinds.set(pair, WORSE.indexOf(path.kind) > WORSE.indexOf(known) ? path.kind : known);
    }
  }
  const pairs: Record<PathKind, number> = { direct: 0, idle: 0, relay: 0, none: 0 };
  for (const kind of kinds.values()) pairs[kind] += 1;
  return { nodes: network.nodes.length, online: network.nodes.filter((node) => node.online).length, pairs };
}
