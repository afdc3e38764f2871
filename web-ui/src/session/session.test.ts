import { expect, test } from "vitest";
import type { Overview } from "../api/generated/api";
import { after, type Session } from "./session";

const overview: Overview = { person: "owner", now_ms: 5, networks: [] };
const trouble = { kind: "trouble", why: "no connection" } as const;
const starting: Session = { state: "starting" };

test("a coordinator that was never reached shows nothing old", () => {
  expect(after(starting, trouble, 1)).toEqual({ state: "unreachable", why: "no connection" });
  expect(after({ state: "signed-out" }, trouble, 1)).toMatchObject({ state: "unreachable" });
});

test("trouble keeps what was shown, with its age, and the next answer ends it", () => {
  const shown = after(starting, { kind: "overview", overview }, 1000);
  const troubled = after(shown, trouble, 9000);
  expect(troubled).toEqual({ state: "signed-in", overview, at: 1000, trouble: "no connection" });
  expect(after(troubled, { kind: "overview", overview }, 9500)).toMatchObject({ at: 9500, trouble: null });
});

test("a session that ended shows nothing of what it showed", () => {
  const shown = after(starting, { kind: "overview", overview }, 1000);
  expect(after(shown, { kind: "signed-out" }, 2000)).toEqual({ state: "signed-out" });
});
