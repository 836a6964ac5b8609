// Numbers and times for people.

const DATE_TIME = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const NUMBER = new Intl.NumberFormat("en-GB");
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
export const NONE = "–";

/** 12,345 */
export const count = (value) => (value === null || value === undefined ? NONE : NUMBER.format(value));

/** 1.5 GiB */
export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit && rest < 100 ? rest.toFixed(1) : Math.round(rest)} ${UNITS[unit]}`;
}

/** 28 Nov 2026, 14:05:09, on the reader's clock. */
export const moment = (text) => (text ? DATE_TIME.format(new Date(text)) : NONE);

/** Sat 28 Nov, of a date without a time. */
export const day = (text) => DAY.format(new Date(`${text}T00:00:00Z`));

/** 3h 05m of seconds. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d ${two(Math.floor((whole % 86400) / 3600))}h`;
}

/** 5 min ago, in 3 h. */
export function relative(text, now = Date.now()) {
  if (!text) return NONE;
  const seconds = (new Date(text).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  const [value, unit] =
    size < 60 ? [size, "s"] : size < 3600 ? [size / 60, "min"] : size < 86400 ? [size / 3600, "h"] : [size / 86400, "d"];
  const words = `${Math.floor(value)} ${unit}`;
  return seconds < 0 ? `${words} ago` : `in ${words}`;
}

/** Seconds between two moments, or until now. */
export function secondsBetween(start, end, now = Date.now()) {
  return start ? ((end ? new Date(end).getTime() : now) - new Date(start).getTime()) / 1000 : null;
}
