"""Bodies that never end, unpack to gigabytes or hold what JSON does not allow: named limits, neighbours that stay."""

import asyncio
import gzip
import zlib

import httpx
import orjson
import pytest

from coordeval.market_data.bodies import TOO_DEEP, json_value, storable
from coordeval.market_data.http import FetchError, HttpClient, Patience, Service, TooLarge

HERE = Service(name="Here", base_url="http://here", requests_per_second=None)
SMALL = 100_000
AT_ONCE = Patience(attempts=7, wait_initial=0, wait_max=0, wait_jitter=0, timeout=300, answer=300, most_bytes=SMALL)
QUICK = Patience(attempts=7, wait_initial=0, wait_max=0, wait_jitter=0, timeout=300, answer=0.2, most_bytes=SMALL)


class Dripping(httpx.AsyncByteStream):
    """A body sent in pieces; `pause` seconds before each; counts what was taken of it."""

    def __init__(self, pieces, pause=0.0):
        self.pieces, self.pause, self.taken = pieces, pause, 0

    async def __aiter__(self):
        for piece in self.pieces:
            await asyncio.sleep(self.pause)
            self.taken += len(piece)
            yield piece


def endless(piece):
    while True:
        yield piece


def client_of(stream, *, patience=AT_ONCE, **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpClient(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, headers=sent, stream=stream())), patience=patience
    )


async def get(client):
    return await client.get_json(HERE, "/x", check=lambda value: value)


BOMB = gzip.compress(b"[" + b" " * 50_000_000 + b"]")


@pytest.mark.parametrize(
    ("stream", "headers", "match"),
    [
        pytest.param(lambda: Dripping(endless(b" " * 1000)), {}, "longer than the limit of 100,000 bytes", id="endless"),
        pytest.param(lambda: Dripping([BOMB]), {"content_encoding": "gzip"}, "unpacks to more than the limit", id="a bomb"),
        pytest.param(
            lambda: Dripping([gzip.compress(BOMB)]),
            {"content_encoding": "gzip, gzip"},
            "unpacks to more than",
            id="in a bomb",
        ),
        pytest.param(
            lambda: Dripping(endless(gzip.compress(b" " * 900))),
            {"content_encoding": "gzip"},
            "more than the limit|longer",
            id="members",
        ),
        pytest.param(
            lambda: Dripping([b"[]"]), {"content_length": "5100000000"}, "announces 5100000000 bytes", id="announced"
        ),
    ],
)
async def test_a_body_without_end_is_left_at_the_limit_and_not_asked_for_again(stream, headers, match):
    async with client_of(stream, **headers) as client:
        with pytest.raises(TooLarge, match=f"http://here/x.*({match})"):
            await get(client)
        assert client.requests == 1


async def test_no_more_is_taken_of_an_endless_body_than_the_limit():
    stream = Dripping(endless(b" " * 1000))
    async with client_of(lambda: stream) as client:
        with pytest.raises(TooLarge):
            await get(client)
    assert stream.taken == SMALL + 1000


async def test_an_answer_that_drips_for_ever_ends_at_its_time_and_is_asked_for_three_times():
    async with client_of(lambda: Dripping(endless(b" "), pause=0.05), patience=QUICK) as client:
        with pytest.raises(FetchError, match=r"the same 3 times: the answer was not complete after 0.2 s, the limit"):
            await get(client)
        assert client.requests == 3


@pytest.mark.parametrize(
    ("stream", "headers"),
    [
        pytest.param(lambda: Dripping([b'{"a": [1, 2']), {}, id="cut"),
        pytest.param(lambda: Dripping([b"x"]), {"content_encoding": "br"}, id="a packing that was not asked for"),
        pytest.param(lambda: Dripping([b"x" * 50]), {"content_encoding": "gzip"}, id="not gzip"),
        pytest.param(lambda: Dripping([gzip.compress(b"[1]" * 999)[:-9]]), {"content_encoding": "gzip"}, id="gzip, cut"),
    ],
)
async def test_a_body_that_is_the_same_each_time_is_not_fetched_seven_times(stream, headers):
    async with client_of(stream, **headers) as client:
        with pytest.raises(FetchError, match="the same 3 times"):
            await get(client)
        assert client.requests == 3


@pytest.mark.parametrize(
    ("body", "packing"),
    [
        pytest.param(gzip.compress(b'{"a":1}'), "gzip", id="gzip"),
        pytest.param(zlib.compress(b'{"a":1}'), "deflate", id="deflate"),
        pytest.param(gzip.compress(b'{"a"') + gzip.compress(b":1}"), "gzip", id="two members"),
        pytest.param(zlib.compress(gzip.compress(b'{"a":1}')), "gzip, deflate", id="one in the other"),
        pytest.param(b'{"a":1}', "identity", id="not packed"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_what_is_packed_is_unpacked_whatever_the_pieces(body, packing, size):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    async with client_of(lambda: Dripping(pieces), content_encoding=packing) as client:
        assert await get(client) == {"a": 1}


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://elsewhere/x", "//elsewhere/x"])
async def test_no_redirect_is_followed_and_the_message_says_where_it_led(target):
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(302, headers={"location": target})

    async with HttpClient(transport=httpx.MockTransport(answer), patience=AT_ONCE) as client:
        with pytest.raises(FetchError, match=f"answered 302 and redirects to {target}, which is not followed"):
            await get(client)
    assert asked == ["http://here/x"]


# --- what JSON does not allow


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'["a \\ud83d", "b"]', ["a \ud83d", "b"], id="half an emoji"),
        pytest.param(b'["a\x01", "b"]', ["a\x01", "b"], id="a raw control character"),
        pytest.param(b'["a\xff", "b"]', ["a\udcff", "b"], id="bytes that are not UTF-8"),
        pytest.param(b'\xef\xbb\xbf["b"]', ["b"], id="a byte order mark"),
        pytest.param(b"[1" + b"0" * 5000 + b", 2]", [float("inf"), 2], id="a number of 5,000 digits"),
        pytest.param(b"[" * 5000 + b"]" * 5000 + b"", None, id="deep"),
        pytest.param(
            b'[{"x": ' + b"[" * 5000 + b'"]]"' + b"]" * 5000 + b'}, {"id": "b"}]', None, id="a deep row among others"
        ),
    ],
)
def test_what_strict_json_refuses_comes_through_for_the_row_to_be_refused(body, expected):
    value = json_value(body)
    if expected is not None:
        assert value == expected
    else:
        assert TOO_DEEP in storable(value).decode()
        assert len(value) == 1 or value[1] == {"id": "b"}


@pytest.mark.parametrize("body", [b"", b"[1,", b'{"a": "b', b"\xff\xfe", b"[" * 5000, b"[1]]", b"nonsense"])
def test_what_is_no_json_is_an_error(body):
    with pytest.raises(ValueError, match=r"\w"):
        json_value(body)


def test_anything_can_be_kept_aside():
    deep = orjson.loads(b"[" * 900 + b"]" * 900)
    assert TOO_DEEP in storable({"deep": deep, "half": "\ud83d"}).decode()
