import { expect, test } from "vitest";
import type { Candidate, ExplainedCandidate } from "../api/generated/api";
import { nat } from "../nodes/example";
import { report, story, view } from "./example";
import { boxOf, boxWords, type Choice, measuredChoice, scenarioOf } from "./scenario";

const reflexive = (address: string): Candidate => ({ kind: "server-reflexive", address, source: "peer" });

function explained(rtt_us: number | null): ExplainedCandidate {
  const loss = { lost: 0, seen: 0, is_lossy: false };
  const rtt = rtt_us === null ? null : { rtt_us, variation_us: 0 };
  return {
    candidate: { kind: "host", address: "192.168.1.11:1", source: { interface: "eth0" } },
    status: { answered: { at: 0, unanswered: 0 } },
    quality: { rtt, loss, payload_max: null, data_lost_at: null, data_losses: 0 },
    reason: { code: "best" },
    sentence: "carries the traffic: the best path that answers",
  };
}

function pairOf(own: string, peer: string) {
  const nodes = {
    own: view("alpha", { candidates: [reflexive(own)] }),
    peer: view("bravo", { candidates: [reflexive(peer)] }),
  };
  return report({ pair: { ...nodes, mesh: [], relays: [] } });
}

test("one outside address means one NAT, and one network where a host address answers", () => {
  const [home, cafe] = ["203.0.113.1:41641", "203.0.113.2:41641"];
  const inside = story({ peer_candidates: [explained(1000)] });
  expect(measuredChoice(pairOf(home, cafe), inside).place).toBe("internet");
  expect(measuredChoice(pairOf(home, "203.0.113.1:5"), inside).place).toBe("one-network");
  expect(measuredChoice(pairOf(home, "203.0.113.1:5"), story()).place).toBe("one-carrier");
});

test("the form begins with what was measured", () => {
  const own = view("alpha", { nat: nat(null, { udp: "blocked" }) });
  const peer = view("bravo", { nat: nat(null, { hairpin: true }) });
  const choice = measuredChoice(report({ pair: { own, peer, mesh: [], relays: [] } }), story());
  expect(choice.nodes.map(({ router, isUdpBlocked }) => [router, isUdpBlocked])).toEqual([
    ["measured", true],
    ["measured", false],
  ]);
  expect(choice.isHairpinning).toBe(true);
});

test("measured facts become a box, and what is not known is taken as strict", () => {
  const words = (fields: Parameters<typeof nat>[1]) => boxWords(boxOf("measured", nat(null, fields)));
  expect(words({})).toBe("endpoint-independent mapping, address-and-port-dependent filtering, preserving ports");
  expect(words({ mapping: "none" })).toBe("no NAT, but a firewall with address-and-port-dependent filtering");
  expect(words({ mapping: "none", filtering: "endpoint-independent" })).toBe("no NAT");
  expect(words({ mapping: "dependent" })).toContain("random ports");
  expect(words({ mapping: "endpoint-independent", is_contradicted: true })).toMatch(/^address-and-port-dependent/);
  const block = { "port-block": { first: 2048, last: 2559 } } as const;
  expect(words({ mapping: "address-dependent", allocation: block })).toContain("a block of 512 ports");
  expect(boxOf("measured", nat(null, { lifetime: { shorter_than_ms: 30_000 } }))?.mapping_timeout_ms).toBe(30_000);
});

test("a scenario holds what the form says", () => {
  const choice: Choice = {
    nodes: [
      { router: "none", isUdpBlocked: true },
      { router: "sequential", isUdpBlocked: false },
    ],
    place: "one-carrier",
    isHairpinning: true,
  };
  const scenario = scenarioOf(choice, report(), story({ peer_candidates: [explained(20_400)] }), 7);
  expect(scenario).toMatchObject({ seed: 7, same_network: false, shared: [{ hairpinning: "open" }] });
  expect(scenario.nodes[0]).toMatchObject({ name: "alpha", boxes: [], is_udp_blocked: true, delay_ms: 5 });
  expect(scenario.nodes[1].boxes).toMatchObject([{ allocation: { sequential: { step: 1 } } }]);
  expect(scenarioOf({ ...choice, place: "one-network" }, report(), story(), 0)).toMatchObject({
    same_network: true,
    shared: [],
    nodes: [{ delay_ms: 10 }, { delay_ms: 10 }],
  });
});
