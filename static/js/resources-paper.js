// Time and place on the paper of the timeline. Times are minutes since 1970; a place is a part of the paper's width.
// Each day has the hours that are shown, on the clock of the row's own facility.

const MINUTE = 60_000;

export function paper({ zones, days, language }) {
  const formats = new Map();

  /** The place of a time: of what is outside the hours shown, the edge nearest to it. */
  function place(zone, time) {
    const clock = zones[zone];
    if (time <= clock[0][0]) return 0;
    if (time >= clock[days][0]) return 1;
    let day = Math.min(Math.floor((time - clock[0][0]) / 1440), days - 1);
    while (clock[day][0] > time) day -= 1;
    while (clock[day + 1][0] <= time) day += 1;
    const [, opens, closes] = clock[day];
    return (day + Math.min(Math.max((time - opens) / (closes - opens), 0), 1)) / days;
  }

  /** The time at a place, on the step of the row: steps count from midnight. */
  function time(zone, at, step = 1) {
    const part = Math.min(Math.max(at, 0), 1) * days;
    const day = Math.min(Math.floor(part), days - 1);
    const [midnight, opens, closes] = zones[zone][day];
    return snap(opens + (part - day) * (closes - opens), midnight, step);
  }

  function snap(found, midnight, step) {
    return midnight + Math.round((found - midnight) / step) * step;
  }

  /** The nearest time on the step, counted from the midnight of its day. */
  function stepped(zone, found, step) {
    const clock = zones[zone];
    let day = Math.min(Math.max(Math.floor((found - clock[0][0]) / 1440), 0), days);
    while (day > 0 && clock[day][0] > found) day -= 1;
    return snap(found, clock[day][0], step);
  }

  // The pages write the day before its month.
  const written = language === "en" ? "en-GB" : language;

  function format(zone, options) {
    const key = zone + JSON.stringify(options);
    if (!formats.has(key)) {
      formats.set(key, new Intl.DateTimeFormat(written, { timeZone: zone, hourCycle: "h23", ...options }));
    }
    return formats.get(key);
  }

  const clockTime = { hour: "2-digit", minute: "2-digit" };
  const dayTime = { weekday: "short", month: "short", day: "numeric", ...clockTime };
  const date = { year: "numeric", month: "2-digit", day: "2-digit" };
  const say = (zone, found, options) => format(zone, options).format(found * MINUTE);

  /** From when to when, the day once if both are on the same. */
  function times(zone, from, to) {
    const same = say(zone, from, date) === say(zone, to, date);
    return `${say(zone, from, dayTime)} – ${say(zone, to, same ? clockTime : dayTime)}`;
  }

  /** As addresses of pages write a time: 2026-11-23T09:00. */
  function local(zone, found) {
    const parts = format(zone, { ...date, ...clockTime }).formatToParts(found * MINUTE);
    const part = (name) => parts.find((each) => each.type === name).value;
    return `${part("year")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}`;
  }

  return {
    place,
    time,
    stepped,
    times,
    local,
    moment: (zone, found) => say(zone, found, dayTime),
    clock: (zone, found) => say(zone, found, clockTime),
    day: (found, options) => say("UTC", found, options),
    ends: (zone) => [zones[zone][0][0], zones[zone][days][0]],
  };
}

export const instant = (time) => new Date(time * MINUTE).toISOString();
export const fill = (words, values) => words.replace(/%\((\w+)\)s/g, (_all, name) => values[name] ?? "");
