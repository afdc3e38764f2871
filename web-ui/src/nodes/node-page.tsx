// One node with everything that it reported.

import type { ComponentChildren } from "preact";
import type { NetworkOverview, NodeOverview } from "../api/generated/api";
import { href } from "../routes";
import { age, host, rtt } from "../ui/format";
import { StateOf } from "./state";
import { natOf, PATHS, sourceOf } from "./words";

interface Props {
  network: NetworkOverview;
  node: NodeOverview;
  now: number;
}

export function NodePage({ network, node, now }: Props) {
  return (
    <>
      <nav aria-label="Breadcrumb" class="breadcrumb">
        <a href="/">Networks</a> <span aria-hidden="true">/</span> {network.name}
      </nav>
      <div class="page-head node-head">
        <h1>{node.name}</h1>
        <p>
          <StateOf node={node} now={now} />
        </p>
      </div>
      <Facts node={node} now={now} />
      <Paths network={network} node={node} />
      <Candidates node={node} />
    </>
  );
}

function Facts({ node, now }: { node: NodeOverview; now: number }) {
  const nat = natOf(node);
  const reported = node.reported_at_ms === null ? "never" : `${age(now - node.reported_at_ms)} ago`;
  return (
    <dl class="panel facts">
      <Fact name="Mesh addresses">
        <ul class="mono">
          {node.addresses.map((address) => (
            <li key={address}>{host(address)}</li>
          ))}
        </ul>
      </Fact>
      <Fact name="DNS name">
        <span class="mono">{node.dns_name}</span>
      </Fact>
      <Fact name="NAT">
        {nat.name} {nat.facts.length > 0 && <span class="quiet">{nat.facts.join(", ")}</span>}
      </Fact>
      {node.plain_endpoint !== null ? (
        <Fact name="Endpoint">
          <span class="mono">{node.plain_endpoint}</span> <span class="quiet">given by an administrator</span>
        </Fact>
      ) : (
        <>
          <Fact name="Last report">{reported}</Fact>
          <Fact name="Agent">{node.agent_version || "unknown"}</Fact>
        </>
      )}
      <Fact name="Public key">
        <span class="mono">{node.public_key}</span>
      </Fact>
      <Fact name="Id">
        <span class="mono">{node.id}</span>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Paths({ network, node }: { network: NetworkOverview; node: NodeOverview }) {
  return (
    <Listing title="Paths" columns={["Peer", "Path", "Remote address", "RTT"]} empty="It reports no peer.">
      {node.paths.map((path) => (
        <tr key={path.peer}>
          <th scope="row">
            <a href={href({ page: "node", network: network.name, node: path.peer })}>{path.peer}</a>
          </th>
          <td data-label="Path">
            <a href={href({ page: "pair", network: network.name, own: node.name, peer: path.peer })} class="why">
              <span class={`path ${path.kind}`}>{PATHS[path.kind]}</span> – why?
            </a>
          </td>
          <td data-label="Remote address" class="mono">
            {path.remote ?? "–"}
          </td>
          <td data-label="RTT" class="figure">
            {rtt(path.rtt_us)}
          </td>
        </tr>
      ))}
    </Listing>
  );
}

function Candidates({ node }: { node: NodeOverview }) {
  return (
    <Listing
      title="Candidates"
      columns={["Address", "Kind", "Base", "Learnt from"]}
      empty={node.plain_endpoint === null ? "It reported none." : "A peer without an agent reports none."}
    >
      {node.candidates.map((candidate) => (
        <tr key={candidate.address + candidate.kind}>
          <th scope="row" class="mono">
            {candidate.address}
          </th>
          <td data-label="Kind">{candidate.kind}</td>
          <td data-label="Base" class="mono">
            {candidate.base ?? "–"}
          </td>
          <td data-label="Learnt from">{sourceOf(candidate.source)}</td>
        </tr>
      ))}
    </Listing>
  );
}

interface ListingProps {
  title: string;
  columns: string[];
  empty: string;
  children: ComponentChildren[];
}

function Listing({ title, columns, empty, children }: ListingProps) {
  const heading = title.toLowerCase();
  return (
    <section class="panel" aria-labelledby={heading}>
      <h2 id={heading}>
        {title} <span class="quiet">{children.length}</span>
      </h2>
      {children.length === 0 ? (
        <p class="empty quiet">{empty}</p>
      ) : (
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      )}
    </section>
  );
}
