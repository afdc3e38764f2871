// What is tried to open a direct path, in order.

import type { Carrier, Plan } from "../api/generated/api";
import { type Names, obstacleWords, stepsOf } from "./plan";
import { percent } from "./words";

interface Props {
  plan: Plan;
  carrier: Carrier;
  names: Names;
}

export function PlanTable({ plan, carrier, names }: Props) {
  const { pause_min_s, pause_max_s } = plan.budget;
  return (
    <section class="panel" aria-labelledby="plan">
      <h2 id="plan">
        Plan <span class="quiet">chance of a direct path: {percent(plan.chance_ppm)}</span>
      </h2>
      <p class="lead quiet">
        {carrier === "direct"
          ? "What is tried, in order, whenever no direct path answers. One does now."
          : "What is tried, in order, while no direct path answers."}
        {carrier !== "direct" &&
          plan.techniques.length > 0 &&
          ` A failed attempt is repeated after ${pause_min_s} s, later ones after up to ${pause_max_s} s.`}
      </p>
      <table class="plan">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">What happens</th>
            <th scope="col">Chance</th>
            <th scope="col">Cost</th>
          </tr>
        </thead>
        <tbody>
          {stepsOf(plan, names).map(({ name, what, chance, cost }, index) => (
            <tr key={name}>
              <th scope="row">
                {index + 1}. {name}
              </th>
              <td data-label="What happens">{what}</td>
              <td data-label="Chance" class="figure">
                {chance}
              </td>
              <td data-label="Cost">{cost}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {plan.obstacle && carrier !== "direct" && <p class="lead obstacle">{obstacleWords(plan.obstacle, names)}</p>}
    </section>
  );
}
