// What paths a network may expect, from what its nodes reported: who is compared, and the figures in words.

import type { NodeOverview, Outlook, OutlookInput } from "../api/generated/api";

/** The most nodes that the selection compares in one call. */
export const NODES_MAX = 1024;

/** The nodes that can be compared: one without an agent tells nothing about its NAT. */
export function comparable(nodes: readonly NodeOverview[]): NodeOverview[] {
  return nodes.filter((node) => node.plain_endpoint === null);
}

export function inputOf(nodes: readonly NodeOverview[]): OutlookInput {
  return { nodes: nodes.map(({ candidates, nat }) => ({ candidates, nat })) };
}

export interface Row {
  name: string;
  outlook: Outlook;
}

/** The rows of a table, fewest direct paths first. */
export function rowsOf(nodes: readonly NodeOverview[], outlooks: readonly Outlook[]): Row[] {
  const rows = nodes.flatMap(({ name }, index) => {
    const outlook = outlooks[index];
    return outlook ? [{ name, outlook }] : [];
  });
  return rows.sort((a, b) => a.outlook.direct - b.outlook.direct || a.name.localeCompare(b.name, "en"));
}

/** All pairs in a sentence. Each counts at both of its nodes. */
export function sentenceOf(outlooks: readonly Outlook[]): string {
  const pairs = (kind: keyof Outlook) => outlooks.reduce((sum, outlook) => sum + outlook[kind], 0) / 2;
  const told = [
    [pairs("direct"), "direct"],
    [pairs("technique"), "direct if a technique succeeds"],
    [pairs("relay"), "over a relay"],
    [pairs("unknown"), "not known"],
  ] as const;
  const all = told.reduce((sum, [number]) => sum + number, 0);
  const parts = told.filter(([number]) => number > 0).map(([number, words]) => `${number} ${words}`);
  return `Of ${all === 1 ? "1 pair" : `${all} pairs`}: ${parts.join(", ")}.`;
}
