// Reads `text/event-stream` out of whatever pieces it comes in (WHATWG HTML, section 9.2.6; no ids, no retry).

export interface Event {
  name: string;
  data: string;
}

export class Reader {
  private rest = "";
  private name = "";
  private data: string[] = [];

  /** The events that this piece completes. */
  read(piece: string): Event[] {
    const lines = (this.rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    const found: Event[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) found.push({ name: this.name || "message", data: this.data.join("\n") });
        this.name = "";
        this.data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") this.name = value;
      if (field === "data") this.data.push(value);
    }
    return found;
  }
}
