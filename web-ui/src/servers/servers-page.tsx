// Relays and STUN servers: who reaches them, how fast, and what they answer the coordinator while somebody looks.

import { useEffect, useState } from "preact/hooks";
import { type ServersAnswer, servers } from "../api/client";
import type { RelayList, StunServer } from "../api/generated/api";
import { inBrowser, poll } from "../session/polling";
import { Command } from "../ui/command";
import { RelayTable } from "./relay-table";
import { StunTable } from "./stun-table";

interface Known {
  list: RelayList;
  stun: StunServer[];
}

export function ServersPage({ now }: { now: number }) {
  const { known, trouble } = useServers();
  return (
    <>
      <div class="page-head">
        <h1>Relays and STUN servers</h1>
      </div>
      <div role="alert">{trouble !== null && <p class="notice">Nothing newer on servers: {trouble}.</p>}</div>
      {known !== null && <Servers known={known} now={now} />}
      {known === null && trouble === null && <p class="panel empty quiet">Asking the coordinator…</p>}
    </>
  );
}

export function Servers({ known: { list, stun }, now }: { known: Known; now: number }) {
  return (
    <>
      <section class="panel" aria-labelledby="relays">
        <div class="network-head">
          <h2 id="relays">Relays</h2>
          <p class="quiet">Every node keeps a session at every relay; each pair uses the one with the shortest way.</p>
        </div>
        {list.relays.length === 0 ? (
          <div class="empty">
            <p>There is none. What names one is run on the coordinator's machine:</p>
            <Command text="warren-coordinator admin relay list" />
          </div>
        ) : (
          <RelayTable relays={list.relays} now={now} />
        )}
      </section>
      <section class="panel" aria-labelledby="stun-servers">
        <div class="network-head">
          <h2 id="stun-servers">STUN servers</h2>
          <p class="quiet">They tell nodes how the internet sees them.</p>
        </div>
        <StunTable servers={stun} now={now} />
      </section>
    </>
  );
}

function useServers(): { known: Known | null; trouble: string | null } {
  const [state, setState] = useState<{ known: Known | null; trouble: string | null }>({ known: null, trouble: null });
  useEffect(
    () =>
      poll<ServersAnswer>((answer) => {
        if (answer.kind === "servers") setState({ known: answer, trouble: null });
        if (answer.kind === "trouble") setState(({ known }) => ({ known, trouble: answer.why }));
      }, inBrowser(servers)),
    [],
  );
  return state;
}
