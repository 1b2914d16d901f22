// Numbers and times as a person reads them.
const counts = new Intl.NumberFormat("en-GB");

export function count(value: number): string {
  return counts.format(value);
}

export function countOf(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A part of a whole, never rounded up: all is only all, and some is not none. */
export function shareOf(part: number, whole: number): string {
  const share = whole > 0 ? Math.floor((100 * part) / whole) : 0;
  return part > 0 && share === 0 ? "<1 %" : `${share} %`;
}

export function bytes(size: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, size < 1 ? 0 : Math.floor(Math.log10(size) / 3));
  const value = size / 1000 ** step;
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${units[step]}`;
}

export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export function when(time: string): string {
  return days.format(new Date(time));
}

/** Three figures are enough for a measure. */
export function measure(value: number, unit: string): string {
  if (unit === "share") return percent(value);
  const magnitude = Math.abs(value);
  const text =
    magnitude >= 100
      ? count(Math.round(value))
      : magnitude >= 10
        ? value.toFixed(0)
        : value.toFixed(magnitude >= 1 ? 1 : 2);
  return unit ? `${text} ${unit}` : text;
}

export function microns(length_um: number): string {
  return length_um >= 1000 ? `${length_um / 1000} mm` : `${length_um} µm`;
}
