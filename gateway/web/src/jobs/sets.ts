// Which of the files that were dropped make one slide: several only where their format needs it. The gateway holds to the same rule.
import { dicomSeries, isDicom, omeNames, vmsNames } from "./headers";

/** A file under its name as it was dropped, with the folders it lay in. */
export interface Dropped {
  name: string;
  file: File;
}

export interface Sets {
  slides: { entry: string; files: Dropped[] }[];
  /** Files that belong to no slide. */
  rest: string[];
}

const INDEXES = new Set(["vms", "vmu"]);
const TIFFS = new Set(["tif", "tiff", "btf"]);
const ENTRIES = new Set([
  ...INDEXES,
  ...TIFFS,
  ...["svs", "ndpi", "scn", "mrxs", "bif", "svslide", "czi", "dcm", "png", "jpg", "jpeg"],
]);

function extension(name: string): string {
  return /\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

function folder(name: string): string {
  return name.slice(0, name.lastIndexOf("/") + 1);
}

/** One file alone is always a slide: what it is called does not matter. */
export async function slideSets(dropped: readonly Dropped[]): Promise<Sets> {
  const [only] = dropped;
  if (only && dropped.length === 1) return { slides: [{ entry: only.file.name, files: [only] }], rest: [] };
  const files = new Map(dropped.filter((one) => !isHidden(one.name)).map((one) => [one.name, one]));
  const series = await seriesOf([...files.values()]);
  const group = new Map([...files.keys()].map((name) => [name, new Set([name])]));
  for (const one of files.values()) {
    for (const mate of await matesOf(one, files, series)) join(group, one.name, mate);
  }
  const sets: Sets = { slides: [], rest: [] };
  for (const names of new Set(group.values())) {
    const members = [...names].sort().flatMap((name) => files.get(name) ?? []);
    if (await anyStandsForASlide(members)) sets.slides.push(called(entryOf([...names]), members));
    else sets.rest.push(...names);
  }
  return sets;
}

/** Names start at the entry's folder: the same slide is the same from wherever it was dropped. */
function called(entry: string, members: readonly Dropped[]): Sets["slides"][number] {
  const start = folder(entry).length;
  const files = members.map((one) => ({ ...one, name: one.name.slice(start) }));
  return { entry: entry.slice(start), files };
}

function isHidden(name: string): boolean {
  return name.split("/").some((part) => part.startsWith("."));
}

function join(group: Map<string, Set<string>>, name: string, mate: string): void {
  const [one, other] = [group.get(name), group.get(mate)];
  if (!one || !other || one === other) return;
  for (const member of other) {
    one.add(member);
    group.set(member, one);
  }
}

/** Series of every file that may be DICOM: one with another slide's extension is not asked. */
async function seriesOf(files: readonly Dropped[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name, file } of files) {
    const ext = extension(name);
    const series = ext === "dcm" || !ENTRIES.has(ext) ? await dicomSeries(file) : null;
    if (series) found.set(name, series);
  }
  return found;
}

/** What a file's format, or its header, says belongs to it. */
async function matesOf(
  { name, file }: Dropped,
  files: ReadonlyMap<string, Dropped>,
  series: ReadonlyMap<string, string>,
): Promise<string[]> {
  const ext = extension(name);
  if (ext === "mrxs") {
    const below = `${name.slice(0, -ext.length - 1)}/`;
    return [...files.keys()].filter((other) => other.startsWith(below));
  }
  const beside = (names: string[]) =>
    names.filter((mate) => mate && !mate.includes("/")).map((one) => folder(name) + one);
  if (INDEXES.has(ext)) return beside(await vmsNames(file));
  if (TIFFS.has(ext)) return beside(await omeNames(file));
  const own = series.get(name);
  const isSame = (other: string) => folder(other) === folder(name) && series.get(other) === own;
  return own === undefined ? [] : [...files.keys()].filter(isSame);
}

async function anyStandsForASlide(members: readonly Dropped[]): Promise<boolean> {
  for (const { name, file } of members) if (ENTRIES.has(extension(name)) || (await isDicom(file))) return true;
  return false;
}

/** The file that a set is called by: the MRXS or VMS index, else the first by name. */
function entryOf(names: readonly string[]): string {
  const ordered = [...names].sort();
  const depth = (name: string) => name.split("/").length;
  const index = ordered.find((name) => ["mrxs", "vms", "vmu"].includes(extension(name)));
  return index ?? ordered.reduce((best, name) => (depth(name) < depth(best) ? name : best));
}

/** All files that were dropped, those in folders by their paths. */
export async function filesOf(transfer: DataTransfer): Promise<Dropped[]> {
  // The list is empty as soon as this function waits for anything.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const whole = [...transfer.files].map((file) => ({ name: file.name, file }));
  if (!entries.some((entry) => entry?.isDirectory)) return whole;
  return (await Promise.all(entries.map((entry) => (entry ? filesBelow(entry) : [])))).flat();
}

async function filesBelow(entry: FileSystemEntry): Promise<Dropped[]> {
  const name = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ name, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Dropped[] = [];
  for (;;) {
    // A reader hands out some at a time, and nothing at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const one of some) found.push(...(await filesBelow(one)));
  }
}
