// The STUN servers, a row each, in the order in which nodes ask them.

import type { StunServer } from "../api/generated/api";
import { NOT_ASKED, ServerRow, ServerTable } from "./server-table";
import { checkWords, ORIGINS } from "./words";

export function StunTable({ servers, now }: { servers: readonly StunServer[]; now: number }) {
  return (
    <ServerTable kind="STUN server">
      {servers.map((server) => (
        <ServerRow
          key={server.address}
          name={server.name}
          note={use(server)}
          address={server.address}
          nodes={server.nodes}
          now={now}
          check={server.check === null ? NOT_ASKED : checkWords(server.check, now)}
        />
      ))}
    </ServerTable>
  );
}

function use(server: StunServer): string {
  if (server.disabled) return "disabled";
  return server.asked ? ORIGINS[server.origin] : "spare: nodes ask the first eight";
}
