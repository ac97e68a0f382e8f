/* Bytes of a section's label index, shared by its builder and its reader (private to storage/index).
 *
 *     u8       version, 0
 *     varint   series, at most 65,536
 *     varint   names
 *     per name, ascending bytewise:
 *         varint length, bytes   the name
 *         varint                 values, 1 .. series
 *         varint                 bytes of all values together
 *         u8                     flags: 1 every series has the name, 2 runs, 4 lists
 *         varint                 runs, if flag 2
 *         varint                 bytes of the lists, if flag 4
 *     per name, in the same order:
 *         ends                   end of each value in the value bytes; 1, 2 or 4 bytes each, as the total needs
 *         value bytes            the values, ascending bytewise
 *         column                 which value each series has
 *         lists                  if flag 4: end of each value's list in the list bytes (sized as above), then the lists
 *     4 zero bytes               so that a column may be read in 4-byte loads
 *
 * An entry of a column is the index of the value; where not every series has the name, 0 is "absent" and values count
 * from 1. Entries are bit-packed, low bits first, in as many bits as the largest possible entry has (none for a single
 * value); or, when that is smaller, runs: u16 first series, u16 entry, ascending, the first at 0.
 *
 * The column answers both ways: "which value has series i" is one load, "which series have value v" a scan of a few
 * bits a series. Where a name has many values for many series, lists spare the scan: per value the ordinals as varint
 * differences (the first as it is). */
#ifndef SLX_INDEX_LABELINDEX_INT_H
#define SLX_INDEX_LABELINDEX_INT_H

#include <stdint.h>

enum {
	SLX_LABELINDEX_VERSION = 0,
	SLX_LABELINDEX_FULL = 1,
	SLX_LABELINDEX_RUNS = 2,
	SLX_LABELINDEX_LISTS = 4,
	SLX_LABELINDEX_RUN_SIZE = 4,
	SLX_LABELINDEX_PAD = 4,
};

/* Bits of an entry that is at most `max`. */
static inline uint32_t slx_labelindex_width(uint32_t max) { return max ? 32 - (uint32_t)__builtin_clz(max) : 0; }

/* Bytes of an end that is at most `total`. */
static inline uint32_t slx_labelindex_end_size(uint64_t total) { return total <= 0xff ? 1 : total <= 0xffff ? 2 : 4; }

#endif
