// From labels of a sample to what can be measured by them.
import { api, asProblem } from "../api";
import type { Clustering, Problem, Sample } from "../types";

export interface Measurable {
  clustering: string | null;
  truth: string;
}

/** A truth of the labels as they are now, and the clustering that has the most of the sample's cells. */
export async function measurable(sample: Sample): Promise<Measurable | Problem> {
  try {
    const [truth, clusterings] = await Promise.all([api.truthOfSample(sample.id), api.clusterings()]);
    return { truth: truth.id, clustering: clusteringOf(sample, clusterings) };
  } catch (error) {
    return asProblem(error);
  }
}

export function clusteringOf(sample: Pick<Sample, "slides">, clusterings: readonly Clustering[]): string | null {
  const jobs = new Map(sample.slides.map((slide) => [slide.job_id, slide.cell_count]));
  const cells = (one: Clustering) => one.slides.reduce((sum, slide) => sum + (jobs.get(slide.job_id) ?? 0), 0);
  let best: Clustering | null = null;
  for (const one of clusterings) if (cells(one) > (best ? cells(best) : 0)) best = one;
  return best?.id ?? null;
}
