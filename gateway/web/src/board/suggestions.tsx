// What a model suggests that clusters are, where somebody asked one. Nothing here is a label.

import { useEffect, useState } from "preact/hooks";
import { api } from "../api";
import type { Klass, Suggestion } from "../types";
import { Dot } from "../ui/parts";

interface Found {
  by: ReadonlyMap<number, Suggestion>;
  /** Why there are none to show. */
  failed: boolean;
}

/** Suggestions by cluster; they are read again when the clusters are others. */
export function useSuggestions(labelling: string, clusters: unknown): Found {
  const [found, setFound] = useState<Found>({ by: new Map(), failed: false });
  useEffect(() => {
    let gone = false;
    const keep = (next: Found) => !gone && setFound(next);
    api.suggestions(labelling).then(
      ({ suggestions }) => keep({ by: new Map(suggestions.map((one) => [one.node_id, one])), failed: false }),
      () => keep({ by: new Map(), failed: true }),
    );
    return () => {
      gone = true;
    };
  }, [labelling, clusters]);
  return found;
}

/** Stands where a cluster has no name of its own. */
export function Suggested({ of, classes }: { of: Suggestion | undefined; classes: readonly Klass[] }) {
  const klass = classes.find((one) => one.number === of?.class_number);
  if (!of || !klass) return null;
  const agreed = of.votes.filter((vote) => vote.class_number === of.class_number);
  const reason = agreed.find((vote) => vote.reason)?.reason ?? "";
  const title = `${of.origin.model} suggests ${klass.name} (${agreed.length} of ${of.votes.length} answers). ${reason} Not a label.`;
  return (
    <p class="tiny suggested" title={title}>
      <Dot klass={klass} /> {klass.name}? <span class="muted">suggested</span>
    </p>
  );
}
