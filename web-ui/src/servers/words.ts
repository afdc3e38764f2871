// What is said of relays and STUN servers, in words.

import type { CheckResult, NodeFigures, ServerCheck, ServerOrigin } from "../api/generated/api";
import { age, rtt } from "../ui/format";

export const ORIGINS: Record<ServerOrigin, string> = {
  settings: "the coordinator's settings",
  registered: "registered",
  relay: "at a relay",
};

const RESULTS: Record<CheckResult, string> = {
  serves: "serves",
  silent: "no answer",
  "token-refused": "refuses our tokens (another --verify-key)",
  "token-expired": "its clock is hours ahead",
  full: "is full",
  "other-key": "has another key than registered",
  "other-version": "speaks another version",
  unroutable: "no route from the coordinator",
};

/** What a server answered the coordinator, how soon, and when that was. */
export function checkWords(check: ServerCheck, now: number): string {
  const soon = check.rtt_us === null ? "" : ` in ${rtt(check.rtt_us)}`;
  return `${RESULTS[check.result]}${soon}, ${age(now - check.at_ms)} ago`;
}

/** How good it is that so many nodes reach a server: a class for its dot. */
export function reachClass({ reached, unreached }: NodeFigures): string {
  if (unreached === 0) return reached === 0 ? "state plain" : "state online";
  return reached === 0 ? "state offline" : "state partly";
}

/** `3 of 4 nodes`. */
export function reachWords({ reached, unreached }: NodeFigures): string {
  const all = reached + unreached;
  if (all === 0) return "no node says";
  return `${reached} of ${all} node${all === 1 ? "" : "s"}`;
}

/** The names of those that do not reach it, and how many more there are. */
export function missingWords({ unreached, unreached_by }: NodeFigures): string | null {
  if (unreached === 0) return null;
  const names = unreached_by.slice(0, 5).map(({ name }) => name);
  const more = unreached - names.length;
  if (names.length === 0) return `not ${more}, of other organizations`;
  return `not ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
