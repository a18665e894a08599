"""What the command reads and prints, without a server."""

import contextlib
import io
import json
import math
import unittest
from unittest import mock

from nunatak_kv import Link, Object, command


class Words(unittest.TestCase):
    def put(self, *words: str) -> Object:
        """What `nunatak-kv set` of these words puts, if it ends well."""
        client = mock.MagicMock()
        client.__enter__.return_value = client
        client.set.return_value = None
        with (
            mock.patch.object(command, "Client", return_value=client),
            mock.patch("sys.argv", ["nunatak-kv", "set", *words]),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()) as complaint,
        ):
            if command.main() != 0:
                raise ValueError(complaint.getvalue())
        key, value = client.set.call_args.args
        self.assertEqual(key, "k")
        result: Object = value
        return result

    def test_values_are_json_or_of_a_type(self) -> None:
        for words, value in [
            (["42"], 42),
            (["-5"], -5),
            (["-1e5"], -1e5),
            (['{"n": [1, true, null]}'], {"n": [1, True, None]}),
            (["int", "42"], 42),
            (["int", "-42"], -42),
            (["float", "1"], 1.0),
            (["text", "-hello"], "-hello"),
            (["text", "--host"], "--host"),
            (["bool", "false"], False),
            (["link", "a"], Link("a")),
        ]:
            put = self.put("k", *words)
            self.assertEqual((put, type(put)), (value, type(value)))

    def test_what_is_no_value_is_refused(self) -> None:
        for words in [[], ["x"], ["int", "x"], ["bool", "1"], ["int", "1", "2"], ["[" * 100_000]]:
            with self.assertRaises(ValueError):
                self.put("k", *words)


class Json(unittest.TestCase):
    def test_what_is_printed_is_read_as_what_it_was(self) -> None:
        values: list[Object] = [
            Link("k"),
            {"$link": "k"},
            {"$$float": 1},
            {"$link": "k", "more": 1},
            {"$other": [Link("a"), {"$float": "NaN"}]},
            math.inf,
            [-math.inf, 1.5, -0.0],
        ]
        for value in values:
            printed = json.dumps(command.to_json(value), allow_nan=False)
            self.assertEqual(repr(command.from_json(json.loads(printed))), repr(value))
        self.assertEqual(command.to_json({"$link": "k"}), {"$$link": "k"})
        self.assertEqual(command.to_json(math.nan), {"$float": "NaN"})
        self.assertEqual(command.from_json({"$link": 5}), {"$link": 5})
        self.assertEqual(command.from_json({"$float": "5"}), {"$float": "5"})


if __name__ == "__main__":
    unittest.main()
