// Where in the console somebody is: the part of the address behind `#`, so that the server has one page.

import { signal } from "@preact/signals";

export interface Place {
  page: string;
  /** What stands behind the page's name. */
  rest: string[];
  query: URLSearchParams;
}

/** What nobody can have meant is shown as it is written. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page = "", ...rest] = path.split("/").map(decoded);
  return { page: page || "overview", rest: rest.filter((part) => part !== ""), query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());

window.addEventListener("hashchange", () => (place.value = read()));

export function link(page: string, ...rest: string[]): string {
  return `#/${[page, ...rest].map(encodeURIComponent).join("/")}`;
}

export function go(page: string, ...rest: string[]) {
  location.hash = link(page, ...rest);
}
