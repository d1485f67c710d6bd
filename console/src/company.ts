// Shares one stream among the pages of a browser, which has six connections to a gateway for all of them together: one page
// holds it and tells the others. By BroadcastChannel alone, since Web Locks are for https and localhost.
//
// Who begins asks; who holds a stream answers with what it knows. Who hears nobody opens a stream. Two may do so at once: then
// the one of the higher number lets go when it hears the other. Who has heard nothing for a while looks for a stream of its own.

/** So long an answer is waited for, in milliseconds. */
export const ANSWER = 200;
/** After so long without a word, where a beat comes each second, nobody is taken to hold a stream. */
export const QUIET = 2_500;
/** So that not all pages look for a stream at the same moment. */
const JITTER = 300;

interface Told {
  from: number;
  /** Of an event; `who` asks who holds a stream, and `bye` says that it was let go. */
  name: string;
  data?: string;
}

/** What is used of a BroadcastChannel. */
export interface Channel {
  postMessage(told: Told): void;
  onmessage: ((event: MessageEvent<Told>) => void) | null;
  close(): void;
}

export class Company {
  private heard = -Infinity;
  /** Set while a stream is held or looked for. */
  private holding: { stream: AbortController; speaks: boolean } | null = null;
  private wake: () => void = () => undefined;

  constructor(
    private readonly channel: Channel | null,
    private readonly number: number,
    /** Takes what another page was told. */
    private readonly hear: (name: string, data: string) => void,
    /** What to tell a page that begins. */
    private readonly known: () => string | null,
  ) {
    if (channel !== null) channel.onmessage = ({ data }) => this.take(data);
  }

  private take({ from, name, data }: Told) {
    if (name === "who") {
      const known = this.holding?.speaks ? this.known() : null;
      if (known !== null) this.post("history", known);
      return;
    }
    if (name === "bye") {
      this.heard = -Infinity;
      this.wake();
      return;
    }
    // It hears this page as well, and lets go.
    if (this.holding?.speaks && this.number < from) return;
    this.heard = Date.now();
    this.holding?.stream.abort();
    this.wake();
    if (data !== undefined) this.hear(name, data);
  }

  private post(name: string, data?: string) {
    this.channel?.postMessage({ from: this.number, name, data });
  }

  /** Until no other page holds a stream, or `leave`. */
  async alone(leave: AbortSignal) {
    if (this.channel === null) return;
    const pause = (longest: number) =>
      new Promise<void>((done) => {
        const timer = setTimeout(done, longest);
        this.wake = () => {
          clearTimeout(timer);
          done();
        };
        leave.addEventListener("abort", this.wake, { once: true });
      });
    const left = () => this.heard + QUIET - Date.now();
    if (left() <= 0) {
      this.post("who");
      await pause(ANSWER);
    }
    while (!leave.aborted && left() > 0) {
      await pause(left());
      if (left() <= 0) await pause(Math.random() * JITTER);
    }
  }

  /** Holds a stream for as long as `follow` takes, which tells of it; its signal says that another page has one. */
  async hold(follow: (another: AbortSignal, tell: (name: string, data: string) => void) => Promise<void>) {
    const holding = { stream: new AbortController(), speaks: false };
    this.holding = holding;
    try {
      await follow(holding.stream.signal, (name, data) => {
        holding.speaks = true;
        this.post(name, data);
      });
    } catch (error) {
      if (!holding.stream.signal.aborted) throw error;
    } finally {
      this.holding = null;
      if (holding.speaks && !holding.stream.signal.aborted) this.post("bye");
    }
  }

  /** The page goes; it may come back. */
  bye() {
    if (this.holding?.speaks) this.post("bye");
  }

  close() {
    this.bye();
    this.channel?.close();
  }
}

/** Of those who hold the same token at the same gateway: a short hash, since whoever does not is to be told nothing. */
export function named(place: string, token: string | null): string {
  let [one, two] = [0xdeadbeef, 0x41c6ce57];
  for (const letter of `${place}\n${token ?? ""}`) {
    const code = letter.codePointAt(0) ?? 0;
    one = Math.imul(one ^ code, 2654435761);
    two = Math.imul(two ^ code, 1597334677);
  }
  return `mainstay.live.${(one >>> 0).toString(36)}${(two >>> 0).toString(36)}`;
}
