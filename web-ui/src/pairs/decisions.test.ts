import { expect, test } from "vitest";
import type { Explanation, PairReport } from "../api/generated/api";
import { directionsOf, summaryOf } from "./decisions";
import { path, report, story, view } from "./example";

function told(given: PairReport, forth: Explanation = story(), back: Explanation = story()) {
  const directions = directionsOf(given, forth, back);
  return { verdicts: directions.map(({ verdict }) => verdict), summary: summaryOf(directions), directions };
}

test("agents that decided what is computed agree, each in its own direction", () => {
  const { verdicts, summary, directions } = told(report());
  expect(verdicts).toEqual(["agree", "agree"]);
  expect(summary).toBe("Both agents decided what this page computes from their reports.");
  expect(directions.map(({ from, to, reportedAt }) => [from, to, reportedAt])).toEqual([
    ["alpha", "bravo", 1000],
    ["bravo", "alpha", 2000],
  ]);
});

test("another carrier and another address are both a difference, and both values are kept", () => {
  const relay = "198.51.100.10:3478";
  const given = report({
    own_decision: path("bravo", { kind: "relay", remote: relay }),
    peer_decision: path("alpha", { remote: "203.0.113.7:1" }),
  });
  const { verdicts, summary, directions } = told(given);
  expect(verdicts).toEqual(["differ", "differ"]);
  expect(summary).toMatch(/^alpha and bravo decided otherwise than this page computes\./);
  expect(directions[0].computed).toEqual({ kind: "direct", remote: "203.0.113.7:41641" });
  expect(directions[0].decided).toMatchObject({ kind: "relay", remote: relay });
});

test("each direction is compared with the story that its own side tells", () => {
  const given = report({ peer_decision: path("alpha", { kind: "none", remote: null }) });
  const nothing = story({ carrier: "nothing" });
  delete nothing.chosen;
  expect(told(given, story(), nothing).verdicts).toEqual(["agree", "agree"]);
  expect(told(given, nothing, story()).verdicts).toEqual(["differ", "differ"]);
});

test("what was not reported is not called a difference", () => {
  const silent = report({ peer_decision: null });
  expect(told(silent).verdicts).toEqual(["agree", "no report"]);
  expect(told(silent).summary).toBe(
    "alpha decided what this page computes from the reports. bravo reported nothing of this pair.",
  );
  const own = view("alpha");
  delete own.paths;
  const unproven = report({ pair: { own, peer: view("bravo"), mesh: [], relays: [] } });
  expect(told(unproven).verdicts).toEqual(["no evidence", "agree"]);
  expect(told(unproven).summary).toContain("alpha reported a decision without its evidence.");
});
