import { afterEach, expect, test, vi } from "vitest";
import { overview, pair, signInWith, signOut } from "./client";

const problem = { title: "the coordinator cannot answer now", detail: "try again" };

function answer(status: number, body: BodyInit | null): void {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body, { status })));
}

afterEach(() => vi.unstubAllGlobals());

test("an overview is handed on", async () => {
  const body = { person: "owner", now_ms: 1, networks: [] };
  answer(200, JSON.stringify(body));
  expect(await overview()).toEqual({ kind: "overview", overview: body });
});

test("a pair is asked for by the ids of its nodes", async () => {
  const report = { pair: { own: {}, peer: {} }, reported_at_ms: [1, null] };
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    return Promise.resolve(new Response(JSON.stringify(report)));
  });
  expect(await pair("a", "b/c")).toEqual({ kind: "pair", report });
  expect(asked).toEqual(["/api/v1/pairs/a/b%2Fc"]);
});

test("401 means signed out", async () => {
  answer(401, JSON.stringify(problem));
  expect(await overview()).toEqual({ kind: "signed-out" });
});

test("a refusal gives the words of its problem document, or its status", async () => {
  answer(503, JSON.stringify(problem));
  expect(await overview()).toEqual({ kind: "trouble", why: "the coordinator cannot answer now; try again" });
  answer(502, "<h1>Bad gateway</h1>");
  expect(await overview()).toEqual({ kind: "trouble", why: "it answers with status 502" });
  answer(403, JSON.stringify({ title: "this sign-in link is used" }));
  expect(await signInWith("/sign-in/x")).toBe("this sign-in link is used");
});

test("another server's page is no answer", async () => {
  for (const body of ["<h1>Sign in to the hotel</h1>", "null", "{}", "[]"]) {
    answer(200, body);
    expect(await overview(), body).toMatchObject({ kind: "trouble" });
    expect(await pair("a", "b"), body).toMatchObject({ kind: "trouble" });
  }
});

test("a coordinator that is not there is no exception", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  expect(await overview()).toEqual({ kind: "trouble", why: "no connection" });
  vi.stubGlobal("fetch", () => Promise.reject(new DOMException("", "TimeoutError")));
  expect(await overview()).toEqual({ kind: "trouble", why: "no answer in time" });
  expect(await signOut()).toBe("no answer in time");
});
