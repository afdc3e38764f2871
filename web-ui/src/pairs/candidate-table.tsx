// Every candidate of one node, as the other one sees it, with the reason why it is used or not.

import type { ExplainedCandidate, Reason } from "../api/generated/api";
import { sourceOf } from "../nodes/words";
import { age, rtt } from "../ui/format";
import { lossWords, statusWords } from "./words";

/** The reasons of candidates that carry the traffic. */
const CARRYING: readonly Reason["code"][] = [
  "best",
  "within-switch-margin",
  "no-direct-path-answers",
  "direct-paths-serve-worse",
  "configured",
];

interface Props {
  candidates: readonly ExplainedCandidate[];
  of: string;
  from: string;
  /** How long ago `from` reported, in milliseconds; null: it never did. */
  reportAge: number | null;
}

export function CandidateTable({ candidates, of, from, reportAge }: Props) {
  const heading = `candidates-of-${of}`;
  return (
    <section class="panel" aria-labelledby={heading}>
      <h2 id={heading}>
        Candidates of {of}{" "}
        <span class="quiet">
          {candidates.length}, as {from} saw them{reportAge !== null && ` ${age(reportAge)} ago`}
        </span>
      </h2>
      {candidates.length === 0 ? (
        <p class="empty quiet">Neither of the two reported one.</p>
      ) : (
        <div class="scroll">
          <table class="candidates">
            <thead>
              <tr>
                <th scope="col">Address</th>
                <th scope="col">Kind</th>
                <th scope="col">Learnt from</th>
                <th scope="col">Status</th>
                <th scope="col">RTT</th>
                <th scope="col">Loss</th>
                <th scope="col">Reason</th>
              </tr>
            </thead>
            <tbody>
              {candidates.map((explained) => (
                <Row key={explained.candidate.address} explained={explained} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Row({ explained }: { explained: ExplainedCandidate }) {
  const { candidate, status, quality, reason, sentence } = explained;
  return (
    <tr class={CARRYING.includes(reason.code) ? "chosen" : undefined}>
      <th scope="row" class="mono">
        {candidate.address}
      </th>
      <td data-label="Kind">{candidate.kind}</td>
      <td data-label="Learnt from">{sourceOf(candidate.source)}</td>
      <td data-label="Status">{statusWords(status)}</td>
      <td data-label="RTT" class={quality.rtt ? "figure" : "figure unmeasured"}>
        {rtt(quality.rtt?.rtt_us ?? null)}
      </td>
      <td data-label="Loss" class={quality.loss.seen > 0 ? "figure" : "figure unmeasured"}>
        {lossWords(quality.loss)}
      </td>
      <td data-label="Reason" class="reason">
        {sentence}
      </td>
    </tr>
  );
}
