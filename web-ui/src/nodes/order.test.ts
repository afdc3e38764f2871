import { expect, test } from "vitest";
import { nat, node } from "./example";
import { queryOf, shown, sortedBy, type View, viewOf } from "./order";

const usual = viewOf("");
const names = (view: View) => shown(nodes, view).map((node) => node.name);
const nodes = [
  node("web-10", { online: false, nat: nat("address-and-port-dependent", { filtering: "address-dependent" }) }),
  node("web-2", { addresses: ["100.92.0.2/16"] }),
  node("phone", { plain_endpoint: "203.0.113.9:51820", candidates: [] }),
  node("database", { online: false }),
];

test("a view survives its query, and the usual one needs none", () => {
  expect(queryOf(usual)).toBe("");
  const views: View[] = [
    { filter: "", column: "name", isDescending: true },
    { filter: "a b&c=%", column: "state", isDescending: false },
    { filter: "", column: "nat", isDescending: true },
  ];
  for (const view of views) expect(viewOf(queryOf(view))).toEqual(view);
});

test("a query that is not understood gives the usual order", () => {
  for (const query of ["?sort=size", "?sort=-", "?sort=--name", "?other=1"])
    expect(viewOf(query), query).toEqual(usual);
});

test("numbers inside names count as numbers", () => {
  expect(names(usual)).toEqual(["database", "phone", "web-2", "web-10"]);
});

test("a second click on a column turns its order, and equal ones stay ordered by name", () => {
  const byState = sortedBy(usual, "state");
  expect(names(byState)).toEqual(["web-2", "phone", "database", "web-10"]);
  expect(names(sortedBy(byState, "state"))).toEqual(["database", "web-10", "phone", "web-2"]);
  expect(sortedBy(sortedBy(byState, "state"), "state")).toEqual(byState);
});

test("a filter finds every word anywhere in a row", () => {
  expect(names({ ...usual, filter: "web 100.92.0.2" })).toEqual(["web-2"]);
  expect(names({ ...usual, filter: "OFFLINE" })).toEqual(["database", "web-10"]);
  expect(names({ ...usual, filter: "address-dependent filtering" })).toEqual(["web-10"]);
  expect(names({ ...usual, filter: "endpoint 203.0.113.9" })).toEqual(["phone"]);
  expect(names({ ...usual, filter: "192.168.1.20 nothing" })).toEqual([]);
});
