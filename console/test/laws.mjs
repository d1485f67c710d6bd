// What holds of the console's own arithmetic and reading, whatever comes. Seeded: a failure says with which seed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { shares } from "../src/charts/tiers.tsx";
import { roundUp } from "../src/charts/scale.ts";
import { phases } from "../src/charts/waterfall.tsx";
import { stretches } from "../src/charts/lines.tsx";
import { byLine, diffLines, offset, unix, withEndsOf } from "../src/editor.ts";
import { Reader } from "../src/events.ts";
import { ANSWER, Company, QUIET, named } from "../src/company.ts";
import { follows } from "../src/live.ts";
import { asked } from "../src/pages/create.tsx";
import { labelsOf, seriesOf } from "../src/pages/usage.tsx";
import { bars, busiest } from "../src/rehearsal.ts";
import { canBeSent } from "../src/session.ts";
import { wrongs } from "../src/trouble.ts";
import { among, percent, soon, span } from "../src/words.ts";

/** mulberry32. */
function dice(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function forSeeds(check) {
  for (let seed = 1; seed <= 300; seed += 1) {
    try {
      check(dice(seed));
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
}

test("events are the same however the stream is cut", () => {
  const text = 'event: beat\ndata: {"a":1}\n\n: nothing\ndata: one\ndata:two\r\n\r\nevent: end\ndata: \n\ndata: not whole';
  const whole = new Reader().read(text);
  assert.deepEqual(whole, [
    { name: "beat", data: '{"a":1}' },
    { name: "message", data: "one\ntwo" },
    { name: "end", data: "" },
  ]);
  forSeeds((draw) => {
    const reader = new Reader();
    const found = [];
    for (let at = 0; at < text.length; ) {
      const next = at + 1 + draw(12);
      found.push(...reader.read(text.slice(at, next)));
      at = next;
    }
    assert.deepEqual(found, whole);
  });
});

test("a chart's top is round, and neither too low nor far too high", () => {
  forSeeds((draw) => {
    const value = (draw(1_000_000) + 1) / 10 ** draw(8);
    const top = roundUp(value);
    assert.ok(top >= value * (1 - 1e-9) && top <= value * 2.5, `${value} -> ${top}`);
  });
  assert.equal(roundUp(0), 1);
});

test("nothing is 100 % that is not all of it", () => {
  forSeeds((draw) => {
    const whole = draw(1_000_000) + 1;
    const part = draw(whole);
    assert.ok(!/^100/.test(percent(part, whole)), `${part} of ${whole}: ${percent(part, whole)}`);
  });
  assert.equal(percent(7, 7), "100 %");
  assert.equal(percent(0, 0), "–");
});

test("an attempt's phases follow each other and fill its time", () => {
  forSeeds((draw) => {
    const begun = draw(50);
    const steps = Array.from({ length: 4 }, () => draw(100)).sort((a, b) => a - b).map((step) => begun + step);
    const tried = { begun, ended: steps[3] };
    // A step that was not come to has none behind it.
    const reached = draw(4);
    ["sent", "headers", "first_content"].slice(0, reached).forEach((name, at) => (tried[name] = steps[at]));
    const found = phases(tried);
    assert.equal(found.reduce((sum, { from, to }) => sum + to - from, 0), tried.ended - begun);
    found.forEach(({ from, to }, at) => assert.ok(to > from && (at === 0 || from === found[at - 1].to)));
  });
});

test("shares are of those that are picked, and make one", () => {
  forSeeds((draw) => {
    const channels = Array.from({ length: 1 + draw(6) }, () => ({ picked: draw(2) === 1, weight: 1 + draw(9), ramp: (1 + draw(10)) / 10 }));
    const found = shares(channels);
    const sum = found.reduce((sum, share) => sum + share, 0);
    const any = channels.some(({ picked }) => picked);
    assert.ok(Math.abs(sum - (any ? 1 : 0)) < 1e-9);
    channels.forEach(({ picked }, at) => assert.equal(found[at] > 0, picked));
  });
});

test("what was left empty in the form is not asked for", () => {
  const empty = { name: "shop", team: "", user: "", organisation: "", expires: "", models: "", rpm: "", tpm: "", concurrency: "", amount: "", per: "month" };
  assert.deepEqual(asked(empty), { name: "shop" });
  assert.deepEqual(asked({ ...empty, models: "a, b", rpm: "5", amount: "2.50" }), {
    name: "shop",
    limits: { rpm: 5 },
    allow: { models: ["a", "b"] },
    budgets: [{ per: "month", limit: 2.5 }],
  });
});

test("a day without anything stands in the chart as well", () => {
  const report = { from: "2026-11-01T00:00:00Z", to: "2026-11-04T10:00:00Z", rows: [{ day: "2026-11-03" }] };
  assert.deepEqual(labelsOf(report, "day"), ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]);
});

test("what belongs to no model is not summed with a model of any name", () => {
  const rows = ["nobody", "", null].map((model) => ({ model, day: "2026-11-01", requests: 1 }));
  const report = { from: "2026-11-01T00:00:00Z", to: "2026-11-01T10:00:00Z", rows };
  const { series } = seriesOf({ report, each: "day", by: "model", measure: { of: (row) => row.requests } });
  assert.deepEqual(series.map(({ name, values }) => [name, values]), [["(no model)", [2]], ["nobody", [1]]]);
});

test("a file keeps its own ends of lines", () => {
  for (const file of ["a\nb\n", "a\r\nb\r\n", "a\r\nb", "a", ""]) assert.equal(withEndsOf(file, unix(file)), file);
  assert.equal(withEndsOf("a\r\nb\r\n", "a\nc\nb\n"), "a\r\nc\r\nb\r\n");
  assert.equal(withEndsOf("a\nb\nc\r\n", "a\n"), "a\n");
});

test("a diff's lines are what their first character says", () => {
  const unified = "--- a\n+++ b\n@@ -1 +1 @@\n same\n-old\n+new\n";
  assert.deepEqual(diffLines(unified).map(({ kind }) => kind), ["place", "kept", "removed", "added"]);
});

test("a healthy gateway has nothing wrong, and what is wrong says what callers notice", () => {
  const well = { name: "a", configured: true, health: "up", state: "closed", failing: false, since: 0, in_flight: 0, ok: 5, bad: 0, resting: [], models: [] };
  const beat = { refused: false, upstreams: [well, { ...well, name: "b" }], routes: [{ route: "demo", failed_per_second: 0, saved_per_second: 2 }] };
  const status = { routes: [{ route: "demo", select: "", channels: [{ channel: "a/m", picked: false }, { channel: "b/m", picked: true }], fallback: [] }] };
  assert.deepEqual(wrongs(beat, status), []);
  const [wrong, ...others] = wrongs({ ...beat, upstreams: [{ ...well, state: "open", until_seconds: 5 }, beat.upstreams[1]] }, status);
  assert.deepEqual([wrong.subject, wrong.word, others.length], ["a", "open", 0]);
  assert.match(wrong.does, /go to b\/m; the next trial comes in 5.0 s/);
  assert.match(wrong.callers, /no errors: 2.0/);
  const unconfigured = { ...well, configured: false, health: "down" };
  assert.deepEqual(wrongs({ ...beat, upstreams: [unconfigured] }, status), [], "what was never set up is not broken");
  const all = { ...beat, upstreams: [unconfigured, { ...unconfigured, name: "b" }] };
  const explained = (fallback) => ({ routes: [{ ...status.routes[0], fallback }] });
  const [unserved, ...more] = wrongs(all, explained([]));
  assert.deepEqual([unserved.subject, unserved.page, more], ["demo", ["routes", "demo"], []]);
  assert.match(unserved.does, /a, b are not configured/);
  assert.deepEqual(wrongs(all, explained(["other"])), [], "another route takes them");
  assert.deepEqual(wrongs({ ...all, routes: [] }, explained([])), [], "nobody asks for it");
});

test("the second with which a history ends is counted once, and none is lost", () => {
  forSeeds((draw) => {
    const seconds = Array.from({ length: 1 + draw(299) }, () => ({ ok: draw(3), failed: draw(2) }));
    const last = { ...seconds.at(-1) };
    assert.deepEqual(follows(seconds, true, last), seconds);
    assert.deepEqual(follows(seconds, false, last), [...seconds, last], "two seconds may be alike");
    assert.deepEqual(follows(seconds, true, { ok: 9, failed: 0 }).length, seconds.length + 1);
  });
  assert.deepEqual(follows([], true, { ok: 1 }), [{ ok: 1 }]);
});

/** Pages of one browser, whose channel takes a moment. */
function browser() {
  const channels = new Set();
  let streams = 0;
  let most = 0;
  const page = (number) => {
    const channel = {
      onmessage: null,
      postMessage(told) {
        for (const other of channels) if (other !== channel) setTimeout(() => other.onmessage?.({ data: told }), 1);
      },
      close: () => channels.delete(channel),
    };
    channels.add(channel);
    const page = { heard: 0, holds: false, leave: new AbortController() };
    const company = new Company(channel, number, () => (page.heard += 1), () => "known");
    page.done = (async () => {
      while (!page.leave.signal.aborted) {
        await company.alone(page.leave.signal);
        if (page.leave.signal.aborted) break;
        await company.hold((another, tell) =>
          new Promise((done) => {
            streams += 1;
            most = Math.max(most, streams);
            page.holds = true;
            const beat = setInterval(() => ((page.heard += 1), tell("beat", "{}")), 20);
            AbortSignal.any([page.leave.signal, another]).addEventListener("abort", () => {
              clearInterval(beat);
              streams -= 1;
              page.holds = false;
              done();
            });
          }),
        );
      }
      company.close();
    })();
    return page;
  };
  return { page, streams: () => streams, most: () => most };
}

const rest = (time) => new Promise((done) => setTimeout(done, time));

test("pages of one browser come to hold one stream, and another takes it up where its holder leaves", async () => {
  const one = browser();
  const pages = [0.5, 0.3, 0.9, 0.1, 0.7].map((number) => one.page(number));
  await rest(ANSWER + 200);
  assert.equal(one.streams(), 1, "all began at once");
  const late = one.page(0.01);
  await rest(ANSWER + 200);
  assert.equal(one.streams(), 1, "who comes later asks first");
  assert.ok(late.heard > 0 && !late.holds);
  for (let turn = 0; turn < 5; turn += 1) {
    const holder = [...pages, late].find((page) => page.holds);
    holder.leave.abort();
    await holder.done;
    await rest(QUIET / 4 + ANSWER);
    assert.equal(one.streams(), 1, `the holder left, ${turn}`);
  }
  for (const page of [...pages, late]) page.leave.abort();
});

test("a page without company has a stream of its own", async () => {
  const company = new Company(null, 1, () => assert.fail("there is nobody"), () => null);
  await company.alone(new AbortController().signal);
  let told = 0;
  await company.hold(async (_, tell) => {
    tell("beat", "{}");
    told += 1;
  });
  assert.equal(told, 1);
  await assert.rejects(company.hold(async () => Promise.reject(new Error("gone"))), /gone/);
});

test("who holds another token, or another gateway's, is in other company", () => {
  const names = [named("/", null), named("/", "a"), named("/", "b"), named("/x/", "a"), named("/", "")];
  assert.equal(new Set(names).size, 4, "no token is an empty one");
});

test("a filter is the same in upper and lower case", () => {
  forSeeds((draw) => {
    const letters = "aBcD-é";
    const word = Array.from({ length: 1 + draw(8) }, () => letters[draw(letters.length)]).join("");
    const wanted = word.slice(draw(word.length));
    assert.ok(among(wanted.toUpperCase(), null, word) && among(wanted.toLowerCase(), word.toUpperCase(), undefined));
    assert.ok(!among(`${wanted}!`, word));
  });
  assert.ok(!among("x", null, undefined));
});

test("a token has no character that a header cannot carry", () => {
  for (const good of ["s3cret", "with a space", "~!@#$%^&*()"]) assert.ok(canBeSent(good), good);
  for (const bad of ["", "a\u200bb", "a\nb", "caf\u00e9", "a\u00a0b", "\u201cquoted\u201d"]) assert.ok(!canBeSent(bad), JSON.stringify(bad));
});

test("a time has a unit that fits it", () => {
  assert.deepEqual([0, 0.0034, 0.02, 5, 60, 600, 10_000, 400_000].map(span), ["0 ms", "3.4 ms", "20 ms", "5.0 s", "60 s", "10 min", "3 h", "5 d"]);
});

test("what comes at once is not said to come in 0 ms", () => {
  assert.deepEqual([-1, 0, 0.0004, 5].map(soon), ["any moment", "any moment", "any moment", "in 5.0 s"]);
});

test("a place of a text is in its line, and at its column where the line is so long", () => {
  forSeeds((draw) => {
    const lines = Array.from({ length: 1 + draw(20) }, () => "x".repeat(draw(12)));
    const text = lines.join("\n");
    const [line, column] = [1 + draw(lines.length), draw(20)];
    const before = text.slice(0, offset(text, { line, column })).split("\n");
    assert.equal(before.length, line);
    assert.equal(before.at(-1).length, Math.min(Math.max(0, column - 1), lines[line - 1].length));
  });
});

test("findings stand at the lines of their own text only", () => {
  const finding = (line, file) => ({ severity: "error", line, column: 1, path: "", message: "", file });
  const findings = { problems: [finding(3), finding(3, "script"), finding(0)], warnings: [finding(5)] };
  const counts = (file) => [...byLine(findings, file)].map(([line, found]) => [line, found.length]).sort();
  assert.deepEqual(counts(undefined), [[0, 2], [3, 1], [5, 1]]);
  assert.deepEqual(counts("script"), [[0, 3], [3, 1]]);
});

test("bars lose no request and no attempt, and are never too many", () => {
  forSeeds((draw) => {
    const attempts = () => ({ good: draw(9), bad: draw(9), cancelled: draw(9) });
    const minutes = Array.from({ length: draw(1_500) }, (_, minute) => ({ minute, answered: draw(99), failed: draw(9), broken: draw(9), hung_up: draw(9), attempts: { a: attempts(), ...(draw(2) ? { b: attempts() } : {}) } }));
    const found = bars(minutes);
    assert.ok(found.length <= 130);
    const sum = (rows, of) => rows.reduce((sum, row) => sum + of(row), 0);
    for (const name of ["answered", "failed", "broken", "hung_up"]) assert.equal(sum(found, (row) => row[name]), sum(minutes, (row) => row[name]));
    for (const [upstream, what] of [["a", "good"], ["b", "bad"], ["b", "cancelled"]]) {
      const of = (row) => row.attempts[upstream]?.[what] ?? 0;
      assert.equal(sum(found, of), sum(minutes, of));
    }
    const served = (name) => sum(minutes, (row) => row.attempts[name]?.good ?? 0);
    const order = busiest(minutes).map(served);
    assert.deepEqual(order, [...order].sort((a, b) => b - a));
  });
});

test("a line is drawn where something is known, and nowhere else", () => {
  forSeeds((draw) => {
    const values = Array.from({ length: draw(40) }, () => (draw(3) === 0 ? null : draw(100)));
    const found = stretches(values);
    assert.deepEqual(found.flat(), [...values.entries()].filter(([, value]) => value !== null));
    for (const stretch of found) assert.deepEqual(stretch.map(([at]) => at), stretch.map((_, at) => stretch[0][0] + at));
  });
});
