// What a node's report means, in the words of docs/glossary.md.

import type {
  Allocation,
  Candidate,
  CandidateSource,
  Mapping,
  NatProfile,
  NodeOverview,
  PathKind,
  PortMappingProtocol,
} from "../api/generated/api";

export type State = "online" | "offline" | "no agent";

export function stateOf(node: NodeOverview): State {
  if (node.plain_endpoint !== null) return "no agent";
  return node.online ? "online" : "offline";
}

/** The NAT in front of a node, in the words of `warren netcheck`: its mapping behaviour, and what else is known. */
export function natOf(node: NodeOverview): { name: string; facts: string[] } {
  if (node.plain_endpoint !== null) return { name: "unknown", facts: ["a peer without an agent measures nothing"] };
  return { name: node.nat.mapping === null ? "not measured" : MAPPINGS[node.nat.mapping], facts: factsOf(node.nat) };
}

const MAPPINGS: Record<Mapping, string> = {
  none: "no NAT",
  "endpoint-independent": "endpoint-independent mapping",
  "address-dependent": "address-dependent mapping",
  "address-and-port-dependent": "address-and-port-dependent mapping",
  dependent: "mapping depends on the destination",
};

function factsOf(nat: NatProfile): string[] {
  const facts = [];
  if (nat.allocation !== null) facts.push(portsOf(nat.allocation));
  if (nat.filtering !== null) facts.push(`${nat.filtering} filtering`);
  if (nat.hairpin !== null) facts.push(nat.hairpin ? "hairpins" : "does not hairpin");
  if (nat.inner_address !== null) facts.push(`a second NAT further out, ${nat.inner_address} between them`);
  if (nat.udp === "blocked") facts.push("UDP blocked");
  if (nat.is_contradicted === true) facts.push("peers see other ports than STUN servers");
  return facts;
}

function portsOf(allocation: Allocation): string {
  if (allocation === "preserving") return "ports kept";
  if (allocation === "random") return "random ports";
  if ("sequential" in allocation) return `ports in steps of ${allocation.sequential.step}`;
  return `ports ${allocation["port-block"].first} to ${allocation["port-block"].last}`;
}

/** What carries the traffic to a peer. */
export const PATHS: Record<PathKind, string> = { direct: "direct", idle: "idle", relay: "relay", none: "no path" };

/** Who told an address. */
export function sourceOf(source: CandidateSource): string {
  if (typeof source === "string") return source;
  if ("interface" in source) return `interface ${source.interface}`;
  if ("router" in source) return `router, by ${PROTOCOLS[source.router]}`;
  return "relay" in source ? `relay ${source.relay}` : `STUN server ${source["stun-server"]}`;
}

const PROTOCOLS: Record<PortMappingProtocol, string> = { pcp: "PCP", "nat-pmp": "NAT-PMP", "upnp-igd": "UPnP IGD" };

/** What a peer may try to reach a node: its candidates, or the endpoint that an administrator gave. */
export function addressesOf(node: NodeOverview): { kind: Candidate["kind"] | "endpoint"; address: string }[] {
  return node.plain_endpoint === null ? node.candidates : [{ kind: "endpoint", address: node.plain_endpoint }];
}
