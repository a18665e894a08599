"""What has bytes of its own, and what has none. `python -m unittest discover -s tests`"""

import random
import unittest

from nunatak_kv import Change, Link, MalformedError, Object, RefusedError, Resolved
from nunatak_kv import codec


class Codec(unittest.TestCase):
    def test_every_type_has_its_bytes(self) -> None:
        golden: list[tuple[Object, bytes]] = [
            (None, b"\0"),
            (42, b"\1\0\0\0\0\0\0\0\x2a"),
            (-1, b"\1" + b"\xff" * 8),
            ("é", b"\2\0\2\xc3\xa9"),
            ([None, "a"], b"\3\0\2\0\2\0\1a"),
            ({"k": None}, b"\4\0\1\0\1k\0"),
            (Link("k"), b"\5\0\1k"),
            (True, b"\6\1"),
            (False, b"\6\0"),
            (1.5, b"\7\x3f\xf8\0\0\0\0\0\0"),
        ]
        for value, data in golden:
            self.assertEqual(codec.encode(value), data)
            decoded = codec.decode(data)
            self.assertEqual(decoded, value)
            self.assertIs(type(decoded), type(value))

    def test_every_request_has_its_bytes(self) -> None:
        eight = (0).to_bytes(7, "big")
        self.assertEqual(codec.get_request("k"), eight + b"\4\0\0\1k")
        self.assertEqual(codec.get_request("k", 7), eight + b"\7\0\0\1k\1\1\7")
        self.assertEqual(codec.set_request("k", None), eight + b"\5\1\0\1k\0")
        self.assertEqual(codec.delete_request("k"), eight + b"\4\2\0\1k")
        self.assertEqual(codec.authenticate_request("r", "p"), eight + b"\7\3\0\1r\0\1p")
        now = b"\0" * 8
        self.assertEqual(codec.watch_request("k", None, 7), eight + b"\x0d\4\0\0\1k" + b"\0" * 7 + b"\7")
        self.assertEqual(codec.watch_request(None, "k", 0), eight + b"\x0d\4\1\0\1k" + now)
        self.assertEqual(codec.watch_request(None, None, 0), eight + b"\x0c\4\1\0\0" + now)
        self.assertEqual(codec.close_request(), eight + b"\1\xff")

    def test_what_is_told_of_a_watch_is_a_change_or_a_mark(self) -> None:
        for answer, event in [
            ({"resolved": 7}, Resolved(7)),
            ({"key": "k", "timestamp": 7, "value": [1]}, Change("k", 7, [1])),
            ({"key": "k", "timestamp": 7, "value": None}, Change("k", 7)),
            ({"key": "k", "timestamp": 7}, Change("k", 7, removed=True)),
            ({"key": "k", "timestamp": 7, "error": "no"}, Change("k", 7, error="no")),
        ]:
            self.assertEqual(codec.event(answer), event)
        for wrong in [None, {}, {"key": "k"}]:
            with self.assertRaises(MalformedError):
                codec.event(wrong)

    def test_what_is_written_is_read(self) -> None:
        chance = random.Random(1)

        def any_object(depth: int) -> Object:
            kind = chance.randrange(6 if depth == 0 else 8)
            text = "".join(chr(chance.choice([36, 97, 233, 0x1F600])) for _ in range(chance.randrange(5)))
            leaves: list[Object] = [None, chance.getrandbits(63), text, Link("k" + text), True, chance.random()]
            if kind < 6:
                return leaves[kind]
            if kind == 6:
                return [any_object(depth - 1) for _ in range(chance.randrange(4))]
            return {f"{number}{text}": any_object(depth - 1) for number in range(chance.randrange(4))}

        for _ in range(2000):
            value = any_object(4)
            self.assertEqual(codec.decode(codec.encode(value)), value)

    def test_what_is_no_object_is_refused(self) -> None:
        for data in [b"", b"\x08", b"\1\0", b"\2\0\2a", b"\2\0\1\xff", b"\3\0\1", b"\0\0"]:
            with self.assertRaises(MalformedError):
                codec.decode(data)
        with self.assertRaises(RefusedError):
            codec.decode(b"\xff")
        for wrong in [1 << 63, "x" * 70000, {1: 2}, b"bytes", Link("")]:
            with self.assertRaises((ValueError, TypeError)):
                codec.encode(wrong)  # type: ignore[arg-type]


if __name__ == "__main__":
    unittest.main()
