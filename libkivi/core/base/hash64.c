/*
 * XXH64 with seed 0: the hash that an expiry kept beside a value carries.
 * Written from the description of the algorithm by Yann Collet:
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
#include "base.h"

#define PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C(0x165667B19E3779F9)
#define PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME_5 UINT64_C(0x27D4EB2F165667C5)
#define STRIPE 32

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

/* Little-endian on every machine; compilers make one load of it. */
static uint64_t load(const uint8_t *at, unsigned bytes)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < bytes; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return word;
}

static uint64_t round_of(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * PRIME_2, 31) * PRIME_1;
}

static uint64_t merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ round_of(0, lane)) * PRIME_1 + PRIME_4;
}

/* The whole stripes of 32 bytes; moves *at past them. */
static uint64_t hash_stripes(const uint8_t **at, size_t size)
{
    uint64_t lanes[4] = {PRIME_1 + PRIME_2, PRIME_2, 0, 0 - PRIME_1};
    for (size_t left = size; left >= STRIPE; left -= STRIPE)
        for (unsigned i = 0; i < 4; i++, *at += 8)
            lanes[i] = round_of(lanes[i], load(*at, 8));
    uint64_t hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) +
                    rotate(lanes[3], 18);
    for (unsigned i = 0; i < 4; i++)
        hash = merge(hash, lanes[i]);
    return hash;
}

static uint64_t hash_rest(uint64_t hash, const uint8_t *at, size_t left)
{
    for (; left >= 8; at += 8, left -= 8)
        hash = rotate(hash ^ round_of(0, load(at, 8)), 27) * PRIME_1 + PRIME_4;
    if (left >= 4) {
        hash = rotate(hash ^ load(at, 4) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        at += 4;
        left -= 4;
    }
    for (; left; at++, left--)
        hash = rotate(hash ^ *at * PRIME_5, 11) * PRIME_1;
    return hash;
}

uint64_t kvi_hash64(kivi_slice bytes)
{
    const uint8_t *at = bytes.data;
    uint64_t hash = bytes.size >= STRIPE ? hash_stripes(&at, bytes.size) : PRIME_5;
    hash = hash_rest(hash + bytes.size, at, bytes.size % STRIPE);
    hash = (hash ^ hash >> 33) * PRIME_2;
    hash = (hash ^ hash >> 29) * PRIME_3;
    return hash ^ hash >> 32;
}
