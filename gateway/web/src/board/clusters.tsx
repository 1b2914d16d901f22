// The clusters below the page: a card opens a page of that cluster; its chip names the cluster whole.

import type { Wanted } from "../api";
import { count, countOf, percent } from "../format";
import type { CellPicture, Cluster, Clustering, ClusterName, Klass, Noise } from "../types";
import { Menu } from "../ui/menu";
import { Dot } from "../ui/parts";
import { crop } from "./cells";
import { Suggested, useSuggestions } from "./suggestions";
import { type Changed, NO_CLUSTER, newClusters } from "./words";

interface ClustersProps {
  labelling: string;
  clusters: readonly Cluster[];
  noise: Noise | null;
  clustering: Clustering;
  names: readonly ClusterName[];
  classes: readonly Klass[];
  current: number | null;
  /** Clusters are being changed: one change at a time. */
  changing: boolean;
  open: (of: Wanted) => void;
  split: (node_id: number) => void;
  regroup: () => void;
  name: (node_id: number, class_number: number | null) => void;
}

export function ClusterCards(props: ClustersProps) {
  const { labelling, clusters, noise: rest, clustering, names, current, open, classes } = props;
  const suggestions = useSuggestions(labelling, clusters);
  const noise = clustering.noise_count / Math.max(1, clustering.cell_count);
  return (
    <section class="clusters" aria-labelledby="clusters-title">
      <div class="row">
        <h2 id="clusters-title">Clusters</h2>
        <span class="tiny">
          {countOf(clusters.length, "cluster")} · noise {percent(noise, 1)}
          {suggestions.failed && " · suggestions could not be read"}
        </span>
        <button
          type="button"
          class="tiny plain push"
          disabled={props.changing}
          title="Named clusters stay; all other cells are clustered by themselves"
          aria-keyshortcuts="R"
          onClick={props.regroup}
        >
          Group the rest anew…
        </button>
      </div>
      <ul class="grid">
        {newFirst(clusters, clustering).map((cluster) => (
          <li key={cluster.node_id} class={`card ${cluster.node_id === current ? "current" : ""}`}>
            <Card
              {...props}
              cluster={cluster}
              called={names.find((one) => one.node_id === cluster.node_id)}
              isNew={newClusters(clustering).includes(cluster.node_id)}
            />
            {!names.some((one) => one.node_id === cluster.node_id && one.explicit) && (
              <Suggested of={suggestions.by.get(cluster.node_id)} classes={classes} />
            )}
          </li>
        ))}
        {rest && (
          <li class={`card ${current === NO_CLUSTER ? "current" : ""}`}>
            <header>
              <b>none</b>
              <span class="muted">{countOf(rest.cell_count, "cell")}</span>
            </header>
            <Six
              cells={rest.representatives}
              title={rest.sentence}
              label={`A page of the ${countOf(rest.cell_count, "cell")} in no cluster`}
              open={() => open("noise")}
            />
          </li>
        )}
      </ul>
    </section>
  );
}

/** What came of the last change stands before the others, which are by size. */
export function newFirst(clusters: readonly Cluster[], changed: Changed): Cluster[] {
  const isNew = ({ node_id }: Cluster) => newClusters(changed).includes(node_id);
  return [...clusters.filter(isNew), ...clusters.filter((one) => !isNew(one))];
}

interface CardProps extends Pick<ClustersProps, "classes" | "clustering" | "changing" | "open" | "split" | "name"> {
  cluster: Cluster;
  isNew: boolean;
  called: ClusterName | undefined;
}

function Card({ cluster, called, isNew, classes, clustering, changing, open, split, name }: CardProps) {
  const klass = classes.find((one) => one.number === called?.class_number);
  const id = cluster.node_id;
  return (
    <>
      <header>
        <b>
          {isNew && "↳ "}
          {id}
        </b>
        <span class="muted" title={isNew ? originOf(clustering) : undefined}>
          {countOf(cluster.cell_count, "cell")}
        </span>
        <button
          type="button"
          class="divide"
          disabled={changing}
          title="Split it into two"
          aria-label={`Split cluster ${id} into two`}
          onClick={() => split(id)}
        >
          ÷
        </button>
        <NameMenu id={id} klass={klass} called={called} classes={classes} name={name} />
      </header>
      <Six
        cells={cluster.representatives}
        title={cluster.sentence}
        label={`A page of cluster ${id}, ${count(cluster.cell_count)} cells, ${klass?.name ?? "no name"}`}
        open={() => open(id)}
      />
    </>
  );
}

function originOf({ split }: Changed): string {
  return split ? `Part of cluster ${split.node_id}, which was split` : "Of the rest, which was grouped anew";
}

interface SixProps {
  cells: readonly CellPicture[];
  title: string;
  label: string;
  open: () => void;
}

function Six({ cells, title, label, open }: SixProps) {
  return (
    <button type="button" class="six" title={title} aria-label={label} onClick={open}>
      {cells.slice(0, 6).map((cell) => (
        <span key={cell.row} class="crop" style={crop(cell)} />
      ))}
    </button>
  );
}

interface NameProps extends Pick<CardProps, "classes" | "name" | "called"> {
  id: number;
  klass: Klass | undefined;
}

/** The chip of a cluster's name. A letter typed on it is the page's key: only what is picked in its list names a cluster. */
function NameMenu({ id, klass, called, classes, name }: NameProps) {
  const isImplied = called !== undefined && !called.explicit;
  const items = classes.map((one) => ({
    name: one.name,
    key: one.key,
    chosen: !isImplied && one.number === klass?.number,
    before: <Dot klass={one} />,
    act: () => name(id, one.number),
  }));
  const none = { name: "No name of its own", chosen: !called?.explicit, act: () => name(id, null) };
  return (
    <Menu
      class={`chip ${klass ? "tinted" : "none"}`}
      style={{ "--c": klass?.color ?? "transparent" }}
      label={`Name of cluster ${id}, whole: ${klass ? `${klass.name}${isImplied ? ", implied" : ""}` : "no name"}`}
      title={isImplied ? "Its seen cells suggest this name; choose one to name it whole" : "Name this cluster whole"}
      items={called?.explicit ? [...items, none] : items}
    >
      {klass ? `${klass.name}${isImplied ? "?" : ""}` : "no name"}
    </Menu>
  );
}
