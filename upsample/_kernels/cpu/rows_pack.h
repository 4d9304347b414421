/* A level's own tables: which of its primitives takes a tile, most special first.
 *
 * Each pack function is the predicate of the primitive that it prepares: it looks at the
 * tile's taps, and leaves the tile as it was where the primitive is not for it.
 * Included by rows_impl.h at levels with AVX2 or AVX-512, last.
 */

static void pack_tables(row_taps *t, int acc, int form, char *memory)
{
    if (form == FORM_DOUBLED && t->inner <= PAIR_CHANNELS) {
        if (acc == ACC_F32) pack_pair_f32(t, memory);
#if VL == 16
        else if (acc == ACC_F64) pack_pair_f64(t, memory);
#endif
        else if (acc == ACC_U8) pack_pair_u8(t, memory);
    }
    if (t->pair || (acc == ACC_F64 && form == FORM_DOUBLED)) return;
    if (form == FORM_DOUBLED) form = FORM_FIXED;
    if (acc == ACC_F32) pack_half(t, form, memory);
    if (!t->window) window_pack(t, acc, form, memory);
}
