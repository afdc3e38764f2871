// Which page an address shows. Pages are told apart by path, so that a link can be kept and the back button works; the
// coordinator answers each of them with the same file.

import { useEffect, useState } from "preact/hooks";

export type Route =
  | { page: "networks" }
  /** Relays and STUN servers. */
  | { page: "servers" }
  | { page: "node"; network: string; node: string }
  /** Two nodes, told from `own`. */
  | { page: "pair"; network: string; own: string; peer: string }
  | { page: "unknown" };

/** The route of a path such as `/networks/home/nodes/alpha` or `/networks/home/pairs/alpha/bravo`. */
export function parse(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [first, network, second, node, peer] = parts.map(decoded);
  if (parts.length === 0) return { page: "networks" };
  if (parts.length === 1 && first === "relays") return { page: "servers" };
  if (first !== "networks" || !network || !node) return { page: "unknown" };
  if (parts.length === 4 && second === "nodes") return { page: "node", network, node };
  if (parts.length === 5 && second === "pairs" && peer) return { page: "pair", network, own: node, peer };
  return { page: "unknown" };
}

/** The path of a route. */
export function href(route: Exclude<Route, { page: "unknown" }>): string {
  if (route.page === "networks") return "/";
  if (route.page === "servers") return "/relays";
  const parts = route.page === "node" ? ["nodes", route.node] : ["pairs", route.own, route.peer];
  return `/${["networks", route.network, ...parts].map(encodeURIComponent).join("/")}`;
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Follows a link of this page without loading it anew; leaves every other click to the browser. */
function follow(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const special = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  // A page that is none of the dashboard says so by its target.
  if (link?.target !== "" || special || event.defaultPrevented || link.origin !== location.origin || link.hash !== "")
    return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  dispatchEvent(new PopStateEvent("popstate"));
  // What loading a page would do: begin at its top, for the eye and for the keyboard.
  scrollTo(0, 0);
  document.querySelector("main")?.focus({ preventScroll: true });
}

/** The route of the address bar, now and whenever it changes. */
export function useRoute(): Route {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const moved = () => setPath(location.pathname);
    addEventListener("popstate", moved);
    document.addEventListener("click", follow);
    return () => {
      removeEventListener("popstate", moved);
      document.removeEventListener("click", follow);
    };
  }, []);
  return parse(path);
}
