// What this page computes beside what the agents decided, a direction each.

import { PATHS } from "../nodes/words";
import { age, clock } from "../ui/format";
import { type Decision, type Direction, summaryOf, type Verdict } from "./decisions";

const VERDICTS: Record<Verdict, { word: string; mark: string }> = {
  agree: { word: "agree", mark: "good" },
  differ: { word: "differ", mark: "bad" },
  "no evidence": { word: "not comparable", mark: "unknown" },
  "no report": { word: "not comparable", mark: "unknown" },
};

export function DecisionTable({ directions, now }: { directions: readonly Direction[]; now: number }) {
  return (
    <section class="panel decisions" aria-labelledby="decisions">
      <h2 id="decisions">Decisions</h2>
      <p class="lead">{summaryOf(directions)}</p>
      <table>
        <thead>
          <tr>
            <th scope="col">Direction</th>
            <th scope="col">Computed here</th>
            <th scope="col">Decided by the agent</th>
            <th scope="col">Result</th>
            <th scope="col">Agent's report</th>
          </tr>
        </thead>
        <tbody>
          {directions.map((direction) => (
            <tr key={direction.from}>
              <th scope="row">
                {direction.from} to {direction.to}
              </th>
              <td data-label="Computed here">
                {direction.verdict === "no evidence" ? (
                  <span class="quiet">no evidence to compute from</span>
                ) : (
                  <DecisionCell decision={direction.computed} />
                )}
              </td>
              <td data-label="Decided by agent">
                {direction.decided === null ? (
                  <span class="quiet">nothing reported</span>
                ) : (
                  <DecisionCell decision={direction.decided} />
                )}
              </td>
              <td data-label="Result">
                <span class={`verdict ${VERDICTS[direction.verdict].mark}`}>{VERDICTS[direction.verdict].word}</span>
              </td>
              <td data-label="Agent's report" class="figure">
                {direction.reportedAt === null
                  ? "never"
                  : `${clock(direction.reportedAt)}, ${age(now - direction.reportedAt)} ago`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function DecisionCell({ decision }: { decision: Decision }) {
  return (
    <span class="decision">
      <span class={`path ${decision.kind}`}>{PATHS[decision.kind]}</span>{" "}
      {decision.remote !== null && <span class="mono">{decision.remote}</span>}
    </span>
  );
}
