// Say how the reader's own clock stands to the facility's, and write its hours beside the calendar's.

tell();
document.addEventListener("yiqi:redrawn", tell); // the hours of a calendar that was drawn again

function tell() {
  for (const note of document.querySelectorAll("[data-own-clock]")) {
    // What the account says of the reader's zone wins over the machine's.
    const own = note.dataset.own ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    const { zone, at, words, ahead, behind } = note.dataset;
    const noon = new Date(`${at}T12:00:00Z`);
    const difference = offset(own, noon) - offset(zone, noon);
    if (!own || difference === 0) continue;
    note.textContent = words
      .replace("{zone}", own.replaceAll("_", " "))
      .replace("{hours}", Math.abs(difference) / 60)
      .replace("{way}", difference > 0 ? ahead : behind);
    note.hidden = false;
    for (const mark of document.querySelectorAll("[data-clock-hour]")) {
      const minute = (Number(mark.dataset.clockHour) * 60 + difference + 2 * 1440) % 1440;
      const small = document.createElement("small");
      small.textContent = `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
      mark.append(small);
    }
  }
}

/** Minutes that a zone is ahead of UTC at a time. */
function offset(zone, time) {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
    })
      .formatToParts(time)
      .map(({ type, value }) => [type, value]),
  );
  const local = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute);
  return Math.round((local - time.getTime()) / 60000);
}
