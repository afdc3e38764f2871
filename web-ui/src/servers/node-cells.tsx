// The cells of what nodes say of a server.

import type { NodeFigures } from "../api/generated/api";
import { age, rtt } from "../ui/format";
import { missingWords, reachClass, reachWords } from "./words";

export function NodeCells({ nodes, now }: { nodes: NodeFigures | null; now: number }) {
  if (nodes === null) {
    return (
      <td data-label="Reached by" colSpan={4} class="quiet">
        not known
      </td>
    );
  }
  const missing = missingWords(nodes);
  const last = nodes.last_reached_at_ms;
  return (
    <>
      <td data-label="Reached by">
        <span>
          <span class={reachClass(nodes)}>{reachWords(nodes)}</span>
          {missing !== null && <span class="since quiet">{missing}</span>}
        </span>
      </td>
      <td data-label="RTT, median" class="figure">
        {rtt(nodes.rtt_median_us)}
      </td>
      <td data-label="95 %" class="figure">
        {rtt(nodes.rtt_p95_us)}
      </td>
      <td data-label="Last seen">{last === null ? "never" : `${age(now - last)} ago`}</td>
    </>
  );
}
