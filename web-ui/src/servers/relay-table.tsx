// The relays, a row each.

import type { Relay, ServerCheck } from "../api/generated/api";
import { NOT_ASKED, ServerRow, ServerTable } from "./server-table";
import { checkWords, ORIGINS } from "./words";

export function RelayTable({ relays, now }: { relays: readonly Relay[]; now: number }) {
  return (
    <ServerTable kind="Relay">
      {relays.map((relay) => (
        <ServerRow
          key={relay.id ?? relay.name}
          name={relay.name}
          note={relay.disabled ? "disabled" : ORIGINS[relay.origin]}
          address={
            <ul>
              {relay.addresses.map((address) => (
                <li key={address}>{address}</li>
              ))}
            </ul>
          }
          nodes={relay.nodes}
          now={now}
          check={<Checks checks={relay.checks} now={now} />}
        />
      ))}
    </ServerTable>
  );
}

function Checks({ checks, now }: { checks: readonly ServerCheck[]; now: number }) {
  if (checks.length === 0) return NOT_ASKED;
  return (
    <ul>
      {checks.map((check) => (
        <li key={check.address}>{checkWords(check, now)}</li>
      ))}
    </ul>
  );
}
