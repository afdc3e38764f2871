// What is asked of the coordinator, and every way in which it may fail to answer.

import type { NetworkChoice, Overview, PairReport, RelayList, StunServer, WaitingMachine } from "./generated/api";

/** The answer to a question that needs a session. */
export type Answer = { kind: "overview"; overview: Overview } | NoAnswer;

/** The answer about a pair. */
export type PairAnswer = { kind: "pair"; report: PairReport } | NoAnswer;

export type NoAnswer =
  | { kind: "signed-out" }
  /** No answer, or one that says that there is none now. `why` is for people. */
  | { kind: "trouble"; why: string };

/** How long an answer may take: a coordinator answers within milliseconds, a bad line within seconds. */
const PATIENCE_MS = 8000;

/** Asks for everything that the person may see. Never throws. */
export function overview(): Promise<Answer> {
  return answered("/api/v1/overview", (overview: Overview) =>
    Array.isArray(overview.networks) ? { kind: "overview", overview } : null,
  );
}

/** Asks for two nodes, by their ids, and what each reported of the other. Never throws. */
export function pair(own: string, peer: string): Promise<PairAnswer> {
  return answered(`/api/v1/pairs/${encodeURIComponent(own)}/${encodeURIComponent(peer)}`, (report: PairReport) =>
    report.pair?.own && report.pair.peer && Array.isArray(report.reported_at_ms) ? { kind: "pair", report } : null,
  );
}

/** The answer about relays and STUN servers. */
export type ServersAnswer = { kind: "servers"; list: RelayList; stun: StunServer[] } | NoAnswer;

/** Asks for the relays and STUN servers, and has the coordinator ask those that somebody runs. Never throws. */
export async function servers(): Promise<ServersAnswer> {
  const list = await answered("/api/v1/relays", (list: RelayList) =>
    Array.isArray(list.relays) ? { kind: "relays" as const, list } : null,
  );
  if (list.kind !== "relays") return list;
  const stun = await answered("/api/v1/stun-servers", (stun: StunServer[]) =>
    Array.isArray(stun) ? { kind: "stun" as const, stun } : null,
  );
  if (stun.kind !== "stun") return stun;
  // What each answers the coordinator comes with the next lists.
  const paths = list.list.relays.map(({ id }) => `/api/v1/relays/${id ?? "coordinator"}`);
  const stunPaths = stun.stun.map(({ address }) => `/api/v1/stun-servers/${encodeURIComponent(address)}`);
  await Promise.all([...paths, ...stunPaths].map((path) => answered(path, () => ({ kind: "asked" as const }))));
  return { kind: "servers", list: list.list, stun: stun.stun };
}

/** `understood` gives null for what is no answer to the question: some other server's page. */
async function answered<Value, Known>(
  path: string,
  understood: (value: Value) => Known | null,
): Promise<Known | NoAnswer> {
  try {
    const response = await ask("GET", path);
    if (response.status === 401) return { kind: "signed-out" };
    if (!response.ok) return { kind: "trouble", why: await refusal(response) };
    return understood((await response.json()) as Value) ?? { kind: "trouble", why: "it answers with something else" };
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

/** The name of whoever is signed in; null where nobody is, or nobody answers. */
export async function account(): Promise<string | null> {
  try {
    const response = await ask("GET", "/api/v1/account");
    const { name } = (response.ok ? await response.json() : {}) as { name?: unknown };
    return typeof name === "string" ? name : null;
  } catch {
    return null;
  }
}

/** Signs in by name and password; says why where that fails. */
export function signIn(name: string, password: string): Promise<string | null> {
  return done("/api/v1/sign-in", { name, password });
}

/** The name of the OpenID provider that people may sign in with; null where there is none, or nobody answers. */
export async function oidcName(): Promise<string | null> {
  try {
    const response = await ask("GET", "/api/v1/sign-in-methods");
    const { oidc } = (response.ok ? await response.json() : {}) as { oidc?: unknown };
    return typeof oidc === "string" ? oidc : null;
  } catch {
    return null;
  }
}

/** Begins at the OpenID provider and goes there; says why where that fails. */
export async function beginOidc(path: string, body: Record<string, string> | null): Promise<string | null> {
  try {
    const response = await ask("POST", path, "error", body && JSON.stringify(body));
    if (!response.ok) return await refusal(response);
    const { url } = (await response.json()) as { url?: unknown };
    if (typeof url !== "string" || !/^https?:/.test(url)) return "it answers with something else";
    location.assign(url);
    return null;
  } catch (error) {
    return `the coordinator does not answer: ${reason(error)}`;
  }
}

/** As how many the person is known at the OpenID provider. */
export async function identityCount(): Promise<number> {
  try {
    const response = await ask("GET", "/api/v1/account/identities");
    const found: unknown = response.ok ? await response.json() : [];
    return Array.isArray(found) ? found.length : 0;
  } catch {
    return 0;
  }
}

/** Takes the link to the OpenID provider away; says why where that fails. */
export function unlinkIdentities(): Promise<string | null> {
  return done("/api/v1/account/identities", null, "DELETE");
}

/** Accepts an invitation as a new person, who is signed in then; says why where that fails. */
export function acceptInvitation(token: string, name: string, password: string): Promise<string | null> {
  return done("/api/v1/invitations/accept", { token, name, password });
}

/** Joins an organization by an invitation, as who is signed in; says why where that fails. */
export function joinByInvitation(token: string): Promise<string | null> {
  return done("/api/v1/invitations/join", { token });
}

/** The answer about a machine that asks to join. */
export type MachineAnswer = { kind: "machine"; machine: WaitingMachine } | NoAnswer;

/** Asks for the machine that shows a code. Never throws. */
export function waitingMachine(code: string): Promise<MachineAnswer> {
  return answered(`/api/v1/device-authorization/${encodeURIComponent(code)}`, (machine: WaitingMachine) =>
    Array.isArray(machine.networks) ? { kind: "machine", machine } : null,
  );
}

/** Lets a machine into a network; says why where that fails. */
export function approveMachine(machine: WaitingMachine, { organization, network }: NetworkChoice) {
  return done(machinePath(machine, organization), { network });
}

/** Refuses a machine, as a member of the network's organization; says why where that fails. */
export function refuseMachine(machine: WaitingMachine, { organization }: NetworkChoice) {
  return done(machinePath(machine, organization), null, "DELETE");
}

function machinePath({ user_code }: WaitingMachine, organization: string): string {
  return `/api/v1/organizations/${organization}/device-authorization/${encodeURIComponent(user_code)}`;
}

async function done(path: string, body: Record<string, string> | null, method = "POST"): Promise<string | null> {
  try {
    const response = await ask(method, path, "error", body && JSON.stringify(body));
    return response.ok ? null : await refusal(response);
  } catch (error) {
    return `the coordinator does not answer: ${reason(error)}`;
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

function ask(
  method: string,
  path: string,
  redirect: RequestRedirect = "error",
  body: string | null = null,
): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== null) headers["Content-Type"] = "application/json";
  return fetch(path, { method, headers, redirect, body, signal: AbortSignal.timeout(PATIENCE_MS) });
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
