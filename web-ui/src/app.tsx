// The frame around every page, and the choice of the page.

import { useEffect } from "preact/hooks";
import { NetworksPage } from "./networks/networks-page";
import { NodePage } from "./nodes/node-page";
import { PairPage } from "./pairs/pair-page";
import { type Route, useRoute } from "./routes";
import { ServersPage } from "./servers/servers-page";
import { Header } from "./session/header";
import { INTERVAL_MS, useSession } from "./session/polling";
import type { Session } from "./session/session";
import { SignedOut } from "./session/signed-out";
import { Trouble, Unreachable } from "./session/trouble";

export function App() {
  return <Frame session={useSession()} route={useRoute()} />;
}

export function Frame({ session, route }: { session: Session; route: Route }) {
  useEffect(() => {
    document.title = titleOf(session, route);
  });
  return (
    <div class="frame">
      <a class="skip" href="#content">
        Skip to content
      </a>
      <Header session={session} />
      {session.state === "signed-in" && <Trouble session={session} />}
      <main id="content" tabIndex={-1}>
        <Page session={session} route={route} />
      </main>
      {session.state === "signed-in" && (
        <footer>
          Paths, round-trip times and NAT behaviour as each node last reported them. Updated every {INTERVAL_MS / 1000}{" "}
          seconds.
        </footer>
      )}
    </div>
  );
}

function Page({ session, route }: { session: Session; route: Route }) {
  switch (session.state) {
    case "starting":
      return <p class="quiet">Asking the coordinator…</p>;
    case "signed-out":
      return <SignedOut />;
    case "unreachable":
      return <Unreachable why={session.why} />;
    case "signed-in":
      break;
  }
  const { overview } = session;
  if (route.page === "networks") return <NetworksPage overview={overview} />;
  if (route.page === "servers") return <ServersPage now={overview.now_ms} />;
  if (route.page === "unknown") return <NotFound />;
  const network = overview.networks.find(({ name }) => name === route.network);
  const find = (wanted: string) => network?.nodes.find(({ name }) => name === wanted);
  if (route.page === "node") {
    const node = find(route.node);
    return network && node ? <NodePage network={network} node={node} now={overview.now_ms} /> : <NotFound />;
  }
  const [own, peer] = [find(route.own), find(route.peer)];
  if (!network || !own || !peer || own === peer) return <NotFound />;
  // A page of its own for each pair: nothing of one is ever shown under the names of another.
  return <PairPage key={`${own.id} ${peer.id}`} network={network} own={own} peer={peer} now={overview.now_ms} />;
}

function NotFound() {
  return (
    <section class="prose">
      <h1>There is nothing here</h1>
      <p>
        The address is mistyped, or what it showed was deleted. <a href="/">All networks</a>
      </p>
    </section>
  );
}

function titleOf(session: Session, route: Route): string {
  if (session.state === "signed-out") return "Warren";
  if (route.page === "node") return `${route.node} · Warren`;
  if (route.page === "servers") return "Relays · Warren";
  return route.page === "pair" ? `${route.own} to ${route.peer} · Warren` : "Networks · Warren";
}
