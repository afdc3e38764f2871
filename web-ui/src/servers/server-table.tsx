// The frame of a table of servers: a row each, with what nodes and the coordinator say of it.

import type { ComponentChildren } from "preact";
import type { NodeFigures } from "../api/generated/api";
import { NodeCells } from "./node-cells";

export function ServerTable({ kind, children }: { kind: string; children: ComponentChildren }) {
  return (
    <div class="scroll">
      <table class="servers">
        <thead>
          <tr>
            <th scope="col">{kind}</th>
            <th scope="col">Address</th>
            <th scope="col">Reached by</th>
            <th scope="col">RTT, median</th>
            <th scope="col">95 %</th>
            <th scope="col">Last seen</th>
            <th scope="col">From the coordinator</th>
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

type Row = {
  name: string;
  /** Where it comes from, or what keeps nodes from it. */
  note: string;
  address: ComponentChildren;
  nodes: NodeFigures | null;
  now: number;
  /** What it answered the coordinator. */
  check: ComponentChildren;
};

export function ServerRow({ name, note, address, nodes, now, check }: Row) {
  return (
    <tr>
      <th scope="row">
        {name}
        <span class="since quiet">{note}</span>
      </th>
      <td data-label="Address" class="mono">
        {address}
      </td>
      <NodeCells nodes={nodes} now={now} />
      <td data-label="From the coordinator">{check}</td>
    </tr>
  );
}

export const NOT_ASKED = <span class="quiet">not asked</span>;
