import { expect, test } from "vitest";
import { nat, node } from "./example";
import { addressesOf, natOf, sourceOf, stateOf } from "./words";

test("what is known of a NAT is told, and nothing that is not", () => {
  const known = nat("address-and-port-dependent", {
    allocation: { sequential: { step: 2 } },
    filtering: "address-dependent",
    hairpin: false,
    inner_address: "100.64.0.7",
    udp: "open",
    is_contradicted: true,
  });
  expect(natOf(node("a", { nat: known }))).toEqual({
    name: "address-and-port-dependent mapping",
    facts: [
      "ports in steps of 2",
      "address-dependent filtering",
      "does not hairpin",
      "a second NAT further out, 100.64.0.7 between them",
      "peers see other ports than STUN servers",
    ],
  });
  expect(natOf(node("a", { nat: nat(null) }))).toEqual({ name: "not measured", facts: [] });
  expect(natOf(node("a", { nat: nat(null, { udp: "blocked" }) })).facts).toEqual(["UDP blocked"]);
});

test("a peer without an agent has a state and an address of its own", () => {
  const phone = node("phone", { plain_endpoint: "203.0.113.9:51820", online: false, candidates: [] });
  expect(stateOf(phone)).toBe("no agent");
  expect(addressesOf(phone)).toEqual([{ kind: "endpoint", address: "203.0.113.9:51820" }]);
});

test("each source of a candidate has its words", () => {
  const sources = ["peer", { interface: "eth0" }, { "stun-server": "198.51.100.10:3478" }, { router: "pcp" }] as const;
  expect(sources.map(sourceOf)).toEqual(["peer", "interface eth0", "STUN server 198.51.100.10:3478", "router, by PCP"]);
});
