import { expect, test } from "vitest";
import { nat, node } from "../nodes/example";
import { comparable, inputOf, rowsOf, sentenceOf } from "./outlook";

const outlook = (direct: number, technique = 0, relay = 0, unknown = 0) => ({ direct, technique, relay, unknown });

test("a peer without an agent is not compared", () => {
  const nodes = [node("alpha"), node("phone", { plain_endpoint: "203.0.113.9:51820", candidates: [] })];
  expect(comparable(nodes).map(({ name }) => name)).toEqual(["alpha"]);
});

test("the selection gets candidates and NATs, and nothing else", () => {
  const alpha = node("alpha", { nat: nat("none") });
  expect(inputOf([alpha])).toEqual({ nodes: [{ candidates: alpha.candidates, nat: alpha.nat }] });
});

test("the node with the fewest direct paths comes first, and equal ones by name", () => {
  const nodes = [node("charlie"), node("alpha"), node("bravo")];
  const rows = rowsOf(nodes, [outlook(1), outlook(1), outlook(0, 2)]);
  expect(rows.map(({ name, outlook }) => [name, outlook.direct])).toEqual([
    ["bravo", 0],
    ["alpha", 1],
    ["charlie", 1],
  ]);
});

test("a pair counts once, and kinds that no pair is of are left out", () => {
  expect(sentenceOf([outlook(1, 1), outlook(1, 0, 1), outlook(0, 1, 1)])).toBe(
    "Of 3 pairs: 1 direct, 1 direct if a technique succeeds, 1 over a relay.",
  );
  expect(sentenceOf([outlook(0, 0, 0, 1), outlook(0, 0, 0, 1)])).toBe("Of 1 pair: 1 not known.");
});
