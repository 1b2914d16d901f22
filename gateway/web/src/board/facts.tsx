// Where a page's cluster lies, and its measures as marks on the slide's own distribution.

import { address } from "../api";
import { measure } from "../format";
import type { Fact, Page, Slide } from "../types";

export function Where({ page, slide, name }: { page: Page; slide: Slide | undefined; name: string }) {
  if (!slide) return null;
  const { width_px, height_px } = slide;
  const radius_px = 0.01 * Math.max(width_px, (height_px * 248) / 188);
  return (
    <div class="where">
      <div class="map" style={{ aspectRatio: `${width_px} / ${height_px}` }}>
        <img src={address(page.where.thumbnail)} alt={`The slide with the cells of ${name}`} />
        <svg viewBox={`0 0 ${width_px} ${height_px}`} preserveAspectRatio="none" aria-hidden="true">
          {page.where.points.map(([x, y]) => (
            <circle key={`${x},${y}`} cx={x} cy={y} r={radius_px} />
          ))}
        </svg>
      </div>
    </div>
  );
}

const WIDTH = 100;
const HEIGHT = 16;

/** A smooth line through the bins' tops: each bin's middle is a point, each midway point a knot. */
export function curve(histogram: readonly number[]): string {
  const top = Math.max(...histogram, 1e-9);
  const points = histogram.map((value, index): [number, number] => [
    ((index + 0.5) / histogram.length) * WIDTH,
    HEIGHT - 1 - (value / top) * (HEIGHT - 3),
  ]);
  let path = `M0 ${HEIGHT - 1}`;
  for (const [index, [x, y]] of points.entries()) {
    const [nextX, nextY] = points[index + 1] ?? [WIDTH, HEIGHT - 1];
    path += `Q${round(x)} ${round(y)} ${round((x + nextX) / 2)} ${round((y + nextY) / 2)}`;
  }
  return `${path}L${WIDTH} ${HEIGHT - 1}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const SHOWN = 4;

/** Share of the slide's cells below the mark, from the histogram it is drawn on. */
export function rank({ histogram, position }: Pick<Fact, "histogram" | "position">): number {
  const at = position * histogram.length;
  const below = histogram.reduce((sum, value, bin) => sum + value * Math.min(1, Math.max(0, at - bin)), 0);
  return (
    below /
    Math.max(
      1e-9,
      histogram.reduce((sum, value) => sum + value, 0),
    )
  );
}

/** Numbers are few: the measures in which these cells differ most from the others. */
export function mostTelling(facts: readonly Fact[]): Fact[] {
  const telling = (fact: Fact) => Math.abs(rank(fact) - 0.5);
  const chosen = new Set([...facts].sort((a, b) => telling(b) - telling(a)).slice(0, SHOWN));
  return facts.filter((fact) => chosen.has(fact));
}

export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl class="facts">
      {mostTelling(facts).map((fact) => {
        const at = Math.min(1, Math.max(0, fact.position)) * WIDTH;
        return (
          <div key={fact.name}>
            <dt>{fact.name.replaceAll("_", " ")}</dt>
            <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
              <path class="curve" d={curve(fact.histogram)} />
              <path class="at" d={`M${at} 1v14`} />
            </svg>
            <dd>{measure(fact.value, fact.unit)}</dd>
          </div>
        );
      })}
    </dl>
  );
}
