import { describe, expect, test } from "vitest";
import { slideSets } from "../src/jobs/sets";

const ascii = (text: string) => new TextEncoder().encode(text);

function joined(...parts: (Uint8Array | number[])[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

const u16 = (value: number) => [value & 255, value >> 8];
const u32 = (value: number) => [...u16(value & 65535), ...u16(value >>> 16)];

/** An element of explicit kind with a short length. */
function element(group: number, number: number, kind: string, value: string): number[] {
  const text = value.length % 2 ? `${value}\0` : value;
  return [...u16(group), ...u16(number), ...ascii(kind), ...u16(text.length), ...ascii(text)];
}

/** A sequence of open length before the series' number holds a number of another series. */
function dicom(series: string): Uint8Array<ArrayBuffer> {
  const inner = element(0x0020, 0x000e, "UI", "9.9.9");
  const sequence = [
    ...[...u16(0x0008), ...u16(0x1115), ...ascii("SQ"), 0, 0, ...u32(0xffffffff)],
    ...[...u16(0xfffe), ...u16(0xe000), ...u32(0xffffffff), ...inner, ...u16(0xfffe), ...u16(0xe00d), ...u32(0)],
    ...[...u16(0xfffe), ...u16(0xe0dd), ...u32(0)],
  ];
  const head = element(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1");
  return joined(new Uint8Array(128), ascii("DICM"), head, sequence, element(0x0020, 0x000e, "UI", series));
}

/** A TIFF of one tag: its description. */
function ome(description: string): Uint8Array<ArrayBuffer> {
  const text = ascii(description);
  const tag = [...u16(270), ...u16(2), ...u32(text.length), ...u32(26)];
  return joined(ascii("II"), u16(42), u32(8), u16(1), tag, u32(0), text);
}

async function sets(files: Record<string, Uint8Array<ArrayBuffer> | string>) {
  const dropped = Object.entries(files).map(([name, content]) => ({
    name,
    file: new File([content], name.slice(name.lastIndexOf("/") + 1)),
  }));
  const { slides, rest } = await slideSets(dropped);
  const named = slides.map(({ entry, files: own }) => [entry, ...own.map((one) => one.name)]);
  return { slides: named.sort(), rest };
}

describe("which files make one slide", () => {
  test("two slides are two, what is none is told, and one file alone is never questioned", async () => {
    expect(await sets({ "a.svs": "", "b.tiff": "", "notes.txt": "", ".DS_Store": "" })).toEqual({
      slides: [
        ["a.svs", "a.svs"],
        ["b.tiff", "b.tiff"],
      ],
      rest: ["notes.txt"],
    });
    expect((await sets({ odd: "" })).slides).toEqual([["odd", "odd"]]);
  });

  test("an MRXS takes what lies below its folder, under names that start beside it", async () => {
    const dropped = { "day/a.mrxs": "", "day/a/Data0.dat": "", "day/a/b/Index.dat": "", "day/b.png": "" };
    expect((await sets(dropped)).slides).toEqual([
      ["a.mrxs", "a.mrxs", "a/Data0.dat", "a/b/Index.dat"],
      ["b.png", "b.png"],
    ]);
  });

  test("a VMS takes the files that its index names", async () => {
    const index = "[Virtual Microscope Specimen]\nImageFile=x(0,0).jpg\nMapFile=x_map.jpg\nOther=../y.jpg\n";
    expect(await sets({ "x.vms": index, "x(0,0).jpg": "", "x_map.jpg": "", "y.jpg": "" })).toEqual({
      slides: [
        ["x.vms", "x(0,0).jpg", "x.vms", "x_map.jpg"],
        ["y.jpg", "y.jpg"],
      ],
      rest: [],
    });
  });

  test("DICOM files come by series; sequences before the number are not it, a cut file stands alone", async () => {
    const cut = dicom("1.3").slice(0, 180);
    const found = await sets({ "s/1": dicom("1.2"), "s/2.dcm": dicom("1.2"), "s/3.dcm": dicom("1.3"), "s/4.dcm": cut });
    expect(found.slides).toEqual([
      ["1", "1", "2.dcm"],
      ["3.dcm", "3.dcm"],
      ["4.dcm", "4.dcm"],
    ]);
  });

  test("an OME-TIFF takes the files that its description names, one through another", async () => {
    const names = (...all: string[]) => ome(`<OME>${all.map((one) => `<UUID FileName="${one}">`).join("")}</OME>`);
    const dropped = { "a.ome.tif": names("b&amp;.ome.tif"), "b&.ome.tif": names("c.ome.tif"), "c.ome.tif": names() };
    expect((await sets({ ...dropped, "d.tif": "" })).slides).toEqual([
      ["a.ome.tif", "a.ome.tif", "b&.ome.tif", "c.ome.tif"],
      ["d.tif", "d.tif"],
    ]);
  });
});
