// The nodes of a network, a row each.

import type { NodeOverview, PathOverview } from "../api/generated/api";
import { href } from "../routes";
import { host, rtt } from "../ui/format";
import { type Column, sortedBy, type View } from "./order";
import { StateOf } from "./state";
import { addressesOf, natOf, PATHS } from "./words";

/** The most lines of a list in a row; the node's own page shows all. */
const LINES_MAX = 6;

interface Props {
  network: string;
  nodes: readonly NodeOverview[];
  now: number;
  view: View;
  setView: (view: View) => void;
}

export function NodeTable({ network, nodes, now, view, setView }: Props) {
  const head = (column: Column, text: string) => <Head column={column} text={text} view={view} setView={setView} />;
  return (
    <div class="scroll">
      <table class="nodes">
        <thead>
          <tr>
            {head("name", "Node")}
            {head("state", "State")}
            <th scope="col">Mesh addresses</th>
            {head("nat", "NAT")}
            <th scope="col">Paths</th>
            <th scope="col">Candidates</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <Row key={node.id} network={network} node={node} now={now} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadProps {
  column: Column;
  text: string;
  view: View;
  setView: (view: View) => void;
}

function Head({ column, text, view, setView }: HeadProps) {
  const isSorted = view.column === column;
  return (
    <th scope="col" aria-sort={isSorted ? (view.isDescending ? "descending" : "ascending") : undefined}>
      <button type="button" class="sort" onClick={() => setView(sortedBy(view, column))}>
        {text}
      </button>
    </th>
  );
}

function Row({ network, node, now }: { network: string; node: NodeOverview; now: number }) {
  const page = href({ page: "node", network, node: node.name });
  const nat = natOf(node);
  return (
    <tr>
      <th scope="row">
        <a href={page}>{node.name}</a>
      </th>
      <td data-label="State">
        <StateOf node={node} now={now} />
      </td>
      <td data-label="Mesh addresses" class="mono">
        <List items={node.addresses.map((address) => host(address))} page={page} />
      </td>
      <td data-label="NAT" class="nat">
        <span>
          {nat.name}
          {nat.facts.length > 0 && <span class="quiet">{nat.facts.join(", ")}</span>}
        </span>
      </td>
      <td data-label="Paths">
        <List
          items={node.paths.map((path) => <PathLine network={network} own={node.name} path={path} />)}
          page={page}
        />
      </td>
      <td data-label="Candidates">
        <List items={addressesOf(node).map((candidate) => <CandidateLine {...candidate} />)} page={page} />
      </td>
    </tr>
  );
}

function List({ items, page }: { items: preact.ComponentChild[]; page: string }) {
  if (items.length === 0) return <span class="quiet">–</span>;
  const rest = items.length - LINES_MAX;
  return (
    <ul>
      {(rest > 1 ? items.slice(0, LINES_MAX) : items).map((item, index) => (
        <li key={index}>{item}</li>
      ))}
      {rest > 1 && (
        <li>
          <a href={page}>and {rest} more</a>
        </li>
      )}
    </ul>
  );
}

function PathLine({ network, own, path }: { network: string; own: string; path: PathOverview }) {
  return (
    <span class="path-line" title={path.remote ?? undefined}>
      <a href={href({ page: "pair", network, own, peer: path.peer })} aria-label={`${own} to ${path.peer}`}>
        {path.peer}
      </a>
      <span class={`path ${path.kind}`}>{PATHS[path.kind]}</span>
      <span class="figure">{path.kind === "none" ? "" : rtt(path.rtt_us)}</span>
    </span>
  );
}

function CandidateLine({ kind, address }: { kind: string; address: string }) {
  return (
    <span class="candidate-line">
      <span class="quiet">{kind}</span> <span class="mono">{address}</span>
    </span>
  );
}
