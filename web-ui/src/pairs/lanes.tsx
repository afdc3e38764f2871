// A simulated run: a lane per node that shows which way its packets took, and every event below.

import type { Run } from "../api/generated/api";
import { eventWords, type Nodes, spanMs, stretchesOf } from "./timeline";
import { seconds } from "./words";

/** The most events that are listed; a run without a direct path repeats itself. */
const EVENTS_MAX = 40;

export function Timeline({ run, nodes }: { run: Run; nodes: Nodes }) {
  const end = spanMs(run);
  const share = (ms: number) => `${(100 * ms) / end}%`;
  const rest = run.events.length - EVENTS_MAX;
  return (
    <>
      <div class="lanes" aria-hidden="true">
        {nodes.map((name, node) => (
          <div class="lane" key={name}>
            <span class="lane-name">{name}</span>
            <span class="track">
              {stretchesOf(run, node, end).map(({ kind, fromMs, toMs }) => (
                <span
                  key={fromMs}
                  class={`stretch ${kind}`}
                  style={{ left: share(fromMs), width: share(toMs - fromMs) }}
                />
              ))}
              {run.events.map(
                (event, index) =>
                  event.node === node &&
                  event.event !== "path-changed" && (
                    <span key={index} class={`mark ${event.event}`} style={{ left: share(event.at_ms) }} />
                  ),
              )}
            </span>
          </div>
        ))}
        <div class="lane scale">
          <span />
          <span class="track">
            <span>0 s</span>
            <span>{seconds(end / 2)}</span>
            <span>{seconds(end)}</span>
          </span>
        </div>
        <p class="legend">
          <span class="path direct">direct</span> <span class="path relay">relay</span>{" "}
          <span class="path none">nothing</span> <span class="sample learnt">NAT learnt</span>{" "}
          <span class="sample round-began">round</span> <span class="sample attempt-began">attempt</span>
        </p>
      </div>
      <ol class="events">
        {run.events.slice(0, EVENTS_MAX).map((event, index) => (
          <li key={index}>
            <span class="figure quiet">{seconds(event.at_ms)}</span>
            <span>
              <strong>{nodes[event.node]}</strong> {eventWords(event, nodes)}
            </span>
          </li>
        ))}
        {rest > 0 && <li class="quiet">and {rest} more</li>}
      </ol>
    </>
  );
}
