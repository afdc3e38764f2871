// Two nodes of a network: what carries their traffic and why, computed here from their own reports.

import { useEffect, useMemo, useState } from "preact/hooks";
import { type PairAnswer, pair } from "../api/client";
import type { Explanation, NetworkOverview, NodeOverview, PairReport } from "../api/generated/api";
import { href } from "../routes";
import type { SelectionModule } from "../selection/selection";
import { attempt, useSelection } from "../selection/use-selection";
import { inBrowser, poll } from "../session/polling";
import { CandidateTable } from "./candidate-table";
import { DecisionTable } from "./decision-table";
import { directionsOf } from "./decisions";
import { FactTable } from "./fact-table";
import { PlanTable } from "./plan-table";
import { Story } from "./story";
import { WhatIf } from "./what-if";

interface Props {
  network: NetworkOverview;
  own: NodeOverview;
  peer: NodeOverview;
  /** Unix milliseconds by the coordinator's clock. */
  now: number;
}

export function PairPage({ network, own, peer, now }: Props) {
  const selection = useSelection();
  const { report, trouble } = useReport(own.id, peer.id);
  return (
    <>
      <nav aria-label="Breadcrumb" class="breadcrumb">
        <a href="/">Networks</a> <span aria-hidden="true">/</span> {network.name} <span aria-hidden="true">/</span>{" "}
        <NodeLink network={network} node={own} /> <span aria-hidden="true">/</span>{" "}
        <NodeLink network={network} node={peer} />
      </nav>
      <div class="page-head">
        <h1>
          {own.name} <span class="quiet">to</span> {peer.name}
        </h1>
        <a class="button" href={href({ page: "pair", network: network.name, own: peer.name, peer: own.name })}>
          <span aria-hidden="true">⇄</span> See it from {peer.name}
        </a>
      </div>
      <div role="alert">
        {trouble !== null && <p class="notice">Nothing newer on this pair: {trouble}.</p>}
        {selection.state === "failed" && (
          <p class="notice">
            The selection did not load, so nothing is explained here: {selection.why}. Reload the page.
          </p>
        )}
      </div>
      {report !== null && selection.state === "ready" ? (
        <Explained report={report} module={selection.module} now={now} />
      ) : (
        trouble === null && selection.state !== "failed" && <p class="panel empty quiet">Computing the explanation…</p>
      )}
    </>
  );
}

function NodeLink({ network, node }: { network: NetworkOverview; node: NodeOverview }) {
  return <a href={href({ page: "node", network: network.name, node: node.name })}>{node.name}</a>;
}

interface ExplainedProps {
  report: PairReport;
  module: SelectionModule;
  now: number;
}

function Explained({ report, module, now }: ExplainedProps) {
  const stories = useMemo(() => attempt(() => storiesOf(report, module)), [report, module]);
  if ("error" in stories) {
    return <p class="notice">These reports cannot be explained: {stories.error}.</p>;
  }
  const { forth, back } = stories.value;
  const { own, peer } = report.pair;
  const ageOf = (reportedAt: number | null) => (reportedAt === null ? null : now - reportedAt);
  return (
    <>
      <Story story={forth} report={report} />
      <DecisionTable directions={directionsOf(report, forth, back)} now={now} />
      <CandidateTable
        candidates={forth.peer_candidates}
        of={peer.name}
        from={own.name}
        reportAge={ageOf(report.reported_at_ms[0])}
      />
      <CandidateTable
        candidates={forth.own_candidates}
        of={own.name}
        from={peer.name}
        reportAge={ageOf(report.reported_at_ms[1])}
      />
      <FactTable nodes={[own, peer]} />
      <PlanTable plan={forth.plan} carrier={forth.carrier} names={{ own: own.name, peer: peer.name }} />
      <WhatIf report={report} story={forth} module={module} />
    </>
  );
}

/** The story from both sides: each chooses the path that it sends on. */
function storiesOf({ pair }: PairReport, module: SelectionModule): { forth: Explanation; back: Explanation } {
  const swapped = { ...pair, own: pair.peer, peer: pair.own };
  return { forth: module.explain(pair), back: module.explain(swapped) };
}

/** The newest report, and why nothing newer came. */
function useReport(own: string, peer: string): { report: PairReport | null; trouble: string | null } {
  const [state, setState] = useState<{ report: PairReport | null; trouble: string | null }>({
    report: null,
    trouble: null,
  });
  useEffect(() => {
    const answered = (answer: PairAnswer) =>
      setState((before) => {
        // Somebody who is no longer signed in is told by the page's frame.
        if (answer.kind === "signed-out") return before;
        return answer.kind === "pair"
          ? { report: answer.report, trouble: null }
          : { report: before.report, trouble: answer.why };
      });
    return poll(
      answered,
      inBrowser(() => pair(own, peer)),
    );
  }, [own, peer]);
  return state;
}
