// Nodes and NATs for tests.

import type { Mapping, NatProfile, NodeOverview } from "../api/generated/api";

export function node(name: string, fields: Partial<NodeOverview> = {}): NodeOverview {
  return {
    id: `id-of-${name}`,
    name,
    dns_name: `${name}.home.warren.internal`,
    public_key: `${name.padEnd(43, "A")}=`,
    addresses: ["100.92.0.1/16", "fd57:6172:7265::1/48"],
    online: true,
    reported_at_ms: 1_000,
    candidates: [{ kind: "host", address: "192.168.1.20:41641", source: { interface: "eth0" } }],
    nat: nat("endpoint-independent"),
    agent_version: "0.1.0",
    plain_endpoint: null,
    paths: [],
    ...fields,
  };
}

export function nat(mapping: Mapping | null, fields: Partial<NatProfile> = {}): NatProfile {
  return {
    mapping,
    filtering: null,
    allocation: null,
    hairpin: null,
    lifetime: null,
    inner_address: null,
    udp: null,
    is_contradicted: null,
    ...fields,
  };
}
