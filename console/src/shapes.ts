// What the admin side answers, as far as the console reads it. The words are those of `src/admin`.

export type Phase = "starting" | "serving" | "draining";

export interface Breaker {
  state: string;
  level: number;
  consecutive_failures: number;
  recent_ok: number;
  recent_bad: number;
  opens_again_in_seconds?: number;
}

export interface Credential {
  alias: string;
  state: string;
  for_seconds?: number;
}

/** What an operator has said of an upstream, or of a model of it. */
export interface Override {
  kind: "disabled" | "draining" | "forced_open" | "forced_closed";
  since: number;
  until?: number;
  for_seconds?: number;
  reason: string;
  by: string;
}

/** Something that has changed: a breaker's state, what probes say, what an operator has said. */
export interface Change {
  at: number;
  of: "breaker" | "health" | "override";
  from: string;
  to: string;
  reason: string;
}

export interface Upstream {
  name: string;
  provider: string;
  address: string;
  speaks: string[];
  region?: string;
  configured: boolean;
  missing?: string[];
  health: string;
  breaker: Breaker;
  in_flight: number;
  pool: { idle: number; in_use: number; opening: number; streams: number };
  credentials: Credential[];
  models: UpstreamModel[];
  override?: Override;
  timeline?: Change[];
}

export interface UpstreamModel {
  model: string;
  breaker: Breaker;
  in_flight: number;
  override?: Override;
  timeline?: Change[];
}

/** What came of something that was done to an upstream. */
export interface Acted {
  in_flight: number;
  override: Override | null;
  probe?: { result: "pass" | "fail" | "inconclusive"; kind: string; why?: string; took_ms: number };
}

export interface RouteChannel {
  channel: string;
  asked_in: string | null;
  tier: number;
  weight: number;
  ramp: number;
  quota_left: number;
  picked: boolean;
  standing: string;
  detail: string;
  breaker: string;
  health: string;
  in_flight: number;
  limit: number;
  latency_ms: number | null;
  hedge: string | null;
}

export interface Explained {
  steering: string[];
  route: string;
  select: string;
  continuation: string;
  delivery: string;
  channels: RouteChannel[];
  fallback: string[];
  on_exhausted: string[];
  handling: string[];
}

/** A path route says only where it goes. */
export interface PathRoute {
  route: string;
  channels: string[];
}

export type Route = Explained | PathRoute;

export interface Applied {
  source: string;
  revision: string;
  applied_at: number;
  refused?: string;
}

export interface Store {
  database: string;
  here: boolean;
  why?: string;
}

export interface Ledger {
  waiting: number;
  spooled_batches: number;
  spooled_bytes: number;
  lag_seconds: number;
  disk: "works" | "fails";
}

export interface Status {
  version: string;
  phase: Phase;
  uptime_seconds: number;
  configuration: Applied;
  connections: number;
  in_flight: number;
  memory: { held_bytes: number; limit_bytes: number };
  shared?: { connected: boolean; why?: string };
  store?: Store;
  ledger?: Ledger;
  upstreams: Upstream[];
  routes: Route[];
}

/** How requests ended in one second. */
export interface Second {
  ok: number;
  client_fault: number;
  refused: number;
  failed: number;
  broken: number;
  cancelled: number;
  saved: number;
}

/** How an upstream, or a model of it, does now. */
interface LiveStanding {
  state: string;
  /** Something failed there moments ago, and nothing has gone well since. */
  failing: boolean;
  /** What an operator has said of it. */
  override?: Override["kind"];
  since: number;
  until_seconds?: number;
  in_flight: number;
  ok: number;
  bad: number;
}

export interface LiveModel extends LiveStanding {
  model: string;
  latency_ms?: number;
}

export interface LiveUpstream extends LiveStanding {
  name: string;
  configured: boolean;
  health: string;
  resting: Credential[];
  models: LiveModel[];
}

export interface LiveRoute {
  route: string;
  in_flight: number;
  waiting: number;
  per_second: number;
  failed_per_second: number;
  saved_per_second: number;
}

/** One beat of `GET /admin/live`. */
export interface Live {
  at: number;
  phase: Phase;
  connections: number;
  in_flight: number;
  revision: string;
  refused: boolean;
  alerts: number;
  store?: Store;
  shared?: { connected: boolean; why?: string };
  ledger?: Ledger;
  now: Second;
  upstreams: LiveUpstream[];
  routes: LiveRoute[];
}

export interface Alerts {
  firing: { kind: string; subject: string; text: string; since: number }[];
  webhooks: Record<string, unknown>[];
  history: { at: number; kind: string; state: string; subject: string; text: string }[];
}

export interface Budget {
  level: string;
  name: string;
  per: string;
  limit_nano_usd: number;
  spent_nano_usd: number;
  reserved_nano_usd: number;
  left_nano_usd: number;
  begins_at: number;
  ends_at: number | null;
  on_exceeded: string;
  downgrade_to?: string;
  soft: string[];
}

export interface Limits {
  replicas?: number;
  holders: { level: string; name: string; limits: { limit: string; allowed: number; used: number; whole_in_seconds: number }[] }[];
}

export interface Key {
  name: string;
  source: "file" | "store";
  begins?: string;
  organisation: string | null;
  team: string | null;
  user: string | null;
  expires: number | string | null;
  disabled_at?: number | null;
  deleted_at?: number | null;
  created_at?: number;
  created_by?: string;
  secrets?: { from: number; to: number | null }[];
  limits?: Record<string, number>;
  budgets?: unknown[];
  allow?: Record<string, unknown>;
}

export interface Usage {
  from: string;
  to: string;
  rows: UsageRow[];
  total: UsageRow;
}

export type UsageRow = Record<string, string | number | null>;

export interface Deed {
  id: string;
  at: number;
  actor: string;
  action: string;
  subject: string;
  detail: unknown;
}

export interface Simulated {
  upstream: string;
  address: string;
  rules: { fault: { kind: string } & Record<string, unknown>; when?: unknown; every?: number; share?: number; first?: number }[];
  counts: Record<string, number>;
  seen: { at_ms: number; method: string; path: string; model: string | null; outcome: string; fault: unknown; serial: number }[];
}

/** What became of a request and why. Times are in milliseconds; those of parts count from its arrival. */
export interface Decision {
  request: string;
  at: number;
  organisation?: string;
  team?: string;
  user?: string;
  key?: string;
  dialect: string;
  operation: string;
  route: string;
  asked_route?: string;
  arm?: string;
  downgraded?: boolean;
  model: string;
  stream: boolean;
  /** Absent where the store is who knows. */
  priority?: string;
  channel: string;
  outcome: string;
  status?: number;
  error?: string;
  replayed?: string;
  instead?: string;
  shed?: string;
  attempts: number;
  millis: number;
  first_byte?: number;
  own: number;
  waits?: Record<string, number>;
  input: number;
  cached?: number;
  output?: number;
  reasoning?: number;
  cost_nano_usd?: number;
  estimated: boolean;
  /** The trace that it is part of. */
  trace?: string;
  /** Whether there was more of it than is kept. */
  cut?: boolean;
  tried: Tried[];
  looks: Look[];
}

export interface Tried {
  part: string;
  channel: string;
  provider: string;
  credential?: string;
  begun: number;
  sent?: number;
  headers?: number;
  first_content?: number;
  ended: number;
  status?: number;
  verdict: string;
  stage: string;
  detail?: string;
  input?: number;
  output?: number;
  cost_nano_usd?: number;
}

export interface Look {
  at: number;
  route: string;
  picked?: string;
  channels: { channel: string; standing: string }[];
}

export const isPath = (route: Route): route is PathRoute => typeof route.channels[0] === "string" || !("select" in route);
