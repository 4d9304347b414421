/* Windows of rows_window.h for one type of sums; included once per type, after rows_type.h. */

/* Vector `i` of those at s + left; what lies behind the row's end is not read. */
INLINE XV X(window_load)(const XT *s, int64_t left, int i, int64_t n, int whole)
{
    return whole ? X_LOAD(s + left + i * XL) : X_LOAD_FIRST(s + left + i * XL, n - left - i * XL);
}

/* loads: vectors that a tap's samples lie in.  Four serve all taps of a block, as one does where `one_load` says so. */
INLINE void X(window)(XT *restrict d, const XT *restrict s, const row_taps *t, int K, int loads, int counts, int whole)
{
    int64_t n = t->n * t->inner, m = t->m * t->inner, blocks = (m + XL - 1) / XL;
    const int32_t *left = t->left;
    const uint8_t *pick = t->pick;
    const XT *w = t->packed;
    const int32_t *count = t->block_counts;
    const int together = loads == 4 || (loads == 1 && counts == COUNTS_EQUAL && t->one_load);
    for (int64_t b = 0; b < blocks; b++, left += K, pick += K * XL, w += K * XL) {
        XV a, x[4];
        if (together) for (int i = 0; i < loads; i++) x[i] = X(window_load)(s, left[0], i, n, whole);
#define LOADED(k, i) (together ? x[i] : X(window_load)(s, left[k], i, n, whole))
#define INDEX(k) X_INDEX(pick + (k) * XL)
#define TAP(k) (loads == 4 ? X_PERMUTE4(INDEX(k), x[0], x[1], x[2], x[3])       \
              : loads == 2 ? X_PERMUTE2(INDEX(k), LOADED(k, 0), LOADED(k, 1)) : X_PERMUTE(INDEX(k), LOADED(k, 0)))
        if (counts == COUNTS_EQUAL) {
            a = X_FMA(TAP(0), X_LOAD(w), X_MUL(TAP(1), X_LOAD(w + XL)));
            for (int k = 2; k < K; k++) a = X_FMA(TAP(k), X_LOAD(w + k * XL), a);
        } else {
            XI c = X_COUNTS(count + b * XL);
            XV x0 = TAP(0);
            if (counts == COUNTS_BOX) {
                a = x0;
                for (int k = 1; k < K; k++) a = X_SELECT(X_MORE(c, k), X_ADD(a, TAP(k)), a);
                a = X_DIV(a, X_OF_COUNTS(c));
            } else {
                XV w0 = X_LOAD(w);
                a = X_MUL(x0, w0);
                if (counts == COUNTS_EMPTY) a = X_SELECT(X_MORE(c, 0), a, X_SPLAT(0));
                if (K > 1) a = X_SELECT(X_MORE(c, 1), X_FMA(x0, w0, X_MUL(TAP(1), X_LOAD(w + XL))), a);
                for (int k = 2; k < K; k++) a = X_SELECT(X_MORE(c, k), X_FMA(TAP(k), X_LOAD(w + k * XL), a), a);
            }
        }
#undef TAP
#undef INDEX
#undef LOADED
        if ((b + 1) * XL <= m) X_STORE(d + b * XL, a);
        else X_STORE_FIRST(d + b * XL, a, m - b * XL);
    }
}

#define DEFINE_WINDOW(name, K, loads, counts)                                                               \
    static void name(void *d, const void *s, const row_taps *t)                                             \
    {                                                                                                       \
        if (t->n * t->inner >= XL * (loads)) X(window)(d, s, t, K, loads, counts, 1);                       \
        else X(window)(d, s, t, K, loads, counts, 0);                                                       \
    }
#define DEFINE_WINDOWS(name, K, counts)                                                                     \
    DEFINE_WINDOW(X(name##_1), K, 1, counts)                                                                \
    DEFINE_WINDOW(X(name##_2), K, 2, counts)                                                                \
    DEFINE_WINDOW(X(name##_4), K, 4, counts)                                                                \
    static const h_fn X(name)[] = { X(name##_1), X(name##_2), X(name##_4) };
DEFINE_WINDOWS(window_two, 2, COUNTS_EQUAL)
DEFINE_WINDOWS(window_four, 4, COUNTS_EQUAL)
DEFINE_WINDOWS(window_any, t->taps_max, COUNTS_DIFFER)
DEFINE_WINDOWS(window_empty, t->taps_max, COUNTS_EMPTY)
DEFINE_WINDOWS(window_box, t->taps_max, COUNTS_BOX)
#undef DEFINE_WINDOWS
#undef DEFINE_WINDOW

/* Whether one position serves all taps of every block, and `loads` vectors from there. */
INLINE int X(spans_fit)(const row_taps *t, int form, int64_t K, int64_t loads)
{
    const int64_t m = t->m * t->inner;
    for (int64_t b = 0; b * XL < m; b++) {
        int64_t lo, hi;
        tap_span(t, form, b * XL, i64min((b + 1) * XL, m), 0, (int32_t)K, &lo, &hi);
        if (hi - lo >= loads * XL) return 0;
    }
    return 1;
}

INLINE void X(pack_as)(row_taps *t, int form, char *memory)
{
    int64_t n = t->n * t->inner, m = t->m * t->inner, blocks = (m + XL - 1) / XL, K = t->taps_max, widest = 0;
    for (int64_t b = 0; b < blocks; b++)
        for (int32_t k = 0; k < K; k++) {
            int64_t lo, hi;
            tap_span(t, form, b * XL, i64min((b + 1) * XL, m), k, k + 1, &lo, &hi);
            widest = i64max(widest, hi - lo + 1);
        }
    const int64_t loads = widest <= XL ? 1 : widest <= 2 * XL ? 2 : 4;
    const int one = loads == 4 || (form == FORM_FIXED && loads == 1 && X(spans_fit)(t, form, K, 1));
    if (loads == 4 && !X(spans_fit)(t, form, K, 4)) return;
    int empty = 0;
    for (int64_t o = 0; o < t->m && form == FORM_WIDE; o++) empty |= t->count[o] < 1;
    int32_t *left = (int32_t *)memory, *counts;
    XT *w = (XT *)(memory + ((blocks * K * 4 + 63) & ~63));
    uint8_t *pick = (uint8_t *)(w + blocks * K * XL);
    counts = (int32_t *)(pick + ((blocks * K * XL + 63) & ~63));
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t k = 0; k < K; k++) {
            int64_t lo, hi, o = b * XL / t->inner, channel = b * XL % t->inner;
            tap_span(t, form, b * XL, i64min((b + 1) * XL, m), one ? 0 : (int32_t)k, (int32_t)(one ? K : k + 1), &lo, &hi);
            lo = i64max(0, i64min(lo, n - loads * XL));
            left[b * K + k] = (int32_t)lo;
            for (int64_t v = 0; v < XL; v++) {
                pick[(b * K + k) * XL + v] = (uint8_t)(tap_at(t, form, o, (int32_t)k) * t->inner + channel - lo);
                w[(b * K + k) * XL + v] = (XT)tap_weight(t, XACC, form, o, (int32_t)k);
                if (form != FORM_FIXED) counts[b * XL + v] = t->count[o];
                if (b * XL + v < m - 1 && ++channel == t->inner) { channel = 0; o++; }
            }
        }
    t->left = left;
    t->pick = pick;
    t->packed = w;
    t->block_counts = counts;
    t->one_load = one && loads == 1;
    /* in float64 two rows are no faster at once (0.7 of the speed, enlarged three times) */
    if (XACC == ACC_F32 && form == FORM_FIXED && loads == 1 && n >= XL) t->pair = PAIR_WINDOWS;
    const h_fn *with = form == FORM_BOX ? X(window_box) : form == FORM_WIDE ? (empty ? X(window_empty) : X(window_any))
                     : K == 2 ? X(window_two) : X(window_four);
    t->window = with[loads / 2];
}

static void X(pack_windows)(row_taps *t, int form, char *memory)
{
    if (form == FORM_FIXED) X(pack_as)(t, FORM_FIXED, memory);
    else if (form == FORM_WIDE) X(pack_as)(t, FORM_WIDE, memory);
    else X(pack_as)(t, FORM_BOX, memory);
}
