// What the headers of a slide's files say about which others belong to it. The gateway reads them in the same way.
// A file that is cut or lies about itself says nothing here: whether it is a slide, the gateway finds out.

const HEAD_BYTES = 1 << 20;
const DESCRIPTION_BYTES = 16 << 20;

async function viewOf(file: Blob, start: number, stop: number): Promise<DataView> {
  return new DataView(await file.slice(start, stop).arrayBuffer());
}

function text(view: DataView, at: number, length: number): string {
  return new TextDecoder("latin1").decode(new Uint8Array(view.buffer, view.byteOffset + at, length));
}

/** Reading past the end says nothing. */
function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

const MAGIC_AT = 128;

export async function isDicom(file: Blob): Promise<boolean> {
  const view = await viewOf(file, MAGIC_AT, MAGIC_AT + 4);
  return view.byteLength === 4 && text(view, 0, 4) === "DICM";
}

/** The SeriesInstanceUID of a DICOM file. */
export async function dicomSeries(file: Blob): Promise<string | null> {
  if (!(await isDicom(file))) return null;
  const head = await viewOf(file, MAGIC_AT + 4, HEAD_BYTES);
  return orNull(() => new Dicom(head).series());
}

const tagOf = (group: number, element: number) => group * 65536 + element;
const SYNTAX = tagOf(0x0002, 0x0010);
const SERIES = tagOf(0x0020, 0x000e);
const ITEM = tagOf(0xfffe, 0xe000);
const ITEM_END = tagOf(0xfffe, 0xe00d);
const SEQUENCE_END = tagOf(0xfffe, 0xe0dd);
const OPEN_END = 0xffffffff;
const IMPLICIT = "1.2.840.10008.1.2";
const LONG_KINDS = new Set("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split(" "));
const DEEPEST = 16;

/** A walk over data elements, little endian. */
class Dicom {
  private at = 0;
  private isImplicit = false;

  constructor(private readonly head: DataView) {}

  series(): string | null {
    let syntax = "";
    for (;;) {
      const tag = this.tag();
      if (tag >= tagOf(3, 0) && syntax) {
        this.isImplicit = syntax === IMPLICIT;
        syntax = "";
      }
      const length = this.length();
      if (tag === SYNTAX) syntax = this.text(length);
      else if (tag === SERIES) return this.text(length) || null;
      else if (tag > SERIES) return null;
      else this.skip(length, 0);
    }
  }

  private u16(): number {
    this.at += 2;
    return this.head.getUint16(this.at - 2, true);
  }

  private u32(): number {
    this.at += 4;
    return this.head.getUint32(this.at - 4, true);
  }

  private tag(): number {
    const group = this.u16();
    return tagOf(group, this.u16());
  }

  private length(): number {
    if (this.isImplicit) return this.u32();
    const kind = this.text(2);
    if (!LONG_KINDS.has(kind)) return this.u16();
    this.at += 2;
    return this.u32();
  }

  private text(length: number): string {
    this.at += length;
    return text(this.head, this.at - length, length).replace(/[\0 ]+$/, "");
  }

  /** Past a value; one of open length is a sequence of items. */
  private skip(length: number, depth: number): void {
    if (length !== OPEN_END) {
      this.at += length;
      return;
    }
    if (depth > DEEPEST) throw new RangeError("too deep");
    let tag = this.tag();
    for (; tag === ITEM; tag = this.tag()) this.skipItem(depth);
    if (tag !== SEQUENCE_END) throw new RangeError("a sequence holds items only");
    this.at += 4;
  }

  private skipItem(depth: number): void {
    const size = this.u32();
    if (size !== OPEN_END) {
      this.at += size;
      return;
    }
    while (this.tag() !== ITEM_END) this.skip(this.length(), depth + 1);
    this.at += 4;
  }
}

/** What an index of Hamamatsu's (VMS, VMU) names: the values of its lines, those that are names among them. */
export async function vmsNames(file: Blob): Promise<string[]> {
  const view = await viewOf(file, 0, HEAD_BYTES);
  const lines = text(view, 0, view.byteLength).split(/\r\n|\r|\n/);
  return lines.filter((line) => line.includes("=")).map((line) => line.slice(line.indexOf("=") + 1).trim());
}

/** The files that the OME-XML in a TIFF names. */
export async function omeNames(file: Blob): Promise<string[]> {
  const description = await tiffDescription(file);
  const found = description.matchAll(/\b(?:FileName|MetadataFile)\s*=\s*"([^"]+)"/g);
  return [...found].map(([, name = ""]) => unescapeXml(name));
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(name: string): string {
  return name.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(amp|lt|gt|quot|apos));/gi, (whole, hex, decimal, word) => {
    if (word) return ENTITIES[word.toLowerCase()] ?? whole;
    const point = Number.parseInt(hex ?? decimal, hex ? 16 : 10);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

const DESCRIPTION_TAG = 270;
const MOST_TAGS = 4096;

/** The ImageDescription of a TIFF's first page, classic or Big, in either order of bytes. */
async function tiffDescription(file: Blob): Promise<string> {
  const head = await viewOf(file, 0, 16);
  const place = orNull(() => firstPage(head));
  if (!place) return "";
  const { first, big, little } = place;
  const [head_bytes, entry_bytes] = big ? [8, 20] : [2, 12];
  const page = await viewOf(file, first, first + head_bytes + MOST_TAGS * entry_bytes);
  const found = orNull(() => {
    const count = big ? Number(page.getBigUint64(0, little)) : page.getUint16(0, little);
    for (let at = head_bytes; at < head_bytes + Math.min(count, MOST_TAGS) * entry_bytes; at += entry_bytes) {
      if (page.getUint16(at, little) === DESCRIPTION_TAG) return valueAt(page, at + 4, first, big, little);
    }
    return null;
  });
  if (!found) return "";
  const value = await viewOf(file, found.start, found.start + Math.min(found.size, DESCRIPTION_BYTES));
  return new TextDecoder().decode(value);
}

function firstPage(head: DataView): { first: number; big: boolean; little: boolean } | null {
  const order = text(head, 0, 2);
  if (order !== "II" && order !== "MM") return null;
  const little = order === "II";
  const big = head.getUint16(2, little) === 43;
  return { first: big ? Number(head.getBigUint64(8, little)) : head.getUint32(4, little), big, little };
}

/** Where a tag's value lies in the file: in the tag itself where it fits. */
function valueAt(page: DataView, at: number, first: number, big: boolean, little: boolean) {
  const size = big ? Number(page.getBigUint64(at, little)) : page.getUint32(at, little);
  const own = at + (big ? 8 : 4);
  if (size <= (big ? 8 : 4)) return { start: first + own, size };
  return { start: big ? Number(page.getBigUint64(own, little)) : page.getUint32(own, little), size };
}
