// What this browser computes from the reports of two agents, beside what these agents decided.

import type { Carrier, Explanation, PairReport, PathKind, PathOverview, Snapshot } from "../api/generated/api";

export interface Decision {
  kind: PathKind;
  /** The address that packets are sent to; a relay's for a relayed path. */
  remote: string | null;
}

export type Verdict =
  | "agree"
  | "differ"
  /** The agent told its decision, but not what it decided from. */
  | "no evidence"
  /** The agent told nothing. */
  | "no report";

/** One direction of a pair: each side chooses the path that it sends on. */
export interface Direction {
  from: string;
  to: string;
  computed: Decision;
  decided: Decision | null;
  verdict: Verdict;
  /** When the agent reported, Unix milliseconds. */
  reportedAt: number | null;
}

/** Both directions: from the story as told by `own`, and the story as told by `peer`. */
export function directionsOf(report: PairReport, forth: Explanation, back: Explanation): [Direction, Direction] {
  const { own, peer } = report.pair;
  const [ownAt, peerAt] = report.reported_at_ms;
  return [
    { from: own.name, to: peer.name, reportedAt: ownAt, ...compared(forth, report.own_decision, own.paths) },
    { from: peer.name, to: own.name, reportedAt: peerAt, ...compared(back, report.peer_decision, peer.paths) },
  ];
}

function compared(story: Explanation, decided: PathOverview | null, evidence: Snapshot | null | undefined) {
  const computed = decisionOf(story, evidence?.idle ?? false);
  return { computed, decided, verdict: verdictOf(computed, decided, evidence) };
}

function decisionOf({ carrier, chosen }: Explanation, idle: boolean): Decision {
  return { kind: kindOf(carrier, idle), remote: chosen ?? null };
}

/** The kind of path that a story tells of; over the relay of an idle pair goes nothing. */
export function kindOf(carrier: Carrier, idle: boolean): PathKind {
  if (carrier === "relay" && idle) return "idle";
  return carrier === "nothing" ? "none" : carrier;
}

function verdictOf(computed: Decision, decided: Decision | null, evidence: unknown): Verdict {
  if (decided === null) return "no report";
  if (evidence === null || evidence === undefined) return "no evidence";
  return computed.kind === decided.kind && computed.remote === decided.remote ? "agree" : "differ";
}

/** Both verdicts in one sentence. */
export function summaryOf(directions: readonly Direction[]): string {
  const by = (verdict: Verdict) => directions.filter((direction) => direction.verdict === verdict);
  const names = (some: Direction[]) => some.map(({ from }) => from).join(" and ");
  const [differ, silent, unproven] = [by("differ"), by("no report"), by("no evidence")];
  if (differ.length > 0) {
    return `${names(differ)} decided otherwise than this page computes. A report may be up to a minute old; a difference that stays is a fault.`;
  }
  const parts = [
    by("agree").length === 2 && "Both agents decided what this page computes from their reports.",
    by("agree").length === 1 && `${names(by("agree"))} decided what this page computes from the reports.`,
    unproven.length > 0 && `${names(unproven)} reported a decision without its evidence.`,
    silent.length > 0 && `${names(silent)} reported nothing of this pair.`,
  ];
  return parts.filter((part) => part !== false).join(" ");
}
