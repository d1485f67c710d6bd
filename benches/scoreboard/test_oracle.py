"""What the scoreboard rests on: `python3 -m unittest discover -s benches/scoreboard`, no network, no systems."""

import random
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import actions  # noqa: E402
import extras  # noqa: E402
import frames  # noqa: E402
import metrics  # noqa: E402
import names  # noqa: E402
import page  # noqa: E402
import scenarios  # noqa: E402
import systems  # noqa: E402
import wire  # noqa: E402


def stream(tag="A1", tokens=None, proof=None, done=True):
    tokens = wire.tokens(tag) if tokens is None else tokens
    events = [wire.event(tag, {"role": "assistant", "content": ""}), *(wire.event(tag, {"content": t}) for t in tokens)]
    events.append(wire.event(tag, {"content": proof or wire.digest("".join(tokens))}))
    events.append(wire.event(tag, {}, "stop"))
    return b"".join(events) + (wire.DONE if done else b"")


class Oracle(unittest.TestCase):
    def test_only_all_of_one_attempts_words_are_a_good_stream(self):
        words, other = wire.tokens("A1"), wire.tokens("B7")
        proof = wire.digest("".join(words))
        self.assertEqual("ok", wire.read_stream(stream()))
        for wrong in (words[:-1], words[:9] + words[10:], words + words[-1:], words[:10] + other[10:], words[:10] + words):
            self.assertEqual("wrong", wire.read_stream(stream(tokens=wrong, proof=proof)))

    def test_a_stream_without_its_end_is_not_good(self):
        self.assertEqual("wrong", wire.read_stream(stream(done=False)))
        whole = stream()
        for cut in range(0, len(whole) - len(wire.DONE), 97):
            self.assertNotEqual("ok", wire.read_stream(whole[:cut]))

    def test_a_stream_that_says_it_failed_is_not_silent(self):
        begun = stream()[:2000].rpartition(b"\n\n")[0] + b"\n\n"
        self.assertEqual("error", wire.read_stream(begun + b'data: {"error": {"message": "x"}}\n\n'))
        self.assertEqual("error", wire.read_stream(begun + b"event: error\ndata: {}\n\n"))

    def test_an_answer_proves_itself(self):
        good = wire.reply("A1")
        self.assertEqual("ok", wire.read_reply(good))
        self.assertEqual("wrong", wire.read_reply(good.replace(b"A1.017 ", b"")))
        self.assertEqual("wrong", wire.read_reply(good[:-5]))
        self.assertEqual("error", wire.read_reply(b'{"error": {"message": "no"}}'))

    def test_an_asks_id_is_found_in_it(self):
        for size in (200, 2048, 65536):
            body = wire.ask("r000042", True, size)
            self.assertEqual(b"r000042", wire.ID_IN_BODY.search(body)[1])
            self.assertLess(abs(len(body) - size), 100)


class Numbers(unittest.TestCase):
    """Three requests a second, in turn to A, B and C; from 10 to 20 A fails and is left after `left` seconds."""

    def run_of(self, left, outcome="ok"):
        plan = scenarios.Plan(rps=3.0, inject=10.0, clear=20.0, end=40.0)
        client, upstream = [], []
        for n in range(120):
            at, turn = n / 3, "ABC"[n % 3]
            if turn == "A" and 10 + left <= at < 20:
                turn = "B"
            hurt = turn == "A" and 10 <= at < 20
            said = outcome if hurt else "ok"
            client.append({"id": f"r{n}", "due": at, "end": at + 0.1, "outcome": said})
            upstream.append({"id": f"r{n}", "up": turn, "t": at, "stage": "done", "end": "done", "tokens": 1, "cred": ""})
            if hurt and outcome == "ok":
                upstream.append({"id": f"r{n}", "up": "B", "t": at + 0.01, "stage": "done", "end": "done", "tokens": 1, "cred": ""})
        scenario = scenarios.S("T", "", "H", None, [scenarios.E(), scenarios.Target("TTD", 4)])
        run = metrics.Run(scenario, plan, 0.0, client + [{"cpu": 0}], upstream + [{"cpu": 0, "left": 0}], [])
        return metrics.scored(scenario, run.row())

    def test_detection_is_the_second_in_which_the_traffic_left(self):
        self.assertEqual(4.0, self.run_of(4)["TTD"])
        self.assertIsNone(self.run_of(10)["TTD"])

    def test_recovery_counts_from_the_end_of_the_fault(self):
        self.assertEqual(0.0, self.run_of(4)["TTR"])

    def test_failures_are_a_share_of_the_windows_requests(self):
        row = self.run_of(10, outcome="aborted")
        self.assertAlmostEqual(100 / 3, row["E"], delta=2)
        self.assertEqual(0, row["E_silent"])
        self.assertEqual(0, row["E_before"])

    def test_what_was_sent_twice_is_counted(self):
        row = self.run_of(10)
        self.assertEqual(10, row["DUP"])
        self.assertAlmostEqual(4 / 3, row["AMP"], delta=0.05)

    def test_a_target_costs_a_point_and_another_for_each_doubling(self):
        self.assertEqual(5, self.run_of(4)["score"])
        # 13 % against 0, in steps of a tenth: far beyond five doublings.
        self.assertEqual(0, self.run_of(4, outcome="aborted")["score"])

    def test_a_wrong_answer_costs_all(self):
        self.assertEqual(0, self.run_of(4, outcome="wrong")["score"])


class Further(unittest.TestCase):
    """What one scenario asks only; a request a second from 0 to 40, in turn to A, B and C, the fault from 10 to 20."""

    def run_of(self, change=lambda asked, arrived: None, notes=None, strangers=(), samples=()):
        plan = scenarios.Plan(rps=1.0, inject=10.0, clear=20.0, end=40.0)
        asked = [{"id": f"r{n}", "due": float(n), "end": n + 0.1, "outcome": "ok", "first": n + 0.05} for n in range(40)]
        arrived = [
            {"id": f"r{n}", "up": "ABC"[n % 3], "t": float(n), "stage": "done", "end": "done", "tokens": 1, "cred": "ka1"}
            for n in range(40)
        ]
        change(asked, arrived)
        run = metrics.Run(
            scenarios.S("T", "", "H", None, []), plan, 0.0, [*asked, {"cpu": 0}], [*arrived, *strangers, {"cpu": 0, "left": 0}],
            list(samples), notes,
        )
        run.baseline = run.share(2.0, 10.0, "A")
        return run

    def test_strangers_are_not_counted_among_the_loads_requests(self):
        stranger = {"id": "u0001", "up": "A", "t": 12.0, "stage": "done", "end": "done", "tokens": 1, "cred": "", "bytes": 9}
        run = self.run_of(strangers=[stranger, {**stranger, "up": "B"}])
        self.assertEqual(40, len(run.arrived))
        self.assertEqual(0, run.row()["DUP"])

    def test_an_upload_that_nobody_answered_and_one_that_went_twice_are_seen(self):
        stranger = {"id": "u0001", "up": "A", "t": 12.0, "stage": "head", "end": "reset", "tokens": 0, "cred": "", "bytes": 9}
        others = [{"id": "u0000", "status": 502}, {"id": "u0001", "status": None}, {"did": {}}]
        found = extras.uploads(self.run_of(notes={"others": others}, strangers=[stranger, {**stranger, "up": "B"}]))
        self.assertEqual((50, 1), (found["answered"], found["repeated"]))

    def test_a_move_is_over_when_the_last_that_was_hurt_is_due(self):
        def slow(asked, arrived):
            asked[14]["first"] = 14 + 9.0
        self.assertEqual(2.0, extras.moved(self.run_of())["moved"], "A's first after the fault")
        self.assertEqual(4.0, extras.moved(self.run_of(slow))["moved"])

    def test_a_name_that_is_never_followed_never_moved(self):
        def gone(asked, arrived):
            arrived[:] = [r for r in arrived if r["up"] != "A" or r["t"] < 10]
        self.assertIsNone(extras.moved(self.run_of(gone))["moved"])
        row = {"E_silent": 0, "DUP": 0, "moved": None}
        self.assertEqual(0, metrics.scored(scenarios.S("T", "", "H", None, [scenarios.Target("moved", 15)]), row)["score"])

    def test_a_drip_lasts_until_it_is_let_go(self):
        def dripped(asked, arrived):
            arrived[12].update(fault="drip", gone=19.5)
        self.assertEqual(7.5, extras.drips(self.run_of(dripped))["longest"])

    def test_reloads_are_a_share_of_those_that_were_asked_for(self):
        notes = {"storm": 8, "before": {"reloads": 1}, "after": {"reloads": 7}}
        self.assertEqual(0.75, extras.storm(self.run_of(notes=notes))["reloads"])
        self.assertIsNone(extras.storm(self.run_of(notes={"storm": 8, "before": {}, "after": {}}))["reloads"])

    def test_a_bad_file_must_be_flagged_at_each_stage_and_no_longer_when_it_is_good(self):
        found = extras.half_written(self.run_of(notes={"failed": [1.0, 0.0, 1.0, 0.0]}))
        self.assertEqual((2, 0.0, 1.0), (found["flagged"], found["flag_left"], round(found["A_share_kept"])))
        self.assertIsNone(extras.half_written(self.run_of(notes={"failed": [None] * 4}))["flagged"])

    def test_a_revoked_credential_counts_from_a_second_after(self):
        used = extras.rotated(self.run_of(notes={"revoked": [(36.0, "ka1"), (0.0, "ka9")]}, samples=[(0.0, {}, {"A": 0})]))
        self.assertEqual(2, used["revoked_used"], "those of 38 and 39")

    def test_harm_counts_by_kind_where_its_caller_felt_it(self):
        def hostile(asked, arrived):
            arrived[12].update(fault="hostile", how="gzip")
            arrived[15].update(fault="hostile", how="line")
            asked[12]["outcome"] = "error"
        self.assertEqual(["gzip"], extras.harm(self.run_of(hostile))["felt_kinds"])

    def test_who_is_not_told_that_there_is_no_such_model_was_misled(self):
        others = [{"status": 404}, {"status": 502}, {"did": {}}]
        notes = {"others": others, "before": {"series": 100}, "after": {"series": 107}}
        self.assertEqual({"series_grown": 7, "misled": 1, "guessed": 2}, extras.guesses(self.run_of(notes=notes)))

    def test_a_herd_is_measured_against_the_chance_of_ordinary_seconds(self):
        def twice(asked, arrived):
            arrived += [{**arrived[21], "id": f"r{n}", "t": 21.0 + n / 10} for n in range(3)]
        self.assertEqual(1.0, extras.herd(self.run_of())["OVER_noise"])
        self.assertEqual(4.0, extras.herd(self.run_of(twice))["OVER_noise"])


class Wires(unittest.TestCase):
    def test_the_name_server_says_where_a_name_points_to_and_that_others_do_not_exist(self):
        def query(name, kind):
            labels = b"".join(bytes([len(part)]) + part for part in name.split(b"."))
            return b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + labels + b"\0" + kind.to_bytes(2, "big") + b"\0\1"

        records = {"a": "127.0.0.2"}
        said = names.answer(query(b"A.bench.test", 1), records)
        self.assertEqual((b"\x12\x34", 0, b"\x7f\0\0\2"), (said[:2], said[3] & 15, said[-4:]))
        other = names.answer(query(b"a.bench.test", 28), records)
        self.assertEqual((0, 0), (other[3] & 15, other[7]))
        self.assertEqual(3, names.answer(query(b"b.bench.test", 1), records)[3] & 15)
        self.assertEqual(3, names.answer(query(b"a.example.com", 1), records)[3] & 15)
        for cut in range(30):
            names.answer(query(b"a.bench.test", 1)[:cut], records)

    def test_frames_have_the_length_that_they_say(self):
        dice = random.Random(1)
        for kind, made in frames.FLOODS.items():
            stream = made(dice)
            data = next(stream).removeprefix(frames.PREFACE) + next(stream) + next(stream)
            while data:
                length = int.from_bytes(data[:3], "big")
                self.assertLessEqual(9 + length, len(data), kind)
                data = data[9 + length :]

    def test_the_page_keeps_what_was_written_by_hand(self):
        self.assertIn("## Why", page.why())


class Table(unittest.TestCase):
    def test_every_scenario_of_the_specification_is_run_or_has_a_reason(self):
        known = {s.id.rstrip("abrnsL") for s in scenarios.ALL} | set(scenarios.NOT_RUN)
        self.assertEqual({f"S{n:02d}" for n in range(1, 46)}, known)

    def test_every_figure_that_a_scenario_names_is_made_by_somebody(self):
        for scenario in scenarios.ALL:
            self.assertTrue(scenario.extra in extras.EXTRAS or not scenario.extra, scenario.id)
            self.assertTrue(scenario.action in actions.ALL or not scenario.action, scenario.id)

    def test_who_cannot_be_asked_has_a_reason(self):
        for scenario in scenarios.ALL:
            self.assertEqual("", scenario.absent(systems.ALL["mainstay"]))
        self.assertIn("HTTP/1.1", scenarios.BY_ID["S41"].absent(systems.ALL["nginx"]))
        self.assertEqual("", scenarios.BY_ID["S26"].absent(systems.ALL["nginx"]))

    def test_scripts_stay_inside_their_plan(self):
        plan = scenarios.Plan(rps=60.0, inject=15.0, clear=60.0, end=120.0)
        for scenario in scenarios.ALL:
            for at, up, _ in scenario.script(plan):
                self.assertIn(up, scenario.mocks)
                self.assertTrue(at == 0 or plan.inject <= at <= plan.end, scenario.id)


if __name__ == "__main__":
    unittest.main()
