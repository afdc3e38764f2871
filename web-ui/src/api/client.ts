// What is asked of the coordinator, and every way in which it may fail to answer.

import type { Overview } from "./generated/api";

/** The answer to a question that needs a session. */
export type Answer =
  | { kind: "overview"; overview: Overview }
  | { kind: "signed-out" }
  /** No answer, or one that says that there is none now. `why` is for people. */
  | { kind: "trouble"; why: string };

/** How long an answer may take: a coordinator answers within milliseconds, a bad line within seconds. */
const PATIENCE_MS = 8000;

/** Asks for everything that the person may see. Never throws. */
export async function overview(): Promise<Answer> {
  try {
    const response = await ask("GET", "/api/v1/overview");
    if (response.status === 401) return { kind: "signed-out" };
    if (!response.ok) return { kind: "trouble", why: await refusal(response) };
    const overview = (await response.json()) as Overview;
    if (!Array.isArray(overview.networks)) return { kind: "trouble", why: "it answers with something else" };
    return { kind: "overview", overview };
  } catch (error) {
    return { kind: "trouble", why: reason(error) };
  }
}

/** Ends the session; says why where that fails. */
export async function signOut(): Promise<string | null> {
  try {
    const response = await ask("POST", "/api/v1/sign-out");
    return response.ok || response.status === 401 ? null : await refusal(response);
  } catch (error) {
    return reason(error);
  }
}

/** Uses the sign-in link that this page was opened with; says why where that fails. */
export async function signInWith(link: string): Promise<string | null> {
  try {
    const response = await ask("POST", link, "manual");
    // The redirect that is not followed here is the sign that it worked.
    return response.type === "opaqueredirect" || response.ok ? null : await refusal(response);
  } catch (error) {
    return `the coordinator does not answer: ${reason(error)}`;
  }
}

function ask(method: string, path: string, redirect: RequestRedirect = "error"): Promise<Response> {
  const headers = { Accept: "application/json" };
  return fetch(path, { method, headers, redirect, signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** The words of a problem document (RFC 9457), or at least the status. */
async function refusal(response: Response): Promise<string> {
  const fallback = `it answers with status ${response.status}`;
  try {
    return words((await response.json()) as Record<string, unknown>) ?? fallback;
  } catch {
    return fallback;
  }
}

function words({ title, detail }: Record<string, unknown>): string | null {
  if (typeof title !== "string") return null;
  return typeof detail === "string" ? `${title}; ${detail}` : title;
}

function reason(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return "no answer in time";
  if (error instanceof SyntaxError) return "it answers with something else";
  return error instanceof TypeError ? "no connection" : String(error);
}
