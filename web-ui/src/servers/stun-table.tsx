// The STUN servers, a row each, in the order in which nodes ask them.

import type { StunServer } from "../api/generated/api";
import { NodeCells } from "./node-cells";
import { checkWords, ORIGINS } from "./words";

export function StunTable({ servers, now }: { servers: readonly StunServer[]; now: number }) {
  return (
    <div class="scroll">
      <table class="servers">
        <thead>
          <tr>
            <th scope="col">STUN server</th>
            <th scope="col">Address</th>
            <th scope="col">Reached by</th>
            <th scope="col">RTT, median</th>
            <th scope="col">95 %</th>
            <th scope="col">Last seen</th>
            <th scope="col">From the coordinator</th>
          </tr>
        </thead>
        <tbody>
          {servers.map((server) => (
            <tr key={server.address}>
              <th scope="row">
                {server.name}
                <span class="since quiet">{use(server)}</span>
              </th>
              <td data-label="Address" class="mono">
                {server.address}
              </td>
              <NodeCells nodes={server.nodes} now={now} />
              <td data-label="From the coordinator">
                {server.check === null ? <span class="quiet">not asked</span> : checkWords(server.check, now)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function use(server: StunServer): string {
  if (server.disabled) return "disabled";
  return server.asked ? ORIGINS[server.origin] : "spare: nodes ask the first eight";
}
