/* A level's own tables: which of its primitives takes a tile, most special first.
 *
 * Each pack function is the predicate of the primitive that it prepares: it looks at the
 * tile's taps, and leaves the tile as it was where the primitive is not for it.
 * Included by rows_impl.h at levels with AVX2 or AVX-512, last.
 */

static void pack_tables(row_taps *t, int acc, int form, char *memory)
{
    if (form == FORM_X2 && t->inner <= PAIR_CHANNELS) {
        if (acc == ACC_F32) pack_pair_f32(t, memory);
        else if (acc == ACC_U8) pack_pair_u8(t, memory);
    }
    if (t->pair) return;
    if (form == FORM_X2) form = FORM_FIXED;
    if (acc == ACC_F32) pack_half(t, form, memory);
    if (!t->window) window_pack(t, acc, form, memory);
}

static int64_t copy_bytes_needed(int64_t outputs, int64_t size)
{
    int64_t blocks = (outputs * size + BVL - 1) / BVL;
    return size > COPY_PIXEL_MAX ? 0 : blocks * (4 + BVL) + 64;
}

/* Nearest: windows of bytes, where every block's pixels lie within one vector, or within two on end. */
static void pack_copy(row_taps *t, int64_t size, char *memory)
{
    const int64_t bytes = t->m * size, n = t->n * size, blocks = (bytes + BVL - 1) / BVL;
    int64_t widest = 0;
#define BYTE_AT(j) (t->index[(j) / size] * size + (j) % size)
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = t->index[b * BVL / size] * size, last = i64min((b + 1) * BVL, bytes) - 1;
        widest = i64max(widest, t->index[last / size] * size + size - first);
    }
    const int two = widest > BVL;
    if (widest > 2 * BVL || n < BVL * (1 + two)) return;
    int32_t *left = (int32_t *)memory;
    uint8_t *pick = (uint8_t *)memory + ((blocks * 4 + 63) & ~63);
    for (int64_t b = 0; b < blocks; b++) {
        left[b] = (int32_t)i64min(t->index[b * BVL / size] * size, n - BVL * (1 + two));
        for (int64_t v = 0; v < BVL; v++)
            pick[b * BVL + v] = (uint8_t)(BYTE_AT(i64min(b * BVL + v, bytes - 1)) - left[b]);
    }
#undef BYTE_AT
    t->left = left;
    t->pick = pick;
    t->pixel = (int32_t)size;
    t->window = two ? copy_window_two : copy_window;
}
