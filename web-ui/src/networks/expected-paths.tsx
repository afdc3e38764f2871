// What paths the nodes of a network may expect, computed in this browser when it is asked for.

import { useState } from "preact/hooks";
import type { NodeOverview, Outlook } from "../api/generated/api";
import { href } from "../routes";
import { comparable, inputOf, NODES_MAX, rowsOf, sentenceOf } from "./outlook";

interface Props {
  network: string;
  nodes: readonly NodeOverview[];
}

type Result =
  | { state: "computing" }
  | { state: "failed"; why: string }
  | { state: "ready"; nodes: readonly NodeOverview[]; outlooks: readonly Outlook[] };

/** Nothing where there are no pairs to compare, or too many. */
export function ExpectedPaths({ network, nodes }: Props) {
  const [result, setResult] = useState<Result | null>(null);
  const compared = comparable(nodes);
  if (compared.length < 2 || compared.length > NODES_MAX) return null;
  const compute = () => {
    setResult({ state: "computing" });
    expected(compared).then(setResult);
  };
  return (
    <div class="expected">
      <p>
        <button type="button" onClick={compute} disabled={result?.state === "computing"}>
          {result === null ? "Expected paths" : "Compute again"}
        </button>{" "}
        <span class="quiet">
          What each node may expect of its peers, compared in this browser from what they reported of their NATs.
        </span>
      </p>
      <div role="status">
        {result?.state === "computing" && <p>Comparing…</p>}
        {result?.state === "failed" && <p class="refusal">They could not be compared: {result.why}.</p>}
        {result?.state === "ready" && <p>{sentenceOf(result.outlooks)}</p>}
      </div>
      {result?.state === "ready" && <Table network={network} nodes={result.nodes} outlooks={result.outlooks} />}
    </div>
  );
}

async function expected(nodes: readonly NodeOverview[]): Promise<Result> {
  try {
    const { load } = await import("../selection/selection");
    const module = await load();
    // What is said so far is shown first: a thousand nodes take seconds.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { state: "ready", nodes, outlooks: module.outlook(inputOf(nodes)) };
  } catch (error) {
    return { state: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}

interface TableProps {
  network: string;
  nodes: readonly NodeOverview[];
  outlooks: readonly Outlook[];
}

function Table({ network, nodes, outlooks }: TableProps) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">Direct</th>
            <th scope="col">By a technique</th>
            <th scope="col">Over a relay</th>
            <th scope="col">Not known</th>
          </tr>
        </thead>
        <tbody>
          {rowsOf(nodes, outlooks).map(({ name, outlook }) => (
            <tr key={name}>
              <th scope="row">
                <a href={href({ page: "node", network, node: name })}>{name}</a>
              </th>
              <td data-label="Direct">{outlook.direct}</td>
              <td data-label="By a technique">{outlook.technique}</td>
              <td data-label="Over a relay">{outlook.relay}</td>
              <td data-label="Not known">{outlook.unknown}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
