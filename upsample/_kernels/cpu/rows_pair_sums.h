/* The sweep of rows_pair.h for one type of sums; included once per type, after rows_type.h. */

typedef struct {
    char *out[2];               /* out[1] is NULL for the W pass alone */
    XT *fresh;
    const XT *rows[3];
    const char *src;
    XV wv[2][4];
} X(pair_rows);

/* `at`: sample of the row; x: the newest row there. */
INLINE XV X(pair_sum)(const X(pair_rows) *r, int K, int which, int64_t at, XV x)
{
    const XV *w = r->wv[which];
    if (K == 2) return X_FMA(w[0], X_LOAD(r->rows[0] + at), X_MUL(w[1], x));
    XV a = X_FMA(w[0], X_LOAD(r->rows[0] + at), X_MUL(w[1], X_LOAD(r->rows[1] + at)));
    return X_FMA(w[3], x, X_FMA(w[2], X_LOAD(r->rows[2] + at), a));
}

INLINE void X(pair_store)(const X(pair_rows) *r, int dtype, int K, int rows, int64_t at, XV x, int stream)
{
    if (rows == 0) { X(samples_out)(dtype, r->out[0] + at * SAMPLE_BYTES(dtype), x, stream); return; }
    X_STORE(r->fresh + at, x);
    X(samples_out)(dtype, r->out[0] + at * SAMPLE_BYTES(dtype), X(pair_sum)(r, K, 0, at, x), stream);
    X(samples_out)(dtype, r->out[1] + at * SAMPLE_BYTES(dtype), X(pair_sum)(r, K, 1, at, x), stream);
}

/* Samples [at, at + XL) of the row by window `b` of the edges. */
INLINE void X(pair_window)(const X(pair_rows) *r, int dtype, int K, int rows, const row_taps *t, int64_t b, int64_t at, int stream)
{
    const int S = SAMPLE_BYTES(dtype);
    const uint8_t *pick = t->pick + b * K * XL;
    const int32_t *left = t->left + b * K;
    const XT *w = (const XT *)t->packed + b * K * XL;
    XV x = X(samples_in)(dtype, r->src + left[0] * S), y = x;
    if (!t->one_load) y = X(samples_in)(dtype, r->src + left[1] * S);
    XV a = X_FMA(X_LOAD(w), X_PERMUTE(X_INDEX(pick), x), X_MUL(X_LOAD(w + XL), X_PERMUTE(X_INDEX(pick + XL), y)));
    for (int k = 2; k < K; k++) {
        if (!t->one_load) x = X(samples_in)(dtype, r->src + left[k] * S);
        a = X_FMA(X_LOAD(w + k * XL), X_PERMUTE(X_INDEX(pick + k * XL), x), a);
    }
    X(pair_store)(r, dtype, K, rows, at, a, stream);
}

/* Pixels of even and odd in turn: samples [0, XL) and from the whole pixels' XL / C * C on. */
INLINE void X(interleave_pixels)(int C, XI zip_lo, XI zip_hi, XV even, XV odd, XV *lo, XV *hi)
{
#if VL == 8
    if (C == 1) {
        XV a = _mm256_unpacklo_ps(even, odd), b = _mm256_unpackhi_ps(even, odd);
        *lo = _mm256_permute2f128_ps(a, b, 0x20);
        *hi = _mm256_permute2f128_ps(a, b, 0x31);
        return;
    }
#endif
    (void)C;
    *lo = X_PERMUTE2(zip_lo, even, odd);
    *hi = X_PERMUTE2(zip_hi, even, odd);
}

INLINE void X(even_odd_weights)(const row_taps *t, int K, XV *w)
{
    const XT *table = (const XT *)t->weights + 2 * t->doubled_lo;
    for (int k = 0; k < K; k++) {
        w[k] = X_SPLAT(table[k * t->m]);
        w[4 + k] = X_SPLAT(table[k * t->m + 1]);
    }
}

/* The sums before and after each of the samples at p. */
INLINE void X(even_odd)(int dtype, const char *p, int C, int K, const XV *w, XV *even, XV *odd)
{
    const int pixel = C * SAMPLE_BYTES(dtype);
    const XV a = X(samples_in)(dtype, p - pixel), mid = X(samples_in)(dtype, p), b = X(samples_in)(dtype, p + pixel);
    if (K == 2) {
        *even = X_FMA(w[0], a, X_MUL(w[1], mid));
        *odd = X_FMA(w[4], mid, X_MUL(w[5], b));
    } else {
        *even = X_FMA(w[0], X(samples_in)(dtype, p - 2 * pixel), X_MUL(w[1], a));
        *odd = X_FMA(w[4], a, X_MUL(w[5], mid));
        *even = X_FMA(w[3], b, X_FMA(w[2], mid, *even));
        *odd = X_FMA(w[7], X(samples_in)(dtype, p + 2 * pixel), X_FMA(w[6], b, *odd));
    }
}

/* Zip blocks of pairs [j, stop), with the last one overlapping the one before where it must, or of whole blocks only. */
INLINE int64_t X(pair_blocks)(const X(pair_rows) *r, const row_taps *t, int dtype, int K, int C, int rows, int64_t j, int64_t stop,
                           int stream)
{
    const int S = SAMPLE_BYTES(dtype);
    const int64_t P = XL / C;
    const char *x = r->src + t->doubled_src * C * S;
    XV w[8];
    X(even_odd_weights)(t, K, w);
    const XI zip_lo = X_INDEX(t->zip), zip_hi = X_INDEX(t->zip + XL);
    while (j < stop) {
        if (j + P > stop) {
            if (stream) break;
            j = stop - P;
        }
        const char *p = x + j * C * S;
        const int64_t at = 2 * j * C;
        XV even, odd, lo, hi;
        X(even_odd)(dtype, p, C, K, w, &even, &odd);
        X(interleave_pixels)(C, zip_lo, zip_hi, even, odd, &lo, &hi);
        if (stream && rows) {
            X_STORE(r->fresh + at, lo);
            X_STORE(r->fresh + at + XL, hi);
            X(samples_stream)(dtype, r->out[0] + at * S, X(pair_sum)(r, K, 0, at, lo), X(pair_sum)(r, K, 0, at + XL, hi));
            X(samples_stream)(dtype, r->out[1] + at * S, X(pair_sum)(r, K, 1, at, lo), X(pair_sum)(r, K, 1, at + XL, hi));
        } else if (stream)
            X(samples_stream)(dtype, r->out[0] + at * S, lo, hi);
        else {
            X(pair_store)(r, dtype, K, rows, at, lo, 0);
            X(pair_store)(r, dtype, K, rows, at + P * C, hi, 0);
        }
        j += P;
    }
    return j;
}

/* A line that is streamed in part and stored in part costs ten times as much.  So a row goes straight to its place where
 * it is not streamed, or is whole lines throughout; else what lies before the first and after the last whole line of
 * blocks is finished in `spare` and streamed from there, or all of it. */
INLINE void X(pair_any)(const X(pair_rows) *r, const row_taps *t, int dtype, int K, int C, int rows, char *spare, int lines)
{
    const int S = SAMPLE_BYTES(dtype), step = 2 * C * S;
    const int64_t P = XL / C, edge = t->edges * XL, total = t->m * C, bytes = total * S, room = second_row(bytes);
    const int64_t start = edge / (2 * C), stop = (total - edge + 2 * C - 1) / (2 * C);
    const uintptr_t at = (uintptr_t)r->out[0], differ = rows ? at ^ (uintptr_t)r->out[1] : 0;
    int64_t first = stop, past = stop;          /* pairs that are streamed from registers */
    int perfect = 0;
    X(pair_rows) aside = *r;
    if (spare && (differ & 63) == 0 && 2 * XL * S % 64 == 0) {     /* blocks of whole lines */
        const int64_t head = (int64_t)(-(at + (uintptr_t)(start * step)) & 63);
        perfect = lines && edge * S % 64 == 0 && edge % (2 * C) == 0 && (stop - start) % P == 0;
        if (head % step == 0 && start + head / step + P <= stop && (perfect || bytes >= LONG_ROW)) first = start + head / step;
    }
    if (spare && !perfect) {
        aside.out[0] = spare;
        aside.out[1] = spare + room;
    }
    for (int64_t b = 0; b < t->edges; b++) X(pair_window)(&aside, dtype, K, rows, t, b, b * XL, perfect);
    if (first > start) {
        /* blocks from `start` on, as far as `first` or a whole block */
        X(pair_blocks)(&aside, t, dtype, K, C, rows, start, first == stop ? stop : i64max(first, start + P), 0);
    }
    if (first < stop) {
        past = X(pair_blocks)(r, t, dtype, K, C, rows, first, stop, 1);
        if (past < stop) X(pair_blocks)(&aside, t, dtype, K, C, rows, stop - P, stop, 0);
    }
    for (int64_t b = 0; b < t->edges; b++)
        X(pair_window)(&aside, dtype, K, rows, t, t->edges + b, total - (t->edges - b) * XL, perfect);
    if (!spare || perfect) return;
    const int64_t head = first == stop ? bytes : first * step, tail = first == stop ? bytes : past * step;
    stream_ends(r->out[0], aside.out[0], head, tail, bytes);
    if (rows) stream_ends(r->out[1], aside.out[1], head, tail, bytes);
}

/* Where the sums of the even and odd pixels that make output vector q begin, in samples, for three channels. */
INLINE int64_t X(third)(int64_t q) { return q * XL / 3 / 2 * 3; }

/* Three channels do not fill a vector: instead of blocks of whole pixels, which no line begins with, whole vectors of the
 * output, each from its own sums; their lanes repeat with every third. */
INLINE void X(pair_thirds)(const X(pair_rows) *r, const row_taps *t, int dtype, int K, int rows, char *spare, int lines)
{
    const int S = SAMPLE_BYTES(dtype);
    const int64_t total = t->m * 3, bytes = total * S;
    const int perfect = spare && dtype == XDTYPE && lines;
    const char *x = r->src + t->doubled_src * 3 * S;
    X(pair_rows) aside = *r;
    XV w[8];
    X(even_odd_weights)(t, K, w);
    if (spare && !perfect) {
        aside.out[0] = spare;
        aside.out[1] = spare + second_row(bytes);
    }
    for (int64_t b = 0; b < t->edges; b++) X(pair_window)(&aside, dtype, K, rows, t, b, b * XL, perfect);
    for (int64_t q = t->edges; q < t->thirds; q++) {
        XV even, odd;
        X(even_odd)(dtype, x + X(third)(q) * S, 3, K, w, &even, &odd);
        X(pair_store)(&aside, dtype, K, rows, q * XL, X_PERMUTE2(X_INDEX(t->zip + q % 3 * XL), even, odd), perfect);
    }
    for (int64_t b = 0; b < t->edges; b++)
        X(pair_window)(&aside, dtype, K, rows, t, t->edges + b, total - (t->edges - b) * XL, perfect);
    if (spare && !perfect) stream_rows(r->out[0], rows ? r->out[1] : 0, spare, bytes);
}

/* The same where every block is a window (rows_window.h): any scale at which two output rows are made of the same rows. */
INLINE void X(pair_windows)(const X(pair_rows) *r, const row_taps *t, int dtype, int K, char *spare, int lines)
{
    const int S = SAMPLE_BYTES(dtype);
    const int64_t total = t->m * t->inner, whole = total / XL, bytes = total * S;
    const int perfect = dtype == XDTYPE && spare && lines;
    X(pair_rows) aside = *r;
    if (spare && !perfect) {
        aside.out[0] = spare;
        aside.out[1] = spare + second_row(bytes);
    }
    if (perfect) for (int64_t b = 0; b < whole; b++) X(pair_window)(&aside, dtype, K, 1, t, b, b * XL, 1);
    else for (int64_t b = 0; b < whole; b++) X(pair_window)(&aside, dtype, K, 1, t, b, b * XL, 0);
    if (total % XL) {
        /* the last block is less than a vector: rows of the ring have room for it, the output has not */
        char rest[2][sizeof(XV)];
        X(pair_rows) last = *r;
        last.out[0] = rest[0];
        last.out[1] = rest[1];
        last.fresh += whole * XL;
        for (int k = 0; k < K - 1; k++) last.rows[k] += whole * XL;
        X(pair_window)(&last, dtype, K, 1, t, whole, 0, 0);
        for (int i = 0; i < 2; i++) memcpy(aside.out[i] + whole * XL * S, rest[i], (size_t)(total % XL * S));
    }
    if (spare && !perfect) stream_rows(r->out[0], r->out[1], spare, bytes);
}

INLINE void X(pair)(void *d0, void *d1, void *fresh, const void *const *rows, const void *src, const row_taps *t,
                      const void *w0, const void *w1, void *spare, int lines, int dtype, int K)
{
    X(pair_rows) r = { .out = { d0, d1 }, .fresh = fresh, .src = src };
    const int C = (int)t->inner;
    for (int k = 0; k < K && d1; k++) {
        if (k < K - 1) r.rows[k] = rows[k];
        r.wv[0][k] = X_SPLAT(((const XT *)w0)[k]);
        r.wv[1][k] = X_SPLAT(((const XT *)w1)[k]);
    }
    if (t->pair == PAIR_WINDOWS) X(pair_windows)(&r, t, dtype, K, spare, lines);
    else if (C == 3 && d1) X(pair_thirds)(&r, t, dtype, K, 1, spare, lines);
    else if (C == 3) X(pair_thirds)(&r, t, dtype, K, 0, spare, lines);
    else if (d1 && C == 1) X(pair_any)(&r, t, dtype, K, 1, 1, spare, lines);
    else if (d1) X(pair_any)(&r, t, dtype, K, C, 1, spare, lines);
    else if (C == 1) X(pair_any)(&r, t, dtype, K, 1, 0, spare, lines);
    else X(pair_any)(&r, t, dtype, K, C, 0, spare, lines);
}

/* The tables of the edges, where the tile is long enough to have an inside. */
static void X(pack_pair)(row_taps *t, char *memory)
{
    const int64_t C = t->inner, P = XL / C, K = t->taps_max, total = t->m * C;
    const int64_t left = 2 * t->doubled_lo * C, right = (t->m - 2 * t->doubled_hi) * C;
    int64_t E = ((left > right ? left : right) + XL - 1) / XL, thirds = 0;
    if (t->n * C < XL || E > EDGES_MAX) return;
    if (C == 3) {
        /* as many vectors as lie inside and load nothing from behind the row; windows for what is left */
        for (thirds = E; (thirds + 1) * XL <= 6 * t->doubled_hi
             && X(third)(thirds) + (t->doubled_src + K / 2) * 3 + XL <= t->n * 3; thirds++) {}
        E = i64max(E, (total - thirds * XL + XL - 1) / XL);
        if (E > EDGES_MAX || thirds - E < 2 || 2 * E * XL > total) return;
    } else if ((total - E * XL + 2 * C - 1) / (2 * C) - E * XL / (2 * C) < P)
        return;
    t->one_load = 0;
    int32_t *at = (int32_t *)memory;
    XT *w = (XT *)(memory + ((2 * E * K * 4 + 63) & ~63));
    uint8_t *pick = (uint8_t *)(w + 2 * E * K * XL), *zip = pick + 2 * E * K * XL;
    for (int64_t b = 0; b < 2 * E; b++)
        for (int32_t k = 0; k < K; k++) {
            int64_t from = b < E ? b * XL : total - (2 * E - b) * XL, lo, last;
            tap_span(t, FORM_FIXED, from, from + XL, k, k + 1, &lo, &last);
            lo = i64max(0, i64min(lo, t->n * C - XL));
            if (last - lo >= XL) return;
            at[b * K + k] = (int32_t)lo;
            for (int64_t v = 0; v < XL; v++) {
                int64_t o = (from + v) / C;
                pick[(b * K + k) * XL + v] = (uint8_t)(tap_at(t, FORM_FIXED, o, k) * C + (from + v) % C - lo);
                w[(b * K + k) * XL + v] = (XT)tap_weight(t, XACC, FORM_FIXED, o, k);
            }
        }
    /* the pixels of even and odd in turn: from the start and from the middle of a block, or of each third */
    for (int64_t v = 0; v < XL; v++)
        for (int part = 0; part < (C == 3 ? 3 : 2); part++) {
            const int64_t l = C == 3 ? part * XL + v : v + part * P * C, q = l / C, from = C == 3 ? X(third)(part) : 0;
            zip[part * XL + v] = (uint8_t)(q % 2 * XL + q / 2 * C + l % C - from);
        }
    t->left = at;
    t->pick = pick;
    t->packed = w;
    t->zip = zip;
    t->edges = (int32_t)E;
    t->thirds = thirds;
    t->pair = PAIR_DOUBLED;
}
