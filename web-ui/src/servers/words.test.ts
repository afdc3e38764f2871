import { expect, test } from "vitest";
import type { NodeFigures } from "../api/generated/api";
import { checkWords, missingWords, reachClass, reachWords } from "./words";

function figures(reached: number, names: string[], unreached = names.length): NodeFigures {
  const unreached_by = names.map((name) => ({ name, id: name }));
  return { reached, unreached, rtt_median_us: null, rtt_p95_us: null, last_reached_at_ms: null, unreached_by };
}

test("who does not reach a server is named, up to five", () => {
  expect(missingWords(figures(3, []))).toBeNull();
  expect(missingWords(figures(3, ["a", "b"]))).toBe("not a, b");
  expect(missingWords(figures(3, ["a", "b", "c", "d", "e", "f"], 30))).toBe("not a, b, c, d, e and 25 more");
  expect(missingWords(figures(3, [], 2))).toBe("not 2, of other organizations");
});

test("a server that some do not reach is neither well nor gone", () => {
  expect([figures(0, []), figures(2, []), figures(1, ["a"]), figures(0, ["a"])].map(reachClass)).toEqual([
    "state plain",
    "state online",
    "state partly",
    "state offline",
  ]);
  expect(reachWords(figures(1, ["a"]))).toBe("1 of 2 nodes");
  expect(reachWords(figures(0, []))).toBe("no node says");
});

test("an answer says how soon it came and how old it is", () => {
  const check = { address: "203.0.113.7:443", at_ms: 1_000, rtt_us: 12_340 };
  expect(checkWords({ ...check, result: "serves" }, 6_000)).toBe("serves in 12.3 ms, 5 s ago");
  expect(checkWords({ ...check, result: "silent", rtt_us: null }, 6_000)).toBe("no answer, 5 s ago");
});
