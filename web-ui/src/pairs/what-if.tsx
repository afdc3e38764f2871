// What would happen if the routers were others: a form, and the simulation of what it says.

import { useState } from "preact/hooks";
import type { Explanation, PairReport, Run } from "../api/generated/api";
import type { SelectionModule } from "../selection/selection";
import { attempt } from "../selection/use-selection";
import { Timeline } from "./lanes";
import {
  boxOf,
  boxWords,
  type Choice,
  FOREIGN_FLOWS_PER_S,
  measuredChoice,
  type NodeChoice,
  PLACES,
  type Place,
  ROUTERS,
  type Router,
  scenarioOf,
} from "./scenario";
import { costOf, outcomeOf } from "./timeline";

interface Props {
  report: PairReport;
  story: Explanation;
  module: SelectionModule;
}

type Result = { value: Run } | { error: string };

export function WhatIf({ report, story, module }: Props) {
  const { own, peer } = report.pair;
  const [choice, setChoice] = useState<Choice>(() => measuredChoice(report, story));
  const [result, setResult] = useState<Result | null>(null);
  const [runs, setRuns] = useState(0);
  // A result never stands beside a form that says something else.
  const change = (next: Partial<Choice>) => {
    setChoice({ ...choice, ...next });
    setResult(null);
  };
  const play = (event: Event) => {
    event.preventDefault();
    setResult(attempt(() => module.simulate(scenarioOf(choice, report, story, runs))));
    setRuns(runs + 1);
  };
  const [one, other] = choice.nodes;
  return (
    <section class="panel what-if" aria-labelledby="what-if">
      <h2 id="what-if">What if</h2>
      <p class="lead quiet">
        Plays the first minute of both agents in this browser, against routers of your choice. {FOREIGN_FLOWS_PER_S}{" "}
        connections of other hosts a second on each router are assumed. Each run draws its chances anew.
      </p>
      <form onSubmit={play}>
        <RouterFields
          name={own.name}
          words={boxWords(boxOf(one.router, own.nat))}
          choice={one}
          setChoice={(next) => change({ nodes: [next, other] })}
        />
        <RouterFields
          name={peer.name}
          words={boxWords(boxOf(other.router, peer.nat))}
          choice={other}
          setChoice={(next) => change({ nodes: [one, next] })}
          behind={choice.place === "one-network" ? own.name : undefined}
        />
        <Between choice={choice} change={change} />
        <p class="run">
          <button type="submit" class="primary">
            {runs === 0 ? "Run" : "Run again"}
          </button>
        </p>
      </form>
      <div role="status">{result && <Outcome key={runs} result={result} nodes={[own.name, peer.name]} />}</div>
    </section>
  );
}

interface RouterProps {
  name: string;
  words: string;
  choice: NodeChoice;
  setChoice: (choice: NodeChoice) => void;
  /** The node whose router this one shares. */
  behind?: string | undefined;
}

function RouterFields({ name, words, choice, setChoice, behind }: RouterProps) {
  return (
    <fieldset>
      <legend>{name}</legend>
      <label>
        Its nearest router{" "}
        <select
          value={choice.router}
          disabled={behind !== undefined}
          onChange={(event) => setChoice({ ...choice, router: event.currentTarget.value as Router })}
        >
          <option value="measured">as measured</option>
          {Object.entries(ROUTERS).map(([value, { name }]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <p class="quiet">{behind === undefined ? words : `the router of ${behind}`}</p>
      <label class="check">
        <input
          type="checkbox"
          checked={choice.isUdpBlocked}
          onChange={(event) => setChoice({ ...choice, isUdpBlocked: event.currentTarget.checked })}
        />{" "}
        UDP blocked
      </label>
    </fieldset>
  );
}

function Between({ choice, change }: { choice: Choice; change: (next: Partial<Choice>) => void }) {
  return (
    <fieldset>
      <legend>Both</legend>
      <label>
        They are{" "}
        <select value={choice.place} onChange={(event) => change({ place: event.currentTarget.value as Place })}>
          {Object.entries(PLACES).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {choice.place === "one-carrier" && (
        <label class="check">
          <input
            type="checkbox"
            checked={choice.isHairpinning}
            onChange={(event) => change({ isHairpinning: event.currentTarget.checked })}
          />{" "}
          The carrier's NAT hairpins
        </label>
      )}
    </fieldset>
  );
}

function Outcome({ result, nodes }: { result: Result; nodes: [string, string] }) {
  if ("error" in result) return <p class="lead refusal">The simulation refused: {result.error}.</p>;
  const run = result.value;
  const { kind, sentence, why } = outcomeOf(run, nodes);
  return (
    <div class="outcome">
      <p class="headline">
        <span class={`path ${kind}`}>{sentence}</span>
      </p>
      {why !== null && <p>{why}</p>}
      <p class="quiet">{costOf(run, nodes)}</p>
      <Timeline run={run} nodes={nodes} />
    </div>
  );
}
