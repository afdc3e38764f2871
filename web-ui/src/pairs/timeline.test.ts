import { expect, test } from "vitest";
import type { Run, RunEvent } from "../api/generated/api";
import { nat } from "../nodes/example";
import { story } from "./example";
import { costOf, eventWords, outcomeOf, spanMs, stretchesOf } from "./timeline";

const nodes = ["alpha", "bravo"] as const;
const relay = "198.51.100.10:3478";
const remote = "203.0.113.13:63798";

const events: RunEvent[] = [
  { at_ms: 20, node: 0, event: "path-changed", remote: relay, is_relay: true },
  { at_ms: 30, node: 1, event: "path-changed", remote: relay, is_relay: true },
  { at_ms: 5000, node: 0, event: "path-changed", remote, is_relay: false },
];

function run(fields: Partial<Run> = {}): Run {
  return {
    direct_after_ms: 5036,
    is_direct: true,
    events,
    probes: [1170, 111],
    mappings_max: [1, 256],
    explanation: story(),
    ...fields,
  };
}

test("an outcome says when it became direct, or why it did not", () => {
  expect(outcomeOf(run(), nodes).sentence).toBe("Direct after 5.0 s.");
  const plan = { ...story().plan, obstacle: { kind: "udp-blocked", party: "peer" } as const };
  const stays = run({ is_direct: false, explanation: story({ carrier: "relay", plan }) });
  expect(outcomeOf(stays, nodes)).toMatchObject({ kind: "relay", sentence: "It stays on the relay." });
  expect(outcomeOf(stays, nodes).why).toContain("bravo's network");
  const nothing = run({ is_direct: false, explanation: story({ carrier: "nothing", sentence: "No path." }) });
  expect(outcomeOf(nothing, nodes)).toEqual({ kind: "none", sentence: "Nothing connects the two.", why: "No path." });
});

test("stretches cover the whole time of a node, without a gap", () => {
  expect(stretchesOf(run(), 0, 6000)).toEqual([
    { kind: "none", fromMs: 0, toMs: 20 },
    { kind: "relay", fromMs: 20, toMs: 5000 },
    { kind: "direct", fromMs: 5000, toMs: 6000 },
  ]);
  expect(stretchesOf(run({ events: [] }), 1, 6000)).toEqual([{ kind: "none", fromMs: 0, toMs: 6000 }]);
});

test("the time shown ends a little after the last event", () => {
  expect([spanMs(run()), spanMs(run({ events: [] }))]).toEqual([6000, 1000]);
});

test("an attempt is told from the node that began it", () => {
  const birthday = { technique: "birthday", mapper: "own", sockets: 256, probes: 2048 } as const;
  const began = (node: number) => eventWords({ at_ms: 0, node, event: "attempt-began", ...birthday }, nodes);
  expect(began(0)).toContain("alpha opens 256 sockets; bravo probes");
  expect(began(1)).toContain("bravo opens 256 sockets; alpha probes");
});

test("every event has words", () => {
  const learnt = (fields: Parameters<typeof nat>[1]) =>
    eventWords({ at_ms: 0, node: 0, event: "learnt", nat: nat(null, fields) }, nodes);
  expect(learnt({ mapping: "endpoint-independent" })).toBe("learns of its NAT: mapping endpoint-independent");
  expect(learnt({})).toBe("learns nothing of its NAT");
  expect(events.map((event) => eventWords(event, nodes))).toEqual([
    "sends over the relay",
    "sends over the relay",
    `sends directly to ${remote}`,
  ]);
  // The module leaves out what is null.
  const nowhere = { at_ms: 0, node: 0, event: "path-changed", is_relay: false } as unknown as RunEvent;
  expect(eventWords(nowhere, nodes)).toBe("reaches nothing");
});

test("what it took is told for both", () => {
  expect(costOf(run(), nodes)).toBe(
    "Probes: 1,170 by alpha, 111 by bravo. Mappings on the nearest router, other hosts' included: at most 1 for alpha, 256 for bravo.",
  );
});
