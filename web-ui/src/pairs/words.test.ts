import { expect, test } from "vitest";
import { nat } from "../nodes/example";
import { factsOf, lossWords, NOT_KNOWN, percent, statusWords } from "./words";

const wordsOf = (name: string, fields: Parameters<typeof nat>[1]) =>
  factsOf(nat(null, fields)).find((fact) => fact.name === name)?.value;

test("a chance is never certain by rounding, nor nothing", () => {
  expect([0, 9_999, 10_000, 995_555, 999_999, 1_000_000, null, undefined].map(percent)).toEqual([
    "0 %",
    "under 1 %",
    "1 %",
    "99.5 %",
    "99.9 %",
    "100 %",
    NOT_KNOWN,
    NOT_KNOWN,
  ]);
});

test("loss counts the lost probes of those seen, up to the highest bit", () => {
  const window = (lost: number, seen: number) => lossWords({ lost, seen, is_lossy: false });
  expect([window(0, 0), window(0, 5), window(0b101, 4), window(0xffff_ffff, 32)]).toEqual([
    "–",
    "0 % of 5",
    "50 % of 4",
    "100 % of 32",
  ]);
});

test("a status tells whether the path answers, and what was unanswered since", () => {
  expect([
    statusWords("untried"),
    statusWords({ probing: { sent: 3 } }),
    statusWords({ answered: { at: 5, unanswered: 0 } }),
    statusWords({ answered: { at: 5, unanswered: 2 } }),
    statusWords({ silent: { since: 0 } }),
  ]).toEqual(["not probed", "no answer", "answers", "answered, then 2 unanswered", "went silent"]);
});

test("what nobody measured is not known, whatever the fact", () => {
  expect(factsOf(nat(null)).map(({ value }) => value)).toEqual(Array(8).fill(NOT_KNOWN));
});

test("facts are told in RFC 4787's words", () => {
  expect(wordsOf("Mapping", { mapping: "address-dependent" })).toMatch(/^address-dependent: one outside port/);
  expect(wordsOf("Filtering", { filtering: "address-and-port-dependent" })).toContain("or laxer");
  expect(wordsOf("Allocation", { allocation: { sequential: { step: -2 } } })).toBe("sequential: −2 per mapping");
  expect(wordsOf("Allocation", { allocation: { "port-block": { first: 2048, last: 2559 } } })).toBe(
    "port block: 2048 to 2559",
  );
  expect(wordsOf("Hairpinning", { hairpin: false })).toBe("no");
  expect(wordsOf("Layers", { inner_address: "100.64.0.7" })).toContain("100.64.0.7");
});

test("a lifetime is bounded by what was seen of it", () => {
  const lifetime = (longer_than_ms: number | null, shorter_than_ms: number | null) =>
    wordsOf("Mapping lifetime", { lifetime: { longer_than_ms, shorter_than_ms } });
  expect([lifetime(30_000, null), lifetime(null, 60_000), lifetime(30_000, 60_000), lifetime(null, null)]).toEqual([
    "longer than 30 s without a packet",
    "shorter than 1 min without a packet",
    "between 30 s and 1 min without a packet",
    NOT_KNOWN,
  ]);
});
