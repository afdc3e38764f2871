// What would happen if the routers were others: the form's choices, and the scenario that the simulation plays.

import type {
  Dependence,
  Explanation,
  Mapping,
  NatBehaviour,
  NatProfile,
  NodeView,
  PairReport,
  PortAllocation,
  Scenario,
  SimulatedNode,
} from "../api/generated/api";

export type Router =
  | "measured"
  | "none"
  | "independent-filter"
  | "address-filter"
  | "port-filter"
  | "random"
  | "sequential"
  | "port-block";

/** How the two are placed. */
export type Place = "internet" | "one-network" | "one-carrier";

export interface NodeChoice {
  router: Router;
  isUdpBlocked: boolean;
}

export interface Choice {
  nodes: [NodeChoice, NodeChoice];
  place: Place;
  /** Of the NAT that both share; no other can turn their packets round. */
  isHairpinning: boolean;
}

/** Simulated time: enough for plain opening, an attempt, its pause, and two more. */
const DURATION_MS = 60_000;

/** The least that RFC 4787 REQ-5 allows. */
const TIMEOUT_MS = 120_000;

/** Ports of a block; carriers give 64 to 4,096. */
const BLOCK = 512;

/** Connections that other hosts open on each router: a busy household, as plans assume. */
export const FOREIGN_FLOWS_PER_S = 20;

/** One way to the middle of the internet, where no round trip was measured. */
const DELAY_MS = 10;

const INDEPENDENT = "endpoint-independent";
const STRICT = "address-and-port-dependent";

export const ROUTERS: Record<Exclude<Router, "measured">, { name: string; box: NatBehaviour | null }> = {
  none: { name: "no NAT", box: null },
  "independent-filter": {
    name: "endpoint-independent mapping, endpoint-independent filtering",
    box: box(INDEPENDENT, INDEPENDENT),
  },
  "address-filter": {
    name: "endpoint-independent mapping, address-dependent filtering",
    box: box(INDEPENDENT, "address-dependent"),
  },
  "port-filter": {
    name: "endpoint-independent mapping, address-and-port-dependent filtering",
    box: box(INDEPENDENT, STRICT),
  },
  random: { name: "address-and-port-dependent mapping, random ports", box: box(STRICT, STRICT) },
  sequential: {
    name: "address-and-port-dependent mapping, sequential ports",
    box: box(STRICT, STRICT, { sequential: { step: 1 } }),
  },
  "port-block": {
    name: `address-and-port-dependent mapping, block of ${BLOCK} ports`,
    box: box(STRICT, STRICT, { "port-block": { size: BLOCK } }),
  },
};

export const PLACES: Record<Place, string> = {
  internet: "in different places",
  "one-network": "in one network",
  "one-carrier": "behind one carrier's NAT",
};

/** What was measured, as the form's first choice. */
export function measuredChoice({ pair: { own, peer } }: PairReport, story: Explanation): Choice {
  const node = ({ nat }: NodeView): NodeChoice => ({ router: "measured", isUdpBlocked: nat.udp === "blocked" });
  return {
    nodes: [node(own), node(peer)],
    place: placeOf(own, peer, story),
    isHairpinning: own.nat.hairpin ?? peer.nat.hairpin ?? false,
  };
}

/** Nodes with one outside address are behind one NAT, and in one network where a host address answers. */
function placeOf(own: NodeView, peer: NodeView, story: Explanation): Place {
  const outside = ({ candidates }: NodeView) =>
    candidates.filter(({ kind }) => kind === "server-reflexive").map(({ address }) => ipOf(address));
  const theirs = outside(peer);
  if (!outside(own).some((ip) => theirs.includes(ip))) return "internet";
  const isInside = story.peer_candidates.some(
    ({ candidate, status }) => candidate.kind === "host" && typeof status === "object" && "answered" in status,
  );
  return isInside ? "one-network" : "one-carrier";
}

function ipOf(address: string): string {
  return address.replace(/:\d+$/, "");
}

/** The scenario of a choice; `seed` is where chance begins. */
export function scenarioOf(choice: Choice, report: PairReport, story: Explanation, seed: number): Scenario {
  const { own, peer } = report.pair;
  const delay_ms = delayOf(story);
  const node = ({ name, nat }: NodeView, { router, isUdpBlocked }: NodeChoice): SimulatedNode => {
    const behaviour = boxOf(router, nat);
    return {
      name,
      boxes: behaviour === null ? [] : [behaviour],
      is_udp_blocked: isUdpBlocked,
      delay_ms,
      foreign_flows_per_s: FOREIGN_FLOWS_PER_S,
      starts_at_ms: 0,
      are_servers_exempt: false,
      has_port_mapping: false,
      has_ipv6: false,
    };
  };
  const carrier = { ...box(INDEPENDENT, STRICT), hairpinning: choice.isHairpinning ? "open" : "none" } as const;
  return {
    seed,
    nodes: [node(own, choice.nodes[0]), node(peer, choice.nodes[1])],
    shared: choice.place === "one-carrier" ? [carrier] : [],
    same_network: choice.place === "one-network",
    carrier_server: false,
    loss_ppm: 0,
    duration_ms: DURATION_MS,
    changes: [],
  };
}

/** The box in front of a node; null: it has none. */
export function boxOf(router: Router, nat: NatProfile): NatBehaviour | null {
  return router === "measured" ? measuredBox(nat) : ROUTERS[router].box;
}

/** A box in words. */
export function boxWords(behaviour: NatBehaviour | null): string {
  if (behaviour === null) return "no NAT";
  const filtering = `${behaviour.filtering} filtering`;
  if (behaviour.mapping === null) return `no NAT, but a firewall with ${filtering}`;
  return `${behaviour.mapping} mapping, ${filtering}, ${allocationName(behaviour.allocation)} ports`;
}

function allocationName(allocation: PortAllocation): string {
  if (typeof allocation === "string") return allocation;
  return "sequential" in allocation ? "sequential" : `a block of ${allocation["port-block"].size}`;
}

/** What was measured as a box. What is not known is taken as most routers are: one outside port, and a strict filter. */
function measuredBox(nat: NatProfile): NatBehaviour | null {
  const mapping = nat.is_contradicted ? STRICT : DEPENDENCES[nat.mapping ?? INDEPENDENT];
  const filtering = nat.filtering ?? STRICT;
  if (mapping === null && filtering === INDEPENDENT) return null;
  const timeout = nat.lifetime?.shorter_than_ms ?? Math.max(TIMEOUT_MS, nat.lifetime?.longer_than_ms ?? 0);
  return {
    ...box(mapping, filtering, allocationOf(nat)),
    mapping_timeout_ms: timeout,
    filter_timeout_ms: timeout,
  };
}

const DEPENDENCES: Record<Mapping, Dependence | null> = {
  none: null,
  "endpoint-independent": INDEPENDENT,
  "address-dependent": "address-dependent",
  "address-and-port-dependent": STRICT,
  dependent: STRICT,
};

function allocationOf({ allocation }: NatProfile): PortAllocation | undefined {
  if (allocation === null) return undefined;
  if (typeof allocation === "string" || "sequential" in allocation) return allocation;
  const { first, last } = allocation["port-block"];
  return { "port-block": { size: last - first + 1 } };
}

/** As `NatBehaviour::new` in Rust: keeps ports where one mapping serves all, and draws them where not. */
function box(mapping: Dependence | null, filtering: Dependence, allocation?: PortAllocation): NatBehaviour {
  return {
    mapping,
    filtering,
    allocation: allocation ?? (mapping === INDEPENDENT || mapping === null ? "preserving" : "random"),
    mapping_timeout_ms: TIMEOUT_MS,
    filter_timeout_ms: TIMEOUT_MS,
    inbound_refresh: false,
    hairpinning: "none",
    mappings_max: null,
  };
}

/** A quarter of the shortest round trip of the two: out to the middle, in from it, and back. */
function delayOf(story: Explanation): number {
  const trips = [...story.peer_candidates, ...story.own_candidates].flatMap(({ quality }) => quality.rtt?.rtt_us ?? []);
  return trips.length === 0 ? DELAY_MS : Math.min(1000, Math.max(1, Math.round(Math.min(...trips) / 4000)));
}
