import { renderToString } from "preact-render-to-string";
import { beforeEach, expect, test, vi } from "vitest";
import type { NetworkOverview, NodeOverview, Overview } from "./api/generated/api";
import { Frame } from "./app";
import { node } from "./nodes/example";
import { parse } from "./routes";
import type { Session } from "./session/session";

const alpha = node("alpha", {
  paths: [
    { peer: "bravo", kind: "direct", remote: "203.0.113.7:41641", rtt_us: 4210 },
    { peer: "delta", kind: "relay", remote: null, rtt_us: null },
  ],
});
const home: NetworkOverview = { id: "1", name: "home", ranges: ["100.92.0.0/16"], nodes: [alpha] };

function signedIn(networks: NetworkOverview[], trouble: string | null = null): Session {
  const overview: Overview = { person: "owner", now_ms: 61_000, networks };
  return { state: "signed-in", overview, at: 0, trouble };
}

function page(session: Session, path = "/"): string {
  return renderToString(<Frame session={session} route={parse(path)} />);
}

beforeEach(() => {
  vi.stubGlobal("location", { pathname: "/", search: "" });
  return () => vi.unstubAllGlobals();
});

test("a row holds what the node reported", () => {
  const html = page(signedIn([home]));
  const words = ["alpha", "online", "100.92.0.1", "endpoint-independent mapping", "4.21 ms", "192.168.1.20:41641"];
  for (const word of words) expect(html).toContain(word);
});

test("text is text, whatever it holds", () => {
  const name = '<img src=x onerror="alert(1)">';
  const html = page(signedIn([{ ...home, name, nodes: [node("alpha", { agent_version: name })] }]));
  expect(html).toContain("&lt;img src=x");
  expect(html).not.toContain("<img src=x");
});

test("who is not signed in sees neither a footer nor a way to sign out", () => {
  for (const session of [
    { state: "starting" },
    { state: "signed-out" },
    { state: "unreachable", why: "no connection" },
  ] satisfies Session[]) {
    const html = page(session);
    expect(html, session.state).not.toContain("<footer");
    expect(html, session.state).not.toContain("Sign out");
  }
  expect(page(signedIn([home]))).toContain("Sign out");
});

test("a coordinator that stopped answering is said so above what it said last", () => {
  const html = page(signedIn([home], "no connection"));
  expect(html).toContain("The coordinator does not answer");
  expect(html).toContain("not live");
  expect(html).toContain("alpha");
  expect(page(signedIn([home]))).not.toContain("does not answer");
});

test("no network and no node are each answered with the command that makes one", () => {
  expect(page(signedIn([]))).toContain("admin network create");
  expect(page(signedIn([{ ...home, nodes: [] }]))).toContain("enrollment-key create --network home");
});

test("expected paths are offered where there are pairs to compare", () => {
  const phone = node("phone", { plain_endpoint: "203.0.113.9:51820" });
  const offers = (...nodes: NodeOverview[]) => page(signedIn([{ ...home, nodes }])).includes("Expected paths");
  expect(offers(alpha, node("bravo"))).toBe(true);
  expect(offers(alpha, phone)).toBe(false);
  expect(offers(...Array.from({ length: 1025 }, (_, number) => node(`node-${number}`)))).toBe(false);
});

test("a node has a page of its own, and a name that is no node says so", () => {
  const html = page(signedIn([home]), "/networks/home/nodes/alpha");
  for (const word of ["203.0.113.7:41641", "interface eth0", alpha.public_key, "1 min ago"])
    expect(html).toContain(word);
  for (const path of [
    "/networks/home/pairs/alpha/zulu",
    "/networks/home/pairs/alpha/alpha",
    "/networks/home/nodes/zulu",
    "/networks/other/nodes/alpha",
    "/nothing",
  ]) {
    expect(page(signedIn([home]), path), path).toContain("There is nothing here");
  }
});

test("every path of a node leads to the page of its pair, which waits for its facts", () => {
  const pair = "/networks/home/pairs/alpha/bravo";
  const both = [{ ...home, nodes: [alpha, node("bravo")] }];
  for (const path of ["/", "/networks/home/nodes/alpha"]) expect(page(signedIn(both), path), path).toContain(pair);
  const html = page(signedIn(both), pair);
  expect(html).toContain("Computing the explanation");
  expect(html).toContain("/networks/home/pairs/bravo/alpha");
});
