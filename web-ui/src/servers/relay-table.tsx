// The relays, a row each.

import type { Relay, ServerCheck } from "../api/generated/api";
import { NodeCells } from "./node-cells";
import { checkWords, ORIGINS } from "./words";

export function RelayTable({ relays, now }: { relays: readonly Relay[]; now: number }) {
  return (
    <div class="scroll">
      <table class="servers">
        <thead>
          <tr>
            <th scope="col">Relay</th>
            <th scope="col">Address</th>
            <th scope="col">Reached by</th>
            <th scope="col">RTT, median</th>
            <th scope="col">95 %</th>
            <th scope="col">Last seen</th>
            <th scope="col">From the coordinator</th>
          </tr>
        </thead>
        <tbody>
          {relays.map((relay) => (
            <tr key={relay.id ?? relay.name}>
              <th scope="row">
                {relay.name}
                <span class="since quiet">{relay.disabled ? "disabled" : ORIGINS[relay.origin]}</span>
              </th>
              <td data-label="Address" class="mono">
                <ul>
                  {relay.addresses.map((address) => (
                    <li key={address}>{address}</li>
                  ))}
                </ul>
              </td>
              <NodeCells nodes={relay.nodes} now={now} />
              <td data-label="From the coordinator">
                <Checks checks={relay.checks} now={now} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Checks({ checks, now }: { checks: readonly ServerCheck[]; now: number }) {
  if (checks.length === 0) return <span class="quiet">not asked</span>;
  return (
    <ul>
      {checks.map((check) => (
        <li key={check.address}>{checkWords(check, now)}</li>
      ))}
    </ul>
  );
}
