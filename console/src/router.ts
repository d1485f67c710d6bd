// Where in the console somebody is: the part of the address behind `#`, so that the server has one page.

import { signal } from "@preact/signals";

export interface Place {
  page: string;
  /** What stands behind the page's name. */
  rest: string[];
  query: URLSearchParams;
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page = "", ...rest] = path.split("/").map(decodeURIComponent);
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
