// The clusters below the page: a card opens a page of that cluster; its chip names the cluster whole.

import { count, countOf, percent } from "../format";
import type { Cluster, Clustering, ClusterName, Klass } from "../types";
import { crop } from "./cells";

interface ClustersProps {
  clusters: readonly Cluster[];
  clustering: Clustering;
  names: readonly ClusterName[];
  classes: readonly Klass[];
  current: number | null;
  open: (node_id: number) => void;
  name: (node_id: number, class_number: number | null) => void;
}

export function ClusterCards({ clusters, clustering, names, classes, current, open, name }: ClustersProps) {
  const noise = clustering.noise_count / Math.max(1, clustering.cell_count);
  return (
    <section class="clusters" aria-labelledby="clusters-title">
      <div class="row">
        <h2 id="clusters-title">Clusters</h2>
        <span class="tiny">
          {countOf(clusters.length, "cluster")} · noise {percent(noise, 1)}
        </span>
      </div>
      <ul class="grid">
        {clusters.map((cluster) => (
          <li key={cluster.node_id} class={`card ${cluster.node_id === current ? "current" : ""}`}>
            <Card
              cluster={cluster}
              called={names.find((one) => one.node_id === cluster.node_id)}
              classes={classes}
              open={open}
              name={name}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

interface CardProps extends Pick<ClustersProps, "classes" | "open" | "name"> {
  cluster: Cluster;
  called: ClusterName | undefined;
}

function Card({ cluster, called, classes, open, name }: CardProps) {
  const klass = classes.find((one) => one.number === called?.class_number);
  const id = cluster.node_id;
  return (
    <>
      <header>
        <b>{id}</b>
        <span class="muted">{countOf(cluster.cell_count, "cell")}</span>
        <NameSelect id={id} klass={klass} called={called} classes={classes} name={name} />
      </header>
      <button
        type="button"
        class="six"
        title={cluster.sentence}
        aria-label={`A page of cluster ${id}, ${count(cluster.cell_count)} cells, ${klass?.name ?? "unlabelled"}`}
        onClick={() => open(id)}
      >
        {cluster.representatives.slice(0, 6).map((cell) => (
          <span key={cell.row} class="crop" style={crop(cell)} />
        ))}
      </button>
    </>
  );
}

interface NameProps extends Pick<CardProps, "classes" | "name" | "called"> {
  id: number;
  klass: Klass | undefined;
}

function NameSelect({ id, klass, called, classes, name }: NameProps) {
  const explicit = called?.explicit ? called.class_number : 0;
  const implied = klass && !called?.explicit ? `${klass.name}?` : "unlabelled";
  return (
    <select
      class={`chip push ${klass ? "tinted" : "none"}`}
      style={{ "--c": klass?.color ?? "transparent" }}
      aria-label={`Name of cluster ${id}, whole`}
      title={
        called && !called.explicit
          ? "Its seen cells suggest this name; choose one to name it whole"
          : "Name this cluster whole"
      }
      value={explicit}
      onChange={(event) => name(id, Number(event.currentTarget.value) || null)}
    >
      <option value={0}>{implied}</option>
      {classes.map((one) => (
        <option key={one.number} value={one.number}>
          {one.name}
        </option>
      ))}
    </select>
  );
}
