// Reads calendars with ical.js, the parser of Thunderbird and Nextcloud: a JSON list of texts on standard input,
// for each {"calendar": {name: text}, "events": [{…}]} on standard output.
import { readFileSync } from "node:fs";
import ICAL from "ical.js";

const seconds = (time) => time.toUnixTime();
const texts = JSON.parse(readFileSync(0, "utf8"));
const read = texts.map((text) => {
  const calendar = new ICAL.Component(ICAL.parse(text));
  const events = calendar.getAllSubcomponents("vevent").map((component) => {
    // Without `exceptions` each event searches all others: quadratic.
    const event = new ICAL.Event(component, { exceptions: [] });
    const value = (name) => component.getFirstPropertyValue(name);
    return {
      uid: event.uid,
      start: seconds(event.startDate),
      end: seconds(event.endDate),
      changed: seconds(value("last-modified")),
      sequence: event.sequence,
      status: value("status"),
      transparency: value("transp"),
      summary: event.summary,
      description: event.description,
      location: event.location,
      url: value("url"),
      categories: component.getFirstProperty("categories")?.getValues() ?? [],
      properties: component.getAllProperties().map((property) => property.name),
    };
  });
  const said = calendar.getAllProperties().map((property) => [property.name, String(property.getFirstValue())]);
  return { calendar: Object.fromEntries(said), events };
});
process.stdout.write(JSON.stringify(read));
