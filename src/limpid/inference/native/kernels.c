/* A decoder's forward pass on a CPU, written out.
 *
 * Python (program.py) packs the weights once and lists the operations of a model; `limpid_run` carries the list out for a
 * batch of tokens, each of which has a row and a slot of the key-value cache. A token's numbers are summed in one fixed
 * order, so they do not depend on which other tokens are in the batch, nor on the number of threads.
 *
 * Shapes: D d_model, H heads, K kv heads, C head_dim, F d_ff, V vocabulary; n tokens a batch. Activations are float32;
 * what a matrix multiplies (the "operand") is bfloat16 where the processor multiplies bfloat16 and the weights are
 * bfloat16, else float32.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(__AVX512BW__) && defined(__AVX512BF16__)
#define BF16_DOT 1
#else
#define BF16_DOT 0
#endif

const int limpid_bf16_dot = BF16_DOT; /* Python asks */

#pragma GCC diagnostic ignored "-Wpsabi" /* how vectors are passed between files is no matter: there is only this one */

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
typedef float floats __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int8_t bytes __attribute__((vector_size(LANES), aligned(1)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES), aligned(2)));

enum { FLOAT32, BFLOAT16, INT8 };                           /* how numbers are stored */
enum { EMBED, NORM, LINEAR, KEEP, ATTEND, TOTAL };          /* what an operation does */
enum { STORE, ADD, GLU, RELU, RELU2, SILU, GELU, GELU_TANH }; /* what follows a matrix product */
enum { X, OPERAND, QKV, MIXED, INNER, LOGITS, BUFFERS };    /* where numbers lie between two operations */

/* One operation. Unused fields are 0.
 *
 * EMBED   X[t] = weight[id]; + second[slot] where there is one. weight (V, D), second (context, D): stored as `stored`.
 * NORM    OPERAND[t] = norm(X[t]) * weight + bias; rms where `bias` is 0. weight 0: the numbers as they are.
 *         into_x: X[t] as well. wanted: only of the tokens whose logits are wanted, close together.
 * LINEAR  output = input weight^T + bias, then `after`. weight: tiles (see program.py), scale (n) with INT8.
 * KEEP    keys and values of QKV[t] into the cache; keys normed (weight, with eps), then turned.
 * ATTEND  MIXED[t] = softmax(q k^T / sqrt(C)) v over the slots up to the token's own, the last `window` of them (0: all);
 *         queries normed (weight, with eps), then turned.
 * TOTAL   of each wanted token's LOGITS, the largest one's number, and the log of the sum of their exponentials.
 */
typedef struct {
    int32_t kind, after, stored, input, output, rows_in, rows_out, layer, window, into_x, wanted;
    float eps;
    const void *weight, *second;
    const float *scale, *bias;
} Operation;

/* What all operations of a call share. cos, sin: (context, C/2), 0 where nothing is turned. cache: (2 layers, cache_rows,
 * K, cache_slots, C): keys of a layer, then its values. ids, rows, slots: of each token; wanted: which tokens' logits.
 * spans: where each run of up to QUERIES tokens begins that follow each other in a row; then the number of tokens. */
typedef struct {
    int32_t operations, tokens, wanted_count, span_count, d_model, heads, kv_heads, head_dim;
    int32_t operand, cached, cache_rows, cache_slots;
    const Operation *list;
    const float *cos, *sin;
    void *buffers[BUFFERS];
    int32_t strides[BUFFERS]; /* numbers from one token's to the next one's */
    void *cache;
    const int32_t *ids, *rows, *slots, *wanted, *spans;
    int64_t *best;
    float *log_total;
} Call;

/* ------------------------------------------------------------------ numbers */

INLINE floats splat(float x) { return x - (floats){0}; }
INLINE floats load(const float *p) { return *(const floats *)p; }
INLINE void store(float *p, floats x) { *(floats *)p = x; }

INLINE floats load_as(int stored, const void *base, int64_t at) {
    if (stored == FLOAT32) return load((const float *)base + at);
    halves h = *(const halves *)((const uint16_t *)base + at);
    return (floats)(__builtin_convertvector(h, words) << 16);
}

INLINE void store_as(int stored, void *base, int64_t at, floats x) {
    if (stored == FLOAT32) {
        store((float *)base + at, x);
        return;
    }
#if BF16_DOT
    *(halves *)((uint16_t *)base + at) = (halves)_mm512_cvtneps_pbh((__m512)x);
#else
    words u = (words)x; /* to nearest, ties to even */
    u = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    *(halves *)((uint16_t *)base + at) = __builtin_convertvector(u, halves);
#endif
}

INLINE floats widen(const void *eight_bits) {
#if defined(__AVX512F__) /* which compilers do not find by themselves */
    return (floats)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)eight_bits)));
#else
    return __builtin_convertvector(*(const bytes *)eight_bits, floats);
#endif
}

INLINE float sum(floats x) {
    float parts[LANES];
    memcpy(parts, &x, sizeof x);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) parts[i] += parts[i + width];
    return parts[0];
}

INLINE floats larger(floats a, floats b) {
    ints first = a > b;
    return (floats)(((ints)a & first) | ((ints)b & ~first));
}

/* e^x, within a few units in the last place: 2^n e^r with |r| <= ln(2)/2, and the series of e^r. */
INLINE floats exponential(floats x) {
    const floats magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    x = larger(x, splat(-87.0f));
    x = -larger(-x, splat(-88.0f));
    floats n = (x * 1.44269504f + magic) - magic;
    floats r = x - n * 0.693359375f + n * 2.12194440e-4f;
    floats p = splat(1.9841270e-4f) * r + splat(1.3888889e-3f);
    p = p * r + splat(8.3333333e-3f);
    p = p * r + splat(4.1666667e-2f);
    p = p * r + splat(1.6666667e-1f);
    p = p * r + splat(0.5f);
    p = p * r * r + r + splat(1.0f);
    ints power = __builtin_convertvector(n, ints) << 23;
    return (floats)((ints)p + power);
}

INLINE floats sigmoid(floats x) { return 1.0f / (1.0f + exponential(-x)); }

INLINE floats activate(int which, floats x) {
    if (which == RELU || which == RELU2) {
        x = larger(x, splat(0.0f));
        return which == RELU ? x : x * x;
    }
    if (which == SILU) return x * sigmoid(x);
    if (which == GELU_TANH) /* (1 + tanh(u)) / 2 = sigmoid(2u) */
        return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    float parts[LANES];
    memcpy(parts, &x, sizeof x);
    for (int i = 0; i < LANES; i++) parts[i] *= 0.5f + 0.5f * erff(parts[i] * 0.70710678f);
    memcpy(&x, parts, sizeof x);
    return x;
}

/* ------------------------------------------------------------------ matrix products */

#define BLOCKS 4    /* of 16 outputs, in a tile */
#define TILE_ROWS 6 /* tokens multiplied at once: 24 sums, in registers */
#define CHUNK 48    /* tokens a task: the tile of weights is read once for them */

#define EACH_SUM(r, b)                                                                                                 \
    _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++) _Pragma("GCC unroll 8") for (int b = 0; b < BLOCKS; b++)

/* What one product needs: tokens first .. first + rows - 1 of the input, outputs of one tile. */
typedef struct {
    const Operation *op;
    const Call *call;
    const char *tile;
    int first, column;
} Product;

/* One pair (bfloat16) or number (float32, int8) of k: weights of 16 outputs, times one token's. */
INLINE floats accumulate(int stored, int operand, floats total, const char *w, const void *x, int64_t k) {
    if (stored == BFLOAT16) {
        words pair = *(const words *)w;
#if BF16_DOT
        if (operand == BFLOAT16) {
            int32_t both;
            memcpy(&both, (const uint16_t *)x + k, 4);
            return (floats)_mm512_dpbf16_ps((__m512)total, (__m512bh)pair, (__m512bh)_mm512_set1_epi32(both));
        }
#else
        (void)operand;
#endif
        total += (floats)(pair << 16) * ((const float *)x)[k];
        return total + (floats)(pair & 0xffff0000u) * ((const float *)x)[k + 1];
    }
    if (stored == FLOAT32) return total + load((const float *)w) * ((const float *)x)[k];
    return total + widen(w) * ((const float *)x)[k];
}

INLINE void finish(const Product *p, int row, const floats *total) {
    const Operation *op = p->op;
    void *out = p->call->buffers[op->output];
    const int64_t at = (int64_t)row * p->call->strides[op->output];
    floats y[BLOCKS];
    for (int b = 0; b < BLOCKS; b++) {
        int n = p->column + b * LANES; /* scale and bias are padded to whole tiles */
        y[b] = op->scale ? total[b] * load(op->scale + n) : total[b];
        if (op->bias) y[b] += load(op->bias + n);
    }
    if (op->after == GLU) { /* blocks of gate and up in turn */
        for (int b = 0; b < BLOCKS; b += 2) {
            int n = p->column / 2 + b / 2 * LANES;
            if (n < op->rows_out / 2) store_as(p->call->operand, out, at + n, activate(SILU, y[b]) * y[b + 1]);
        }
        return;
    }
    for (int b = 0; b < BLOCKS; b++) {
        int n = p->column + b * LANES, left = op->rows_out - n;
        if (left <= 0) return;
        if (op->after >= RELU)
            store_as(p->call->operand, out, at + n, activate(op->after, y[b]));
        else if (left >= LANES) {
            float *to = (float *)out + at + n;
            store(to, op->after == ADD ? load(to) + y[b] : y[b]);
        } else
            memcpy((float *)out + at + n, &y[b], 4 * left);
    }
}

INLINE void multiply(const Product *p, int stored, int operand, int rows) {
    const int width = p->op->rows_in, step = stored == BFLOAT16 ? 2 : 1;
    const int bytes_a_step = LANES * (stored == INT8 ? 1 : 4);
    const int stride = p->call->strides[p->op->input];
    const int size = operand == BFLOAT16 ? 2 : 4;
    const char *x = (const char *)p->call->buffers[p->op->input] + (int64_t)p->first * stride * size;
    floats total[TILE_ROWS][BLOCKS], kept[TILE_ROWS][BLOCKS]; /* all indices constant: total stays in registers */
    EACH_SUM(r, b) total[r][b] = splat(0.0f);
    const char *w = p->tile;
    for (int k = 0; k < width; k += step, w += BLOCKS * bytes_a_step)
        EACH_SUM(r, b)
            total[r][b] = accumulate(stored, operand, total[r][b], w + b * bytes_a_step, x + (int64_t)r * stride * size, k);
    EACH_SUM(r, b) kept[r][b] = total[r][b];
    for (int r = 0; r < rows; r++) finish(p, p->first + r, kept[r]);
}

#define MULTIPLY(name, stored, operand)                                                                                \
    static void name(Product p, int count) {                                                                          \
        for (; count > 0; count -= TILE_ROWS, p.first += TILE_ROWS) switch (count) {                                   \
                case 1: multiply(&p, stored, operand, 1); break;                                                       \
                case 2: multiply(&p, stored, operand, 2); break;                                                       \
                case 3: multiply(&p, stored, operand, 3); break;                                                       \
                case 4: multiply(&p, stored, operand, 4); break;                                                       \
                case 5: multiply(&p, stored, operand, 5); break;                                                       \
                default: multiply(&p, stored, operand, 6);                                                             \
            }                                                                                                          \
    }
MULTIPLY(multiply_float32, FLOAT32, FLOAT32)
MULTIPLY(multiply_int8, INT8, FLOAT32)
#if BF16_DOT
MULTIPLY(multiply_bfloat16, BFLOAT16, BFLOAT16)
#else
MULTIPLY(multiply_bfloat16, BFLOAT16, FLOAT32)
#endif

static void linear(const Call *call, const Operation *op, int task) {
    const int tokens = op->wanted ? call->wanted_count : call->tokens;
    const int chunks = (tokens + CHUNK - 1) / CHUNK;
    const int tile = task / chunks, first = task % chunks * CHUNK;
    const int number = op->stored == FLOAT32 ? 4 : op->stored == BFLOAT16 ? 2 : 1;
    Product p = {op, call, (const char *)op->weight + (int64_t)tile * BLOCKS * LANES * op->rows_in * number, first,
                 tile * BLOCKS * LANES};
    const int count = tokens - first < CHUNK ? tokens - first : CHUNK;
    if (op->stored == FLOAT32) multiply_float32(p, count);
    if (op->stored == BFLOAT16) multiply_bfloat16(p, count);
    if (op->stored == INT8) multiply_int8(p, count);
}

/* ------------------------------------------------------------------ the other operations */

static void embed(const Call *call, const Operation *op, int token) {
    float *x = (float *)call->buffers[X] + (int64_t)token * call->strides[X];
    for (int i = 0; i < call->d_model; i += LANES) {
        floats y = load_as(op->stored, op->weight, (int64_t)call->ids[token] * call->d_model + i);
        if (op->second) y += load_as(FLOAT32, op->second, (int64_t)call->slots[token] * call->d_model + i);
        store(x + i, y);
    }
}

/* y = x * factor, then * weight, + bias. y may be x. */
INLINE void norm(const float *x, int width, float eps, const float *weight, const float *bias, float *y) {
    floats squares = splat(0), all = splat(0);
    float mean = 0;
    if (bias) {
        for (int i = 0; i < width; i += LANES) all += load(x + i);
        mean = sum(all) / width;
    }
    for (int i = 0; i < width; i += LANES) {
        floats d = load(x + i) - mean;
        squares += d * d;
    }
    const float factor = 1.0f / sqrtf(sum(squares) / width + eps);
    for (int i = 0; i < width; i += LANES) {
        floats d = (load(x + i) - mean) * factor * load(weight + i);
        store(y + i, bias ? d + load(bias + i) : d);
    }
}

static void norm_token(const Call *call, const Operation *op, int place) {
    const int token = op->wanted ? call->wanted[place] : place, width = call->d_model;
    float *x = (float *)call->buffers[X] + (int64_t)token * call->strides[X];
    const int64_t to = (int64_t)place * call->strides[OPERAND];
    float y[width];
    if (op->weight)
        norm(x, width, op->eps, op->weight, op->bias, y);
    else
        memcpy(y, x, sizeof y);
    for (int i = 0; i < width; i += LANES) store_as(call->operand, call->buffers[OPERAND], to + i, load(y + i));
    if (op->into_x) memcpy(x, y, sizeof y);
}

/* One head's query or key (C): normed where there is a weight, then each pair (i, i + C/2) turned by its slot's angle. */
INLINE void prepare(const Call *call, const Operation *op, const float *from, int slot, float factor, float *y) {
    const int width = call->head_dim, half = width / 2;
    if (op->weight)
        norm(from, width, op->eps, op->weight, 0, y);
    else
        memcpy(y, from, 4 * width);
    if (call->cos) {
        const float *cos = call->cos + (int64_t)slot * half, *sin = call->sin + (int64_t)slot * half;
        for (int i = 0; i < half; i++) {
            const float a = y[i], b = y[i + half];
            y[i] = a * cos[i] - b * sin[i];
            y[i + half] = b * cos[i] + a * sin[i];
        }
    }
    for (int i = 0; i < width; i++) y[i] *= factor;
}

INLINE int64_t cache_at(const Call *call, int part, int layer, int row, int slot, int head) {
    const int64_t block = (int64_t)(2 * layer + part) * call->cache_rows + row;
    return ((block * call->kv_heads + head) * call->cache_slots + slot) * call->head_dim;
}

static void keep(const Call *call, const Operation *op, int token) {
    const int width = call->head_dim, row = call->rows[token], slot = call->slots[token];
    const float *qkv = (const float *)call->buffers[QKV] + (int64_t)token * call->strides[QKV];
    float key[width];
    for (int head = 0; head < call->kv_heads; head++) {
        prepare(call, op, qkv + (call->heads + head) * width, slot, 1.0f, key);
        const float *value = qkv + (call->heads + call->kv_heads + head) * width;
        const int64_t keys = cache_at(call, 0, op->layer, row, slot, head);
        const int64_t values = cache_at(call, 1, op->layer, row, slot, head);
        for (int i = 0; i < width; i += LANES) {
            store_as(call->cached, call->cache, keys + i, load(key + i));
            store_as(call->cached, call->cache, values + i, load(value + i));
        }
    }
}

#define SPAN 128 /* keys looked at together: scores are made, weighed and forgotten (Milakov & Gimelshein 2018) */

#define QUERIES 4 /* at most so many look at the same keys together: of tokens of one text that follow each other, or of heads */

#if defined(__clang__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (ints){__VA_ARGS__})
#endif

/* Sums of neighbours: of a in the first half, of b in the second. */
INLINE floats fold(floats a, floats b) {
    return PICK(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
           PICK(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/* The sums of 16 vectors, in their order. */
INLINE floats sums_of(const floats *v) {
    floats pairs[8], fours[4];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) pairs[i] = fold(v[2 * i], v[2 * i + 1]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) fours[i] = fold(pairs[2 * i], pairs[2 * i + 1]);
    return fold(fold(fours[0], fours[1]), fold(fours[2], fours[3]));
}

/* Whether weights and values are multiplied in bfloat16, two keys at a time; queries and keys are then, too. */
INLINE int paired(const int cached, int width) { return BF16_DOT && cached == BFLOAT16 && width % (2 * LANES) == 0; }

/* Products of a query and a key, not summed yet. low: the query in bfloat16, where the processor multiplies that. */
INLINE floats products(const int cached, const float *query, const uint16_t *low, const void *cache, int64_t at, int width) {
    floats dot = splat(0);
#if BF16_DOT
    if (paired(cached, width)) {
        for (int i = 0; i < width; i += 2 * LANES)
            dot = (floats)_mm512_dpbf16_ps((__m512)dot, (__m512bh) * (const words *)((const uint16_t *)cache + at + i),
                                           (__m512bh) * (const words *)(low + i));
        return dot;
    }
#else
    (void)low;
#endif
    for (int i = 0; i < width; i += LANES) dot += load(query + i) * load_as(cached, cache, at + i);
    return dot;
}

/* One head's query of one token, on its way through the keys. mixed: in an order of its own, see `straighten`. most, whole:
 * the largest score so far, and the sum of all weights relative to it. first, last: the slots that may be looked at.
 * low: the query in bfloat16; weights: those of the present keys in bfloat16. */
typedef struct {
    int first, last;
    float most, whole, shrink;
    float *query, *mixed, *scores;
    uint16_t *low, *weights;
} Query;

/* mixed = mixed * shrink + sum of weight x value, for 32 numbers of each of n queries. */
INLINE void weigh(const int cached, const int n, const Query *q, int count, const void *cache, int64_t at, int64_t stride,
                  int i) {
    floats even[QUERIES], odd[QUERIES];
#pragma GCC unroll 4
    for (int j = 0; j < n; j++) {
        even[j] = load(q[j].mixed + i) * q[j].shrink;
        odd[j] = load(q[j].mixed + i + LANES) * q[j].shrink;
    }
    for (int s = 0; s < count; s++, at += stride) {
        floats a, b;
        if (cached == FLOAT32) {
            floats x = load((const float *)cache + at + i), y = load((const float *)cache + at + i + LANES);
            a = PICK(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            b = PICK(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        } else {
            words pair = *(const words *)((const uint16_t *)cache + at + i);
            a = (floats)(pair << 16), b = (floats)(pair & 0xffff0000u);
        }
#pragma GCC unroll 4
        for (int j = 0; j < n; j++) even[j] += q[j].scores[s] * a, odd[j] += q[j].scores[s] * b;
    }
#pragma GCC unroll 4
    for (int j = 0; j < n; j++) store(q[j].mixed + i, even[j]), store(q[j].mixed + i + LANES, odd[j]);
}

#if BF16_DOT
#define EACH_PART(j, c)                                                                                                \
    _Pragma("GCC unroll 4") for (int j = 0; j < n; j++) _Pragma("GCC unroll 4") for (int c = 0; c < 2 * blocks; c++)

/* The same for `paired` ones, and for 32 x blocks numbers at once. */
INLINE void weigh_pairs(const int n, const int blocks, const Query *q, int count, const uint16_t *value, int64_t stride,
                        int i) {
    floats mixed[QUERIES][4];
    EACH_PART(j, c) mixed[j][c] = load(q[j].mixed + i + c * LANES) * q[j].shrink;
    value += i;
    for (int s = 0; s < count; s += 2, value += 2 * stride) {
        const uint16_t *next = s + 1 < count ? value + stride : value; /* of which nothing is taken: it weighs 0 */
        __m512i both[4]; /* numbers of the two in turn: 0 to 3, 8 to 11, ... of 32 first, then the others */
#pragma GCC unroll 2
        for (int b = 0; b < blocks; b++) {
            const __m512i one = _mm512_loadu_si512(value + 2 * b * LANES), two = _mm512_loadu_si512(next + 2 * b * LANES);
            both[2 * b] = _mm512_unpacklo_epi16(one, two), both[2 * b + 1] = _mm512_unpackhi_epi16(one, two);
        }
        EACH_PART(j, c) {
            int32_t weights;
            memcpy(&weights, q[j].weights + s, 4);
            mixed[j][c] = (floats)_mm512_dpbf16_ps((__m512)mixed[j][c], (__m512bh)both[c],
                                                   (__m512bh)_mm512_set1_epi32(weights));
        }
    }
    EACH_PART(j, c) store(q[j].mixed + i + c * LANES, mixed[j][c]);
}
#endif

/* The numbers of `mixed` in their order again: even and odd ones lie apart, or fours where they are `paired`. */
INLINE void straighten(const int cached, float *mixed, int width) {
    for (int i = 0; i + 2 * LANES <= width; i += 2 * LANES) {
        floats a = load(mixed + i), b = load(mixed + i + LANES);
        if (paired(cached, width)) {
            store(mixed + i, PICK(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23));
            store(mixed + i + LANES, PICK(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31));
        } else {
            store(mixed + i, PICK(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
            store(mixed + i + LANES, PICK(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
        }
    }
}

/* The weights of `count` keys from `start` on, in place of their scores, or rounded and beside them. Keys out of a query's
 * sight weigh exactly 0, so that its numbers do not depend on the tokens it is computed with. */
INLINE void weights_of(const int rounded, Query *q, int start, int count) {
    const ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    floats best = splat(-INFINITY);
    for (int s = 0; s < count; s += LANES) {
        ints at = lanes + (start + s), seen = (at >= q->first) & (at <= q->last);
        floats score = (floats)(((ints)load(q->scores + s) & seen) | ((ints)splat(-INFINITY) & ~seen));
        store(q->scores + s, score);
        best = larger(best, score);
    }
    float now = q->most;
    for (int i = 0; i < LANES; i++) now = best[i] > now ? best[i] : now;
    q->shrink = q->most == -INFINITY ? 0.0f : exponential(splat(q->most - now))[0];
    const float from = now == -INFINITY ? 0.0f : now; /* nothing is in sight yet */
    floats sums = splat(0);
    for (int s = 0; s < count; s += LANES) {
        floats score = load(q->scores + s);
        floats weight = (floats)((ints)exponential(score - from) & (score > -INFINITY));
        if (rounded) {
            store_as(BFLOAT16, q->weights, s, weight);
            weight = load_as(BFLOAT16, q->weights, s);
        } else
            store(q->scores + s, weight);
        sums += weight;
    }
    q->whole = q->whole * q->shrink + sum(sums);
    q->most = now;
}

/* n queries that look at the same keys: those of n tokens of one text, by one head, or of one token by n heads.
 * token_step, head_step: from one query to the next. */
INLINE void attend_as(const int cached, const int n, const Call *call, const Operation *op, int token, int head,
                      const int token_step, const int head_step) {
    const int width = call->head_dim, row = call->rows[token], kv_head = head / (call->heads / call->kv_heads);
    const int64_t stride = width;
    float query[n][width], mixed[n][width], scores[n][SPAN];
    uint16_t low[n][width], weights[n][SPAN];
    Query q[QUERIES];
    for (int j = 0; j < n; j++) {
        const int slot = call->slots[token + j * token_step];
        q[j] = (Query){.first = op->window && slot >= op->window ? slot - op->window + 1 : 0, .last = slot, .most = -INFINITY,
                       .query = query[j], .mixed = mixed[j], .scores = scores[j], .low = low[j], .weights = weights[j]};
        const float *from = (const float *)call->buffers[QKV] + (int64_t)(token + j * token_step) * call->strides[QKV];
        prepare(call, op, from + (head + j * head_step) * width, slot, 1.0f / sqrtf((float)width), query[j]);
        for (int i = 0; i < width; i += LANES) store_as(BFLOAT16, low[j], i, load(query[j] + i));
        memset(mixed[j], 0, sizeof mixed[j]);
    }
    const int last = q[n - 1].last;
    for (int start = q[0].first / SPAN * SPAN; start <= last; start += SPAN) {
        const int count = last + 1 - start < SPAN ? last + 1 - start : SPAN;
        const int64_t keys = cache_at(call, 0, op->layer, row, start, kv_head);
        const int64_t values = cache_at(call, 1, op->layer, row, start, kv_head);
        for (int s = 0; s < count; s += LANES) {
            floats dots[n][LANES];
            for (int i = 0; i < LANES; i++) {
                const int64_t key = keys + (s + i < count ? s + i : count - 1) * stride;
#pragma GCC unroll 4
                for (int j = 0; j < n; j++) dots[j][i] = products(cached, query[j], low[j], call->cache, key, width);
            }
#pragma GCC unroll 4
            for (int j = 0; j < n; j++) store(scores[j] + s, sums_of(dots[j]));
        }
        for (int j = 0; j < n; j++) weights_of(paired(cached, width), &q[j], start, count);
        int i = 0;
#if BF16_DOT
        if (paired(cached, width)) {
            const uint16_t *value = (const uint16_t *)call->cache + values;
            for (; i + 4 * LANES <= width; i += 4 * LANES) weigh_pairs(n, 2, q, count, value, stride, i);
            if (i < width) weigh_pairs(n, 1, q, count, value, stride, i);
            continue;
        }
#endif
        for (; i + 2 * LANES <= width; i += 2 * LANES) weigh(cached, n, q, count, call->cache, values, stride, i);
        if (i < width) /* 16 numbers are left */
            for (int j = 0; j < n; j++) {
                floats y = load(mixed[j] + i) * q[j].shrink;
                for (int s = 0; s < count; s++) y += scores[j][s] * load_as(cached, call->cache, values + s * stride + i);
                store(mixed[j] + i, y);
            }
    }
    for (int j = 0; j < n; j++) {
        straighten(cached, mixed[j], width);
        const int64_t to = (int64_t)(token + j * token_step) * call->strides[MIXED] + (head + j * head_step) * width;
        for (int i = 0; i < width; i += LANES)
            store_as(call->operand, call->buffers[MIXED], to + i, load(mixed[j] + i) / q[j].whole);
    }
}

#define ATTEND_AS(cached, n, head, token_step, head_step)                                                              \
    switch (n) {                                                                                                       \
        case 1: attend_as(cached, 1, call, op, token, head, token_step, head_step); break;                             \
        case 2: attend_as(cached, 2, call, op, token, head, token_step, head_step); break;                             \
        case 3: attend_as(cached, 3, call, op, token, head, token_step, head_step); break;                             \
        default: attend_as(cached, 4, call, op, token, head, token_step, head_step);                                   \
    }

/* A task: one kv head and the queries of one span that look at its keys. Of texts, a head's spans follow each other, which read
 * the same keys; where every span is a token of a text of its own, a text's heads do, whose keys lie side by side. */
static void attend(const Call *call, const Operation *op, int task) {
    const int group = call->heads / call->kv_heads, apart = call->span_count == call->tokens;
    const int span = apart ? task / call->kv_heads : task % call->span_count;
    const int first = (apart ? task % call->kv_heads : task / call->span_count) * group;
    const int token = call->spans[span], count = call->spans[span + 1] - token;
    for (int head = first; head < first + group;) {
        const int left = first + group - head, heads = count > 1 ? 1 : left < QUERIES ? left : QUERIES;
        if (call->cached == FLOAT32)
            ATTEND_AS(FLOAT32, count * heads, head, count > 1, count == 1)
        else
            ATTEND_AS(BFLOAT16, count * heads, head, count > 1, count == 1)
        head += heads;
    }
}

static void total(const Call *call, int place) {
    const int width = call->strides[LOGITS];
    const float *logits = (const float *)call->buffers[LOGITS] + (int64_t)place * width;
    const ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    floats most = splat(-INFINITY), sums = splat(0);
    ints where = lanes;
    int i = 0;
    for (; i + LANES <= width; i += LANES) {
        const floats x = load(logits + i);
        const ints more = x > most;
        most = (floats)(((ints)x & more) | ((ints)most & ~more));
        where = ((lanes + i) & more) | (where & ~more);
    }
    int best = where[0];
    for (int lane = 1; lane < LANES; lane++)
        if (most[lane] > logits[best] || (most[lane] == logits[best] && where[lane] < best)) best = where[lane];
    for (; i < width; i++)
        if (logits[i] > logits[best]) best = i;
    const float from = logits[best];
    for (i = 0; i + LANES <= width; i += LANES) sums += exponential(load(logits + i) - from);
    float whole = sum(sums);
    for (; i < width; i++) whole += expf(logits[i] - from);
    call->best[place] = best;
    call->log_total[place] = from + logf(whole);
}

/* ------------------------------------------------------------------ threads */

#define MOST_OPERATIONS 8192
#define MOST_TASKS (1 << 24)
#define LOOKS 2000 /* before the caller sleeps, some 20 ns each: threads finish shortly after each other */
#define IDLE_LOOKS 5000

/* The caller goes through the operations, and whoever is there helps with the tasks of the present one. It waits for
 * tasks that another thread has taken, never for a thread: where a core is somebody else's for some milliseconds (a
 * browser's that draws, say), the caller goes on alone. */
static struct {
    pthread_mutex_t one_call, sleep;
    pthread_cond_t calls, finished;
    pid_t process;
    int threads;
    const Call *call;           /* does not change while a task of it is taken and not done */
    atomic_uint_least64_t open; /* operation << 48 | its tasks << 24 | the first that nobody has taken */
    atomic_int done;            /* tasks of the present operation */
    atomic_int called, idle, waits;
} team = {.one_call = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER,
          .calls = PTHREAD_COND_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER};

static int operation_of(uint64_t open) { return (int)(open >> 48); }
static int tasks_open(uint64_t open) { return (int)(open >> 24 & (MOST_TASKS - 1)); }
static int task_of(uint64_t open) { return (int)(open & (MOST_TASKS - 1)); }
static int any_left(uint64_t open) { return task_of(open) < tasks_open(open); }

static void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int tasks_of(const Call *call, const Operation *op) {
    const int tokens = op->wanted ? call->wanted_count : call->tokens;
    if (op->kind == ATTEND) return call->span_count * call->kv_heads;
    if (op->kind != LINEAR) return tokens;
    return (op->rows_out + BLOCKS * LANES - 1) / (BLOCKS * LANES) * ((tokens + CHUNK - 1) / CHUNK);
}

static void carry_out(const Call *call, const Operation *op, int task) {
    switch (op->kind) {
        case EMBED: embed(call, op, task); break;
        case NORM: norm_token(call, op, task); break;
        case LINEAR: linear(call, op, task); break;
        case KEEP: keep(call, op, task); break;
        case TOTAL: total(call, task); break;
        default: attend(call, op, task);
    }
}

/* Take a task of what is open; it says itself of which operation it is. */
static int take(uint64_t *open) {
    if (!any_left(atomic_load(&team.open))) return 0;
    *open = atomic_fetch_add(&team.open, 1);
    return any_left(*open);
}

static void *help(void *argument) {
    int called = (int)(intptr_t)argument;
    for (int looks = IDLE_LOOKS;;) {
        uint64_t open;
        if (take(&open)) {
            const Call *call = team.call;
            carry_out(call, call->list + operation_of(open), task_of(open));
            /* once the last task is done, the call may be gone */
            if (atomic_fetch_add(&team.done, 1) + 1 == tasks_open(open) && atomic_load(&team.waits)) {
                pthread_mutex_lock(&team.sleep);
                pthread_cond_signal(&team.finished);
                pthread_mutex_unlock(&team.sleep);
            }
            looks = IDLE_LOOKS;
        } else if (looks--) {
            rest();
        } else {
            pthread_mutex_lock(&team.sleep);
            atomic_fetch_add(&team.idle, 1);
            while (atomic_load(&team.called) == called && !any_left(atomic_load(&team.open)))
                pthread_cond_wait(&team.calls, &team.sleep);
            atomic_fetch_sub(&team.idle, 1);
            called = atomic_load(&team.called);
            pthread_mutex_unlock(&team.sleep);
            looks = IDLE_LOOKS;
        }
    }
    return 0;
}

static void wake_helpers(void) {
    if (!atomic_load(&team.idle)) return;
    pthread_mutex_lock(&team.sleep);
    pthread_cond_broadcast(&team.calls);
    pthread_mutex_unlock(&team.sleep);
}

/* Until all tasks are done. The caller looks for a while and then sleeps: on a busy machine whoever has the last task
 * gets its processor, instead of what is left of a turn on a shared one. */
static void await_done(int tasks) {
    for (int looks = LOOKS; looks && atomic_load(&team.done) < tasks; looks--) rest();
    if (atomic_load(&team.done) == tasks) return;
    pthread_mutex_lock(&team.sleep);
    atomic_store(&team.waits, 1);
    while (atomic_load(&team.done) < tasks) pthread_cond_wait(&team.finished, &team.sleep);
    atomic_store(&team.waits, 0);
    pthread_mutex_unlock(&team.sleep);
}

static void share(const Call *call, int operation, int tasks) {
    const Operation *op = call->list + operation;
    int done = 0;
    uint64_t open;
    atomic_store(&team.done, 0);
    atomic_store(&team.open, (uint64_t)operation << 48 | (uint64_t)tasks << 24);
    wake_helpers();
    for (; take(&open); done++) carry_out(call, op, task_of(open));
    if (atomic_fetch_add(&team.done, done) + done < tasks) await_done(tasks);
}

static void start_helpers(int count) {
    team.process = getpid();
    team.threads = 1;
    team.sleep = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; /* those of a parent may have been in use when it forked */
    team.calls = team.finished = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    atomic_store(&team.open, 0);
    atomic_store(&team.idle, 0);
    atomic_store(&team.waits, 0);
    for (; team.threads < count; team.threads++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, help, (void *)(intptr_t)atomic_load(&team.called))) break;
        pthread_detach(thread);
    }
}

/* Carry out a call's operations with so many threads, this one among them, or with fewer where no more can be
 * started. Returns 0; 1: too many operations. Calls from several threads wait for each other. A process keeps the team it began with. */
int limpid_run(const Call *call, int threads) {
    if (call->operations > MOST_OPERATIONS) return 1;
    pthread_mutex_lock(&team.one_call);
    if (team.process != getpid()) start_helpers(threads); /* the first call, or the first one after a fork, which leaves threads behind */
    team.call = call;
    atomic_fetch_add(&team.called, 1);
    wake_helpers();
    for (int i = 0; i < call->operations; i++) {
        const int tasks = tasks_of(call, call->list + i);
        if (team.threads > 1 && tasks > 1 && tasks < MOST_TASKS / 2) share(call, i, tasks);
        else
            for (int task = 0; task < tasks; task++) carry_out(call, call->list + i, task);
    }
    pthread_mutex_unlock(&team.one_call);
    return 0;
}
