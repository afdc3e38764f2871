import { expect, test } from "vitest";
import type { PlannedTechnique } from "../api/generated/api";
import { story } from "./example";
import { obstacleWords, stepsOf } from "./plan";

const names = { own: "alpha", peer: "bravo" };
const { plan } = story();

test("plain opening comes first and counts what to expect of its paths", () => {
  const remote = "192.0.2.1:1";
  const opening = {
    pairs: [
      { remote, prospect: "opens" },
      { remote, prospect: "unlikely", cause: "other-network" },
      { remote, prospect: "unlikely", cause: "other-network" },
    ] as const,
    rhythm_ms: [0, 50, 1700],
    chance_ppm: 990_000,
  };
  expect(stepsOf({ ...plan, opening: { ...opening, pairs: [...opening.pairs] } }, names)).toEqual([
    {
      name: "plain opening",
      what: "alpha probes 3 paths at once (1 with nothing known in the way, 2 unlikely), while bravo does the same.",
      chance: "99 %",
      cost: "3 probes per path in 1.7 s",
    },
  ]);
});

test("a technique names who maps and who probes, its chance and its cost", () => {
  const birthday: PlannedTechnique = {
    technique: "birthday",
    mapper: "peer",
    sockets: 256,
    probes: 2048,
    chance_ppm: 999_745,
    cost: { sockets: 256, probes: 2048, duration_ms: 11_240 },
  };
  expect(stepsOf({ ...plan, techniques: [birthday] }, names)[1]).toEqual({
    name: "birthday",
    what: "bravo opens 256 sockets; alpha probes up to 2,048 random ports until one is hit.",
    chance: "99.9 %",
    cost: "at most 2,048 probes, 256 sockets, 11.2 s",
  });
});

test("an obstacle names the side that it is on", () => {
  expect(obstacleWords({ kind: "udp-blocked", party: "peer" }, names)).toContain("bravo's network");
  expect(obstacleWords({ kind: "ports-on-both-sides", packets: 53_710 }, names)).toContain("about 54,000 packets");
});
