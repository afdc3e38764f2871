import { expect, test } from "vitest";
import type { PathKind, PathOverview } from "../api/generated/api";
import { node } from "../nodes/example";
import { summaryOf } from "./summary";

const path = (peer: string, kind: PathKind): PathOverview => ({ peer, kind, remote: null, rtt_us: null });

test("a pair counts once, and as its worse side", () => {
  const nodes = [
    node("a", { paths: [path("b", "direct"), path("c", "direct"), path("d", "none")] }),
    node("b", { paths: [path("a", "direct"), path("c", "relay")] }),
    node("c", { paths: [path("a", "relay"), path("b", "direct")], online: false }),
    node("d"),
  ];
  const summary = summaryOf({ id: "1", name: "home", ranges: [], nodes });
  expect(summary).toEqual({ nodes: 4, online: 3, pairs: { direct: 1, idle: 0, relay: 2, none: 1 } });
});

test("a pair that one side still sends directly is idle once the other side rests", () => {
  const nodes = [node("a", { paths: [path("b", "direct")] }), node("b", { paths: [path("a", "idle")] })];
  expect(summaryOf({ id: "1", name: "home", ranges: [], nodes }).pairs).toMatchObject({ direct: 0, idle: 1 });
});
