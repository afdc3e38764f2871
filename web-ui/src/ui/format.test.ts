import { expect, test } from "vitest";
import { age, counted, host, rtt } from "./format";

test("a round-trip time keeps the digits that mean something", () => {
  expect([null, 87, 4_210, 23_456, 187_654].map(rtt)).toEqual(["–", "0.09 ms", "4.21 ms", "23.5 ms", "188 ms"]);
});

test("an age is told in its largest sensible unit, and never below nothing", () => {
  const ages = [-500, 59_999, 60_000, 3_600_000, 47.9 * 3_600_000, 48 * 3_600_000];
  expect(ages.map(age)).toEqual(["0 s", "59 s", "1 min", "1 h", "47 h", "2 d"]);
});

test("words agree with their number, and an address loses its prefix length", () => {
  expect([counted(0, "node"), counted(1, "node"), host("100.92.0.1/16"), host("fd57::1/48")]).toEqual([
    "0 nodes",
    "1 node",
    "100.92.0.1",
    "fd57::1",
  ]);
});
