import { renderToString } from "preact-render-to-string";
import { expect, test } from "vitest";
import type { Relay, StunServer } from "../api/generated/api";
import { Servers } from "./servers-page";

const nodes = {
  reached: 3,
  unreached: 1,
  rtt_median_us: 12_300,
  rtt_p95_us: 90_000,
  last_reached_at_ms: 55_000,
  unreached_by: [{ name: "delta", id: "1" }],
};
const relay: Relay = {
  id: "2",
  name: "par1",
  origin: "registered",
  disabled: false,
  public_key: "key",
  addresses: ["203.0.113.20:443"],
  stun_servers: [],
  created_at_ms: 1,
  nodes,
  checks: [{ address: "203.0.113.20:443", at_ms: 60_000, result: "token-refused", rtt_us: 1_000 }],
};
const stun: StunServer = {
  id: null,
  name: "coordinator",
  origin: "settings",
  disabled: false,
  address: "203.0.113.10:3478",
  created_at_ms: null,
  asked: true,
  nodes: null,
  check: null,
};

function html(relays: Relay[]): string {
  return renderToString(<Servers known={{ list: { relays, verify_key: "v" }, stun: [stun] }} now={61_000} />);
}

test("a row has who reaches a relay, how fast, and what it answers", () => {
  const words = ["par1", "3 of 4 nodes", "not delta", "12.3 ms", "90.0 ms", "6 s ago", "another --verify-key"];
  for (const word of words) expect(html([relay])).toContain(word);
});

test("what is not known is said to be so", () => {
  expect(html([relay])).toContain("not known");
  expect(html([{ ...relay, disabled: true, checks: [] }])).toContain("disabled");
  expect(html([])).toContain("There is none");
});
