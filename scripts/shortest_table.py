#!/usr/bin/env python3
"""Prints src/formats/shortest_table.inc: the powers of ten that shortest.c multiplies with."""


def floor_log2_pow10(k):
    return (10**k).bit_length() - 1 if k >= 0 else -(10**-k - 1).bit_length()


def entry(k):
    r = floor_log2_pow10(k) - 127
    if k >= 0:
        g = 10**k << -r if r < 0 else 10**k >> r
    else:
        g = (1 << -r) // 10**-k
    return g + 1


def main():
    print("/* For k = -292 .. 324: g = floor(10^k * 2^(127 - floor(log2(10^k)))) + 1, upper and lower 64 bits.\n"
          " * Made by scripts/shortest_table.py. */")
    values = ["{ 0x%016x, 0x%016x }," % divmod(entry(k), 1 << 64) for k in range(-292, 325)]
    for i in range(0, len(values), 2):
        print("\t" + " ".join(values[i:i + 2]))


if __name__ == "__main__":
    main()
