// The frame round every page: who is here, where one can go, and whether what is shown is of now.

import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { PLACES, help, listen } from "./keys.ts";
import { live, staleFor, standing, trouble } from "./live.ts";
import { dismiss, notices } from "./notices.ts";
import { Audit } from "./pages/audit.tsx";
import { Budgets } from "./pages/budgets.tsx";
import { Channels } from "./pages/channels.tsx";
import { Config } from "./pages/config.tsx";
import { Faults } from "./pages/faults.tsx";
import { Keys } from "./pages/keys.tsx";
import { Overview } from "./pages/overview.tsx";
import { Requests } from "./pages/requests.tsx";
import { Routes } from "./pages/routes.tsx";
import { Simulate } from "./pages/simulate.tsx";
import { Usage } from "./pages/usage.tsx";
import { Help } from "./parts/help.tsx";
import { Mark } from "./parts/mark.tsx";
import { Enter } from "./parts/enter.tsx";
import { link, place } from "./router.ts";
import { leave, token, wanted } from "./session.ts";
import { theme, turn } from "./theme.ts";
import { millis, plural } from "./words.ts";

const PAGES: Record<string, ComponentType> = {
  overview: Overview,
  channels: Channels,
  routes: Routes,
  requests: Requests,
  keys: Keys,
  budgets: Budgets,
  usage: Usage,
  faults: Faults,
  config: Config,
  simulate: Simulate,
  audit: Audit,
};

const SHOWN = PLACES.filter((place) => place.page in PAGES);

export function App() {
  useEffect(listen, []);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        Skip to the content
      </a>
      <Head />
      <div class="frame">
        <Navigation />
        <Content />
      </div>
      <Notices />
      {help.value && <Help />}
    </>
  );
}

function skip(event: Event) {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function Head() {
  return (
    <header class="head">
      <a class="brand" href={link("overview")}>
        <img src="console/icon.svg" alt="" width="20" height="20" /> Mainstay
      </a>
      <Freshness />
      <div class="head-tools">
        <button type="button" class="quiet" onClick={turn} title="Light, dark, or as the system has it (t)">
          Theme: {theme.value}
        </button>
        <button type="button" class="quiet" onClick={() => (help.value = true)} aria-keyshortcuts="?">
          Shortcuts
        </button>
        {token.value !== null && (
          <button type="button" class="quiet" onClick={leave}>
            Forget token
          </button>
        )}
      </div>
    </header>
  );
}

/** Whether what is on the page is of this second. Said aloud only when that changes. */
function Freshness() {
  const beat = live.value;
  const stands = standing.value;
  const stale = stands === "stale";
  const words = stands === "live" && beat !== null && beat.phase !== "serving" ? beat.phase : stands;
  const kind = stale ? "bad" : words === "live" ? "good" : stands === "live" ? "warn" : "idle";
  return (
    <p class="freshness">
      <span role="status">
        <Mark kind={kind} /> {words}
      </span>
      {stale && (
        <span class="why">
          {beat === null ? "nothing heard yet" : `last heard ${millis(staleFor.value)} ago`}
          {trouble.value !== null && `; ${trouble.value}`}; trying again
        </span>
      )}
      {stands === "no access" && <span class="why">{trouble.value}</span>}
      {stands === "live" && beat !== null && beat.alerts > 0 && (
        <span class="why" role="status">
          <a href={link("overview")}>{plural(beat.alerts, "alert fires", "alerts fire")}</a>
        </span>
      )}
    </p>
  );
}

function Navigation() {
  const here = place.value.page;
  return (
    <nav class="nav" aria-label="Pages">
      <ul>
        {SHOWN.map(({ page, name, key }) => (
          <li key={page}>
            <a href={link(page)} aria-current={here === page ? "page" : undefined}>
              {name}
              <kbd aria-hidden="true">g {key}</kbd>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Content() {
  const { page, rest } = place.value;
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    const name = SHOWN.find((shown) => shown.page === page)?.name ?? "Not here";
    document.title = [...rest.toReversed(), name, "Mainstay"].join(" · ");
    // Whoever follows a link by keyboard or by ear goes on at what it led to.
    if (!first.current) {
      const head = main.current?.querySelector("h1") ?? main.current;
      if (head) head.tabIndex = -1;
      head?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    first.current = false;
  }, [page, rest.join("/")]);
  const Page = Object.hasOwn(PAGES, page) ? PAGES[page] : undefined;
  return (
    <main id="content" class="content" tabIndex={-1} ref={main}>
      {wanted.value !== "no" ? <Enter /> : Page ? <Page /> : <Nowhere />}
    </main>
  );
}

function Nowhere() {
  return (
    <>
      <h1>There is no such page</h1>
      <p>
        <a href={link("overview")}>The overview</a> is a good place to begin.
      </p>
    </>
  );
}

function Notices() {
  return (
    <div class="notices" role="region" aria-label="Notices" aria-live="polite">
      {notices.value.map((notice) => (
        <p key={notice.id} class={`notice ${notice.kind}`}>
          <Mark kind={notice.kind === "done" ? "good" : "bad"} /> <span>{notice.text}</span>
          <button type="button" class="quiet" onClick={() => dismiss(notice.id)} aria-label="Dismiss">
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
