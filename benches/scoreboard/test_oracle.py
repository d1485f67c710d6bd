"""What the scoreboard rests on: `python3 -m unittest discover -s benches/scoreboard`, no network, no systems."""

import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import metrics  # noqa: E402
import scenarios  # noqa: E402
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
        run = metrics.Run(scenario, plan, 0.0, client + [{"cpu": 0}], upstream + [{"cpu": 0, "left": 0}], [], {})
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


class Table(unittest.TestCase):
    def test_every_scenario_of_the_specification_is_run_or_has_a_reason(self):
        known = {s.id.rstrip("abrL") for s in scenarios.ALL} | set(scenarios.NOT_RUN)
        self.assertEqual({f"S{n:02d}" for n in range(1, 46)}, known)

    def test_scripts_stay_inside_their_plan(self):
        plan = scenarios.Plan(rps=60.0, inject=15.0, clear=60.0, end=120.0)
        for scenario in scenarios.ALL:
            for at, up, _ in scenario.script(plan):
                self.assertIn(up, "ABC")
                self.assertTrue(at == 0 or plan.inject <= at <= plan.end, scenario.id)


if __name__ == "__main__":
    unittest.main()
