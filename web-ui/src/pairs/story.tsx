// The headline of a pair: what carries the traffic, over which address, and what would make it better.

import type { Explanation, PairReport } from "../api/generated/api";
import { PATHS } from "../nodes/words";
import { rtt } from "../ui/format";
import { kindOf } from "./decisions";

export function Story({ story, report }: { story: Explanation; report: PairReport }) {
  const { own, peer } = report.pair;
  const kind = kindOf(story.carrier, own.paths?.idle ?? false);
  const chosen = story.peer_candidates.find(({ candidate }) => candidate.address === story.chosen);
  const relay = report.pair.relays.find(({ address }) => address === story.chosen);
  return (
    <section class="panel story" aria-label="Explanation">
      <div class={`road ${kind}`}>
        <span class="end">{own.name}</span>
        <span class="line">
          <span class="label">
            {PATHS[kind]}
            {relay && ` ${relay.name}`}
            {chosen?.quality.rtt && `, ${rtt(chosen.quality.rtt.rtt_us)}`}
          </span>
        </span>
        <span class="end">{peer.name}</span>
      </div>
      <p class="headline">{story.sentence}</p>
      {story.chosen && (
        <p class="quiet">
          {own.name} sends to <span class="mono">{story.chosen}</span>.
        </p>
      )}
      {story.advice.length > 0 && (
        <div class="advice">
          <h2>What would help</h2>
          <ul>
            {story.advice.map(({ code, sentence }) => (
              <li key={code}>{sentence}</li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}
