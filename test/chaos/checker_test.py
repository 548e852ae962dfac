"""The judge is judged: each wrong that the checker knows is shown to it."""

import collections
import pathlib
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from checker import check_rules, check_writer  # noqa: E402
from client import REFUSED, UNKNOWN, Lost, ServerError, outcome_of  # noqa: E402
from report import percentile  # noqa: E402
from run import longest_silence  # noqa: E402


def writer(last, refused=(), unknown=(), transactional=False):
    return {"writer": 7, "last": last, "refused": list(refused), "unknown": list(unknown), "transactional": transactional}


def held(*seqs):
    return collections.Counter(seqs)


class Writers(unittest.TestCase):
    def test_what_was_promised_is_fine(self):
        self.assertEqual(check_writer(writer(4, refused=[2], unknown=[3]), held(1, 3, 4)), [])
        self.assertEqual(check_writer(writer(4, refused=[2], unknown=[3]), held(1, 4)), [])
        self.assertEqual(check_writer(writer(2, transactional=True), held(1, -1, 2, -2)), [])

    def test_an_acknowledged_row_that_is_absent_is_lost(self):
        self.assertEqual(check_writer(writer(3), held(1, 3)), ["LOST: acknowledged and absent: 1 of writer 7 (2)"])

    def test_a_refused_row_that_is_present_is_a_ghost(self):
        self.assertEqual(check_writer(writer(2, refused=[2]), held(1, 2)), ["GHOST: told that it failed, and present: 1 of writer 7 (2)"])

    def test_a_row_that_nobody_sent_is_a_ghost(self):
        self.assertEqual(check_writer(writer(1), held(1, 9)), ["GHOST: never sent, and present: 1 of writer 7 (9)"])

    def test_a_row_that_is_there_twice_is_found_even_if_its_outcome_is_unknown(self):
        self.assertEqual(check_writer(writer(2, unknown=[2]), held(1, 2, 2)), ["TWICE: 1 of writer 7 (2)"])

    def test_half_a_transaction_is_found(self):
        self.assertEqual(check_writer(writer(2, unknown=[2], transactional=True), held(1, -1, 2)), ["HALF of a transaction: 1 of writer 7 (2)"])
        self.assertEqual(check_writer(writer(2, unknown=[2], transactional=True), held(1, -1, -2)), ["HALF of a transaction: 1 of writer 7 (2)"])


class Outcomes(unittest.TestCase):
    def test_only_an_error_that_says_so_is_a_refusal(self):
        for code in ("57P03", "40001", "25006", "MTB02", "57014"):
            self.assertEqual(outcome_of(ServerError({"C": code})), REFUSED, code)
        for code in ("08006", "08007", "40003", "57P01", "57P02", "XX000", "58030"):
            self.assertEqual(outcome_of(ServerError({"C": code})), UNKNOWN, code)
        self.assertEqual(outcome_of(Lost("connection lost")), UNKNOWN)


class Rules(unittest.TestCase):
    """check_rules() on three members that only remember."""

    def setUp(self):
        self.history = [self.row(1, 0, "zone1_pooler", "0/10"), self.row(2, 0, "zone2_pooler", "0/20"), self.row(2, 1, "zone2_pooler", "0/30")]
        self.rule = {"term": 2, "subterm": 1}
        self.others = {}

    @staticmethod
    def row(term, subterm, leader, position, decided=True):
        return {"term": term, "subterm": subterm, "leader_id": leader, "wal_position": position, "decided": decided}

    def found(self, timeline=3):
        leader, follower = types.SimpleNamespace(name="leader"), types.SimpleNamespace(name="follower")
        leader.postgres = types.SimpleNamespace(value=lambda sql: "000000030000000000000001")
        follower.postgres = types.SimpleNamespace(value=lambda sql: timeline)
        cluster = types.SimpleNamespace(cells=[leader, follower], rule=lambda cell: self.rule,
                                        history=lambda cell: self.others.get(cell.name, self.history))
        return check_rules(cluster, leader)

    def test_an_ordered_chain_is_fine(self):
        self.assertEqual(self.found(), [])

    def test_two_leaders_of_one_term(self):
        self.history.append(self.row(2, 2, "zone3_pooler", "0/40"))
        self.rule = {"term": 2, "subterm": 2}
        self.assertEqual(self.found(), ["RULES: term 2 has leaders ['zone2_pooler', 'zone3_pooler']"])

    def test_decisions_out_of_order(self):
        self.history[1]["wal_position"] = "0/5"
        self.assertTrue(self.found()[0].startswith("RULES: decided out of order"))

    def test_a_current_rule_that_is_not_the_newest_decided(self):
        self.rule = {"term": 1, "subterm": 0}
        self.assertTrue(self.found()[0].startswith("RULES: the current rule"))

    def test_a_follower_with_another_history_or_on_another_timeline(self):
        self.others["follower"] = self.history[:2]
        self.assertEqual(self.found(timeline=2), ["RULES: follower has another history than leader", "RULES: follower streams another timeline than 3"])


class Figures(unittest.TestCase):
    def test_the_longest_silence_after_the_strike(self):
        acks = [(9.8, 9.9), (10.0, 10.01), (12.0, 12.5), (12.5, 12.6), (13.0, 13.2)]
        self.assertAlmostEqual(longest_silence(acks, 10.0), 2.49)
        self.assertAlmostEqual(longest_silence(acks, 10.2), 2.3)
        self.assertAlmostEqual(longest_silence(acks, 12.55), 0.6)

    def test_percentiles_are_values_that_were_measured(self):
        values = list(range(1, 101))
        self.assertEqual((percentile(values, .5), percentile(values, .99), percentile([5], .99)), (50, 99, 5))


if __name__ == "__main__":
    unittest.main()
