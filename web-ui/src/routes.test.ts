import { expect, test } from "vitest";
import { href, parse, type Route } from "./routes";

test("a route survives its path, whatever a name holds", () => {
  const routes: Exclude<Route, { page: "unknown" }>[] = [
    { page: "networks" },
    { page: "servers" },
    { page: "node", network: "home", node: "alpha" },
    { page: "node", network: "a/b c%", node: "ä?#" },
    { page: "pair", network: "home", own: "alpha", peer: "bravo" },
    { page: "pair", network: "a/b", own: "ä", peer: "c%" },
  ];
  for (const route of routes) expect(parse(href(route))).toEqual(route);
});

test("a path that no page has is unknown", () => {
  for (const path of [
    "/networks",
    "/relays/x",
    "/networks/home",
    "/networks/home/nodes/a/b",
    "/x",
    "/networks/%E0%A4%A/nodes/a",
    "/networks/home/pairs/a",
    "/networks/home/pairs/a/%E0%A4%A",
  ]) {
    expect(parse(path), path).toEqual({ page: "unknown" });
  }
});
