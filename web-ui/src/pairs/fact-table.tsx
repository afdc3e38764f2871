// The facts about the NATs in front of two nodes, side by side.

import type { NodeView } from "../api/generated/api";
import { factsOf, NOT_KNOWN } from "./words";

export function FactTable({ nodes }: { nodes: readonly [NodeView, NodeView] }) {
  const [one, other] = nodes.map(({ nat }) => factsOf(nat));
  return (
    <section class="panel" aria-labelledby="facts">
      <h2 id="facts">NAT of each node</h2>
      <table class="nat-facts">
        <thead>
          <tr>
            <th scope="col">Fact</th>
            {nodes.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {one?.map(({ name, value }, index) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <Value node={nodes[0].name} value={value} />
              <Value node={nodes[1].name} value={other?.[index]?.value ?? NOT_KNOWN} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Value({ node, value }: { node: string; value: string }) {
  return (
    <td data-label={node} class={value === NOT_KNOWN ? "quiet" : undefined}>
      {value}
    </td>
  );
}
