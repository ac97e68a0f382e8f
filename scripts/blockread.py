#!/usr/bin/env python3
"""Reads a Silex block and prints its samples, one a line: tenant {labels} time value.

An independent decoder, written from docs/format/{block,chunk,envelope,index}.md and the format comments in src/codec,
with the standard library only. It exists to keep those pages true (blockread_test.c compares it with the C writer) and
as a last resort: a block can be read without Silex. Slow, and it trusts lengths inside pages once a checksum fits.

usage: blockread.py [--headers] FILE...
"""
import math
import struct
import sys
from bisect import bisect_left

ENVELOPE, NONCE, TAG = 32, 12, 16
PAGE_DATA = 65536 - ENVELOPE - NONCE - TAG
HEADER_SIZE, FOOTER_SIZE = ENVELOPE + 28, ENVELOPE + 28
HEADER, PAYLOAD, INDEX, DIRECTORY, FOOTER = 1, 2, 3, 4, 5
FLOAT64, INT64, BOOL, ENUM, HISTOGRAM, BYTES = range(6)
RAW, GORILLA, SX, COLD, C_INT64, C_BOOL, C_ENUM, COLD_INT64, C_BYTES, C_HISTOGRAM = range(10)
VECTOR, PART_MIN = 512, 128
HOUR = 3600 * 10**9
M64 = (1 << 64) - 1


class Damaged(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Damaged(what)


# ---- bytes ----

def make_crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


CRC = make_crc_table()


def crc32c(*pieces):
    crc = 0xFFFFFFFF
    for piece in pieces:
        for b in piece:
            crc = CRC[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def signed(v):
    v &= M64
    return v - (1 << 64) if v >> 63 else v


def unzigzag(v):
    return signed(v >> 1 ^ -(v & 1))


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def bytes(self, n):
        need(n <= self.left(), "cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.bytes(1)[0]

    def uint(self, n):
        return int.from_bytes(self.bytes(n), "little")

    def varint(self):
        v = shift = 0
        while True:
            b = self.u8()
            v |= (b & 127) << shift
            if b < 128:
                return v
            shift += 7

    def zigzag(self):
        return unzigzag(self.varint())

    def fields(self, n, width):
        """n fields of `width` bits, low bits first."""
        packed = int.from_bytes(self.bytes((n * width + 7) // 8), "little")
        mask = (1 << width) - 1
        return [packed >> i * width & mask for i in range(n)]


def double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits_of(v):
    return struct.unpack("<Q", struct.pack("<d", v))[0]


# ---- codecs: columns of integers, doubles (as 64 bits), states ----

def pfor(r, n):
    head = r.u8()
    base = r.zigzag()
    out = [signed(f + base) for f in r.fields(n, head & 127)]
    if head & 128:
        at = 0
        for _ in range(r.varint()):
            at += r.varint()
            out[at] = signed(r.zigzag() + base)
    return out


def sums(first, steps):
    out = [first]
    for s in steps:
        out.append(signed(out[-1] + s))
    return out


def timestamps(r, n):
    head = r.u8()
    mode, scale = head & 15, 10 ** (head >> 4)
    if mode == 0:
        return list(struct.unpack("<%dq" % n, r.bytes(8 * n)))
    first = signed(r.zigzag() * scale)
    if mode == 1:
        step = r.zigzag() * scale
        return [signed(first + i * step) for i in range(n)]
    unit = r.varint() * scale
    if mode == 2:
        step, frac, bias = r.zigzag(), r.varint(), r.varint()
        return [signed(first + (i * step + (i * frac + bias >> 32) + x) * unit) for i, x in enumerate(pfor(r, n))]
    need(mode == 3, "timestamps of mode %d" % mode)
    return sums(first, [x * unit for x in pfor(r, n - 1)])


def int64s(r, n):
    out = []
    while len(out) < n:
        m = min(VECTOR, n - len(out))
        form = r.u8()
        need(form <= 1, "int64 run of form %d" % form)
        out += sums(r.zigzag(), pfor(r, m - 1)) if form else pfor(r, m)
    return out


def states(r, n):
    out, form = [], r.u8()
    need(form <= 1, "run lengths of form %d" % form)
    turns = [r.varint(), r.varint()] if form else None
    while len(out) < n:
        state = turns[0] if turns else r.varint()
        out += [state] * (r.varint() + 1)
        turns = turns and turns[::-1]
    need(len(out) == n, "run lengths")
    return out


def decimal(d, exp, is_f32):
    v = d / 10**exp
    if is_f32:
        v = struct.unpack("<f", struct.pack("<f", v))[0]
    return bits_of(v)


class Exceptions:
    """Values that are no decimals ("far") or miss one by a few units in the last place ("near"): src/codec/decimal.c."""

    def __init__(self, r):
        head, at, where = r.varint(), 0, []
        while len(where) < head >> 2:
            gap = r.varint()
            at += gap >> 1
            run = r.varint() + 2 if gap & 1 else 1
            where += range(at, at + run)
            at += run
        values = [r.uint(8) for _ in (where[:1] if head & 1 else where)]
        self.far = dict(zip(where, values * len(where) if head & 1 else values))
        self.near, at = {}, 0
        for _ in range(r.varint() if head & 2 else 0):
            entry = r.varint()
            at += entry >> 3
            code = entry & 7
            self.near[at] = code - 4 if code < 4 else code - 3

    def apply(self, out):
        for at, bits in self.far.items():
            out[at] = bits
        for at, units in self.near.items():
            out[at] = out[at] + units & M64


def sx_rd(r, n):
    width, entries = r.u8(), r.u8()
    left = [r.uint(2) for _ in range(entries)]
    index = r.fields(n, (entries - 1).bit_length())
    right = r.fields(n, width)
    out = [left[i] << width | x for i, x in zip(index, right)]
    at = 0
    for _ in range(r.varint()):
        at += r.varint()
        out[at] = r.uint(2) << width | right[at]
    return out


def sx(r, n):
    head = r.u8()
    mode = head & 7
    need(mode <= 3 and head < 128, "sx vector of mode %d" % head)
    exp = r.u8() if mode in (1, 2) else 0
    if head & 32:
        r.u8()  # digits to show
    if mode == 0:
        return list(struct.unpack("<%dQ" % n, r.bytes(8 * n)))
    if mode == 3:
        return sx_rd(r, n)
    ints = pfor(r, n) if mode == 1 else sums(r.zigzag(), pfor(r, n - 1))
    out = [decimal(d, exp, head & 8) for d in ints]
    if head & 16:
        Exceptions(r).apply(out)
    return out


# ---- cold blocks: many parts, shared tables ----

class Huffman:
    def __init__(self, r):
        symbols, bits = r.u8() + 1, r.u8()
        lens, nibbles = [], self.nibbles(r)
        while len(lens) < symbols:
            n = next(nibbles)
            lens += [n] if n else [0] * (next(nibbles) + 1)
        self.codes, code = {}, 0
        for n in range(1, bits + 1):
            for s in range(symbols):
                if lens[s] == n:
                    self.codes[n, code] = s
                    code += 1
            code <<= 1

    @staticmethod
    def nibbles(r):
        while True:
            b = r.u8()
            yield b & 15
            yield b >> 4

    def decode(self, data, n):
        out, code, size, at = [], 0, 0, 0
        while len(out) < n:
            code, size, at = code << 1 | data[at >> 3] >> (at & 7) & 1, size + 1, at + 1
            need(size <= 15, "huffman code")
            s = self.codes.get((size, code))
            if s is not None:
                out.append(s)
                code = size = 0
        return out


def lz4_block(data):
    r, out = Reader(data), bytearray()

    def length(n):
        more = n == 15
        while more:
            b = r.u8()
            n += b
            more = b == 255
        return n

    while True:
        token = r.u8()
        out += r.bytes(length(token >> 4))
        if not r.left():
            return bytes(out)
        offset = r.uint(2)
        for _ in range(length(token & 15) + 4):
            out.append(out[-offset])


class Cold:
    """The bytes of a cold block: src/codec/cold_int.h."""
    WRAP, CODED, DICT, DELTAS, BYTES, F32, IS_INT64 = 3, 4, 8, 16, 32, 64, 128

    def __init__(self, data, lens, is_int64):
        r = Reader(data)
        self.flags = r.u8()
        need(bool(self.flags & self.IS_INT64) == is_int64, "cold block of another kind")
        if self.flags & self.WRAP:
            need(self.flags & self.WRAP == 2, "zstd is not in Python's standard library")
            size = r.varint()
            r = Reader(lz4_block(r.bytes(r.left())))
            need(len(r.data) == size, "lz4")
        self.exp = max(0, r.u8() - 1)
        r.u8()  # digits to show
        greatest = r.varint()
        sizes = [greatest - less for less in r.fields(len(lens), r.u8())]
        self.ints = int64s if is_int64 else sx
        if self.flags & self.DICT:
            entries, self.dict = r.varint(), []
            while len(self.dict) < entries:
                vector = Reader(r.bytes(r.varint()))
                self.dict += self.ints(vector, min(VECTOR, entries - len(self.dict)))
        if self.flags & self.CODED:
            self.base, self.low, self.streams = r.zigzag(), r.u8(), r.u8()
            self.huffman = Huffman(r)
        self.bits = []
        for size, n in zip(sizes, lens):
            self.bits += [v & M64 for v in self.part(Reader(r.bytes(size)), n)]

    def part(self, r, n):
        if not self.flags & (self.CODED | self.BYTES):
            return self.ints(r, n)
        head = r.varint()
        delta = bool(self.flags & self.DELTAS)
        m, first = n - delta, r.zigzag() if delta else 0
        escapes, at = {}, 0
        for _ in range(head >> 1):
            at += r.varint()
            escapes[at] = r.zigzag()
        unordinary = Exceptions(r) if head & 1 else None
        x = self.coded(r, m) if self.flags & self.CODED else [r.zigzag() for _ in range(m)]
        for at, v in escapes.items():
            x[at] = v
        d = sums(first, x) if delta else x
        if self.flags & self.DICT:
            return [self.dict[i] for i in d]
        if self.flags & self.IS_INT64:
            return d
        out = [decimal(v, self.exp, self.flags & self.F32) for v in d]
        if unordinary:
            unordinary.apply(out)
        return out

    def coded(self, r, m):
        low, half = r.fields(m, self.low), (m + 1) // 2
        if self.streams == 2:
            sym = self.huffman.decode(r.bytes(r.varint()), half)
            sym += self.huffman.decode(r.bytes(r.left()), m - half)
        else:
            sym = self.huffman.decode(r.bytes(r.left()), m)
        return [signed(self.base + (s << self.low | f)) for s, f in zip(sym, low)]


# ---- values that are bytes: docs/format/chunk.md, "Bytes" and "Histograms" ----

def body(data):
    r = Reader(data)
    wrap = r.u8()
    if wrap == 0:
        return r
    need(wrap == 2, "zstd is not in Python's standard library")
    size = r.varint()
    out = lz4_block(r.bytes(r.left()))
    need(len(out) == size, "lz4")
    return Reader(out)


def byte_values(data, n):
    r = body(data)
    return [r.bytes(size) for size in [r.varint() for _ in range(n)]]


def varint(v):
    out = bytearray()
    while v >= 128:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out) + bytes([v])


def zigzag(v):
    return varint((v << 1 ^ v >> 63) & M64)


class Histograms:
    """The columns of a chunk, and the canonical bytes of each histogram (src/model/histogram.c)."""
    COUNT, SUM, ZERO, START = range(4)
    CUSTOM = -53

    def __init__(self, data, n):
        r = body(data)
        self.n = n
        self.classes = []
        for _ in range(r.varint()):
            self.classes.append((r.zigzag(), r.uint(8), [r.uint(8) for _ in range(r.varint())]))
        self.layouts = []
        for _ in range(r.varint()):
            c, flags = r.varint(), r.u8()
            self.layouts.append((c, flags, [[(r.zigzag(), r.varint()) for _ in range(r.varint())] for _ in range(2)]))
        self.of = states(Reader(r.bytes(r.varint())), n) if len(self.layouts) > 1 else [0] * n
        keys = [self.keys(layout) for layout in self.layouts]
        columns = [self.COUNT, self.SUM, self.ZERO, self.START] + sorted(set(k for own in keys for k in own))
        rest = r.u8()
        bits = r.bytes((len(columns) + 7) // 8)
        doubles = {c: bits[i // 8] >> i % 8 & 1 for i, c in enumerate(columns)}
        sizes = {c: n if c in range(4) else sum(c in keys[o] for o in self.of) for c in columns}
        self.v = {}
        for c in columns:
            if not doubles[c] and sizes[c]:
                self.v[c] = int64s(Reader(r.bytes(r.varint())), sizes[c])
        for c in columns:
            if doubles[c]:
                self.v[c] = []
                while len(self.v[c]) < sizes[c]:
                    self.v[c] += sx(Reader(r.bytes(r.varint())), min(VECTOR, sizes[c] - len(self.v[c])))
        need(r.left() == 0, "bytes after the last column")
        self.values = []
        at = dict.fromkeys(columns, 0)
        for i, o in enumerate(self.of):
            buckets = []
            for k in keys[o]:
                buckets.append(self.v[k][at[k]] if doubles[k] else self.number(self.v[k][at[k]]))
                at[k] += 1
            fixed = [self.v[c][i] if doubles[c] else self.number(self.v[c][i]) for c in (self.COUNT, self.SUM, self.ZERO)]
            if rest:
                total = self.v[self.COUNT][i] + self.v[self.ZERO][i] + sum(int(double(b)) for b in buckets)
                fixed[self.COUNT] = self.number(signed(total))
            self.values.append(self.canonical(self.layouts[o], fixed, self.v[self.START][i], buckets))

    @staticmethod
    def number(v):
        return bits_of(float(v))

    @staticmethod
    def keys(layout):
        c, _, sides = layout
        out = []
        for side, spans in enumerate(sides):
            index = 0
            for offset, length in spans:
                index += offset
                out += [(c, side, index + k) for k in range(length)]
                index += length
        return out

    def canonical(self, layout, fixed, start, buckets):
        c, flags, sides = layout
        schema, threshold, custom = self.classes[c]
        count, total, zero_count = fixed
        n = [sum(length for _, length in spans) for spans in sides]

        def whole(b):
            v = double(b)
            return b >> 63 == 0 and v < 2.0**63 and v == math.floor(v)

        packed = flags & 1 and all(whole(b) for b in [count, zero_count] + buckets)

        def counts(bits):
            out, before = b"", 0
            for b in bits:
                if packed:
                    out += zigzag(int(double(b)) - before)
                    before = int(double(b))
                else:
                    out += struct.pack("<Q", b)
            return out

        out = bytes([flags & 1 | (2 if packed else 0) | flags >> 1 << 2 | (16 if threshold or zero_count else 0) | (32 if start else 0)])
        out += zigzag(schema) + counts([count]) + struct.pack("<Q", total)
        if threshold or zero_count:
            out += struct.pack("<Q", threshold) + counts([zero_count])
        if start:
            out += zigzag(start)
        if schema == self.CUSTOM:
            out += varint(len(custom)) + struct.pack("<%dQ" % len(custom), *custom)
        for side in range(1 if schema == self.CUSTOM else 2):
            out += varint(len(sides[side]))
            for offset, length in sides[side]:
                out += zigzag(offset) + varint(length)
            out += counts(buckets[n[0]:] if side else buckets[:n[0]])
        return out


# ---- chunks ----

def cut_parts(ts):
    """Lengths of the parts: docs/format/chunk.md, "Parts"."""
    lens, i, n = [], 0, len(ts)

    while i < n:
        size = n - i
        if size > VECTOR:
            hour = ts[i + VECTOR] // HOUR * HOUR
            begin = bisect_left(ts, hour)
            if begin >= i + PART_MIN:
                size = begin - i
            else:
                size = bisect_left(ts, hour + HOUR) - i
                shares = -(-size // VECTOR)
                size = -(-size // shares)
        lens.append(size)
        i += size
    return lens


def chunk_samples(data, n, kind, codec):
    r = Reader(data)
    head = r.varint()
    need(head & 3 == 0, "chunk of format %d" % (head & 3))
    ts = timestamps(Reader(r.bytes(head >> 2)), n)
    rest = Reader(r.bytes(r.left()))
    if codec in (SX, COLD, COLD_INT64):
        lens = cut_parts(ts)
    if codec == SX:
        bits = []
        for k, m in enumerate(lens):
            size = rest.varint() if k + 1 < len(lens) else rest.left()
            bits += sx(Reader(rest.bytes(size)), m)
    elif codec in (COLD, COLD_INT64):
        bits = Cold(rest.data, lens, codec == COLD_INT64).bits
    elif codec == RAW:
        bits = list(struct.unpack("<%dQ" % n, rest.bytes(8 * n)))
    elif codec == C_INT64:
        bits = [v & M64 for v in int64s(rest, n)]
    elif codec in (C_BOOL, C_ENUM):
        bits = states(rest, n)
    elif codec == C_BYTES:
        bits = byte_values(rest.data, n)
    elif codec == C_HISTOGRAM:
        bits = Histograms(rest.data, n).values
    else:
        raise Damaged("codec %d is not among those this reader knows" % codec)
    return ts, bits


# ---- pages, streams, columns ----

class Block:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.id = None
        size = len(self.data)
        need(size >= HEADER_SIZE + FOOTER_SIZE, "too short for a block")
        footer = Reader(self.page(size - FOOTER_SIZE, FOOTER, FOOTER_SIZE - ENVELOPE))
        need(footer.bytes(8) == b"SLXBLOCK", "no magic")
        fmt = footer.uint(4)
        need(fmt == 0, "format %d; this reader knows 0" % fmt)
        self.directory_at, stream = footer.uint(8), footer.uint(8)
        header = Reader(self.page(0, HEADER, HEADER_SIZE - ENVELOPE))
        need(header.bytes(8) == b"SLXBLOCK" and header.uint(4) == 0, "header page")
        parts = self.parts(self.stream(self.directory_at, DIRECTORY, stream))
        self.read_info(Reader(parts[1]))
        self.read_sections(Reader(parts[3]))

    def page(self, at, kind, size):
        header, data = self.data[at:at + ENVELOPE], self.data[at + ENVELOPE:at + ENVELOPE + size]
        where = "page at offset %d" % at
        need(len(header) == ENVELOPE and len(data) == size, where + " is cut short")
        length, k, fmt, codec, flags, key, seq, version, crc = struct.unpack("<IBBBBIQQI", header)
        need(crc32c(data, header[:28]) == crc, where + ": checksum")
        self.id = version if self.id is None else self.id
        need((length, k, codec, flags, seq, version) == (size, kind, 0, 0, at, self.id), where + ": not the one expected")
        need(fmt == 0 and key == 0, where + ": newer format or encrypted")
        return data

    def stream(self, at, kind, size):
        out = b""
        while len(out) < size:
            n = min(PAGE_DATA, size - len(out))
            out += self.page(at, kind, n)
            at += ENVELOPE + n
        return out

    @staticmethod
    def parts(stream):
        r, out = Reader(stream), {}
        while r.left():
            tag = r.varint()
            data = r.bytes(r.varint())
            need(tag in (1, 3, 5) or tag % 2 == 0, "part %d is of a newer version" % tag)
            out[tag] = data
        return out

    def read_info(self, r):
        self.level, self.window_start, self.tmin, self.tmax = r.varint(), r.zigzag(), r.zigzag(), r.zigzag()
        self.vmin, self.vmax, self.floor = r.varint(), r.varint(), r.varint()
        self.points, self.chunks, self.series, self.n_sections = (r.varint() for _ in range(4))

    def read_sections(self, r):
        self.sections, tenant, tmin, tmax, at = [], b"", 0, 0, HEADER_SIZE
        for _ in range(self.n_sections):
            shared = r.varint()
            tenant = tenant[:shared] + r.bytes(r.varint())
            need(r.varint() == 0, "encrypted section")
            payload, index = r.varint(), r.varint()
            tmin, tmax = signed(tmin + r.zigzag()), signed(tmax + r.zigzag())
            self.sections.append(Section(self, tenant.decode(), at, payload, index, tmin, tmax, r.varint(), r.varint(), r.varint()))
            at += payload + index + -(-index // PAGE_DATA) * ENVELOPE
        need(at == self.directory_at and r.left() == 0, "sections do not end at the directory")


def int_column(data, n):
    r = Reader(data)
    base, divisor = r.zigzag(), r.varint()
    if divisor == 0:
        return [base] * n
    out = []
    while len(out) < n:
        q = int64s(Reader(r.bytes(r.varint())), min(VECTOR, n - len(out)))
        out += [signed(base + divisor * v) for v in q]
    return out


def double_column(data, n):
    r = Reader(data)
    form = r.u8()
    if form < 2:
        return [double(r.uint(8)) if form else 0.0] * n
    out = []
    while len(out) < n:
        out += map(double, sx(Reader(r.bytes(r.varint())), min(VECTOR, n - len(out))))
    return out


class Section:
    INTS = "samples size gap span kind codec flags nans resets".split()
    DOUBLES = "first last min max sum comp increase".split()

    def __init__(self, block, tenant, at, payload, index, tmin, tmax, series, chunks, points):
        self.block, self.tenant, self.at, self.payload, self.index = block, tenant, at, payload, index
        self.tmin, self.tmax, self.series, self.n, self.points = tmin, tmax, series, chunks, points

    def load(self):
        parts = Block.parts(self.block.stream(self.at + self.payload, INDEX, self.index))
        self.labels = label_index(parts[1])
        need(len(self.labels) == self.series, "labels of another number of series")
        self.ids = [parts[3][16 * i:16 * i + 16] for i in range(self.series)]
        self.counts = int_column(parts[3][16 * self.series:], self.series)
        need(sum(self.counts) == self.n, "chunks of the series")
        r, self.column = Reader(parts[5]), {}
        for name in self.INTS:
            self.column[name] = int_column(r.bytes(r.varint()), self.n)
        for name in self.DOUBLES:
            self.column[name] = double_column(r.bytes(r.varint()), self.n)
        need(sum(self.column["samples"]) == self.points, "points of the section")
        self.place()

    def place(self):
        """Cuts the payload into chunks: docs/format/block.md, "Payload pages"."""
        sizes, used, pages = self.column["size"], 0, []
        for size in sizes:
            if used and used + size > PAGE_DATA:
                pages.append(used)
                used = 0
            used += size
            while used > PAGE_DATA:
                pages.append(PAGE_DATA)
                used -= PAGE_DATA
        pages.append(used)
        data, at = b"", self.at
        for n in pages:
            data += self.block.page(at, PAYLOAD, n)
            at += ENVELOPE + n
        need(at == self.at + self.payload, "payload pages")
        self.bytes, begin = [], 0  # pages hold chunks without gaps
        for size in sizes:
            self.bytes.append(data[begin:begin + size])
            begin += size

    def chunks(self):
        """Yields (labels, chunk number, tmin, tmax) in order."""
        k = 0
        for labels, count in zip(self.labels, self.counts):
            end = self.tmin
            for _ in range(count):
                begin = signed(end + self.column["gap"][k])
                end = signed(begin + self.column["span"][k])
                yield labels, k, begin, end
                k += 1


# ---- label index: docs/format/index.md ----

def label_index(data):
    FULL, RUNS, LISTS = 1, 2, 4
    r = Reader(data)
    version, series, n_names = r.u8(), r.varint(), r.varint()
    need(version == 0, "label index of version %d" % version)
    names = []
    for _ in range(n_names):
        name, values, size, flags = r.bytes(r.varint()).decode(), r.varint(), r.varint(), r.u8()
        names.append((name, values, size, flags, r.varint() if flags & RUNS else 0, r.varint() if flags & LISTS else 0))
    out = [[] for _ in range(series)]
    for name, values, size, flags, runs, lists in names:
        width = 1 if size < 256 else 2 if size < 65536 else 4
        ends = [0] + [r.uint(width) for _ in range(values)]
        text = r.bytes(size)
        value = [text[a:b].decode() for a, b in zip(ends, ends[1:])]
        if flags & RUNS:
            marks = [(r.uint(2), r.uint(2)) for _ in range(runs)] + [(series, 0)]
            column = [e for (a, e), (b, _) in zip(marks, marks[1:]) for _ in range(b - a)]
        else:
            column = r.fields(series, (values - 1 if flags & FULL else values).bit_length())
        if flags & LISTS:
            r.bytes(values * (1 if lists < 256 else 2 if lists < 65536 else 4))
            r.bytes(lists)
        for labels, entry in zip(out, column):
            if flags & FULL:
                labels.append((name, value[entry]))
            elif entry:
                labels.append((name, value[entry - 1]))
    need(r.bytes(4) == bytes(4), "end of the label index")
    return out


# ---- printing ----

def value_text(kind, bits):
    if kind in (HISTOGRAM, BYTES):
        return "x" + bits.hex()
    if kind != FLOAT64:
        return "%d" % signed(bits)
    v = double(bits)
    return "nan:%016x" % bits if math.isnan(v) else "%.17g" % v


def print_block(path, headers):
    block = Block(path)
    for section in block.sections:
        section.load()
        c = section.column
        for labels, k, tmin, tmax in section.chunks():
            name = section.tenant + " {" + ",".join('%s="%s"' % label for label in labels) + "}"
            if headers:
                stats = " ".join("%s %.17g" % (d, c[d][k]) for d in Section.DOUBLES)
                print(name, tmin, tmax, " ".join("%s %d" % (i, c[i][k]) for i in ("samples", "size", "kind", "codec", "nans", "resets")), stats)
                continue
            ts, bits = chunk_samples(section.bytes[k], c["samples"][k], c["kind"][k], c["codec"][k])
            need(ts[0] == tmin and ts[-1] == tmax, "times of a chunk differ from its header")
            for t, b in zip(ts, bits):
                print(name, t, value_text(c["kind"][k], b))


def main():
    args = sys.argv[1:]
    headers = "--headers" in args
    paths = [a for a in args if a != "--headers"]
    if not paths:
        sys.exit(__doc__)
    for path in paths:
        try:
            print_block(path, headers)
        except Damaged as e:
            sys.exit("%s: %s" % (path, e))


if __name__ == "__main__":
    main()
