// All networks of the person, each with its nodes.

import { useEffect, useState } from "preact/hooks";
import type { NetworkOverview, Overview } from "../api/generated/api";
import { NodeTable } from "../nodes/node-table";
import { queryOf, shown, type View, viewOf } from "../nodes/order";
import { Command } from "../ui/command";
import { counted } from "../ui/format";
import { ExpectedPaths } from "./expected-paths";
import { summaryOf } from "./summary";

export function NetworksPage({ overview }: { overview: Overview }) {
  const [view, setView] = useView();
  return (
    <>
      <div class="page-head">
        <h1>Networks</h1>
        <label class="filter">
          <span>Filter nodes</span>
          <input
            type="search"
            value={view.filter}
            placeholder="name, address, state…"
            onInput={(event) => setView({ ...view, filter: event.currentTarget.value })}
          />
        </label>
      </div>
      {overview.networks.map((network) => (
        <Network key={network.id} network={network} now={overview.now_ms} view={view} setView={setView} />
      ))}
      {overview.networks.length === 0 && (
        <section class="panel empty">
          <p>You see no network yet. Make one on the machine that runs the coordinator:</p>
          <Command text="warren-coordinator admin network create NAME" />
        </section>
      )}
    </>
  );
}

interface NetworkProps {
  network: NetworkOverview;
  now: number;
  view: View;
  setView: (view: View) => void;
}

function Network({ network, now, view, setView }: NetworkProps) {
  const nodes = shown(network.nodes, view);
  const heading = `network-${network.id}`;
  return (
    <section class="panel" aria-labelledby={heading}>
      <div class="network-head">
        <div>
          <h2 id={heading}>{network.name}</h2>
          <p class="mono quiet">{network.ranges.join("  ")}</p>
        </div>
        <Figures network={network} />
      </div>
      {network.nodes.length === 0 ? (
        <div class="empty">
          <p>
            No node yet. Make an enrollment key here, then run <code>warren join</code> on a machine:
          </p>
          <Command text={`warren-coordinator admin enrollment-key create --network ${network.name}`} />
        </div>
      ) : (
        <NodeTable network={network.name} nodes={nodes} now={now} view={view} setView={setView} />
      )}
      {network.nodes.length > 0 && nodes.length === 0 && (
        <p class="empty quiet">None of its {counted(network.nodes.length, "node")} matches the filter.</p>
      )}
      <ExpectedPaths network={network.name} nodes={network.nodes} />
    </section>
  );
}

function Figures({ network }: { network: NetworkOverview }) {
  const { nodes, online, pairs } = summaryOf(network);
  return (
    <dl class="figures">
      <Figure name="nodes" value={nodes} />
      <Figure name="online" value={online} />
      <Figure name="direct pairs" value={pairs.direct} path="direct" />
      <Figure name="relayed pairs" value={pairs.relay} path="relay" />
      {pairs.idle > 0 && <Figure name="idle pairs" value={pairs.idle} path="idle" />}
      {pairs.none > 0 && <Figure name="pairs without a path" value={pairs.none} path="none" />}
    </dl>
  );
}

function Figure({ name, value, path }: { name: string; value: number; path?: string }) {
  return (
    <div>
      <dt class={path && `path ${path}`}>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** The view of the address bar. It changes without a new entry in the history: typing is no journey. */
function useView(): [View, (view: View) => void] {
  const [view, setView] = useState(() => viewOf(location.search));
  useEffect(() => {
    const query = queryOf(view);
    if (query !== location.search) history.replaceState(null, "", location.pathname + query);
  }, [view]);
  return [view, setView];
}
