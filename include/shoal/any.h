/*
 * shoal/any.h: one dynamic value, as it goes into containers and messages and comes out of them.
 *
 *	shoal_dict_set(stock, SHOAL_ANY("bolts"), SHOAL_MAP("price", 0.25, "bins", SHOAL_LIST(7, 9)));
 *
 *	shoal_any v;
 *	if (shoal_dict_get(stock, SHOAL_ANY("bolts"), &v) == 0) {
 *		double price = shoal_any_double(shoal_any_find(&v, "price"), 0);
 *		shoal_any_clear(&v);
 *	}
 *
 * VIEWS AND OWNERS. What SHOAL_ANY, SHOAL_LIST, SHOAL_MAP and the from functions give is a view: it
 * allocates nothing, and is valid as long as what it was made from. (The items of SHOAL_LIST and
 * SHOAL_MAP live to the end of the enclosing block, in C++ to the end of the full expression.)
 * Arguments are borrowed, and copied where they are kept. An any that a call filled owns its
 * memory, one malloc, until shoal_any_clear; what at and find give of it lives as long as it does.
 * Out-parameters are overwritten, not cleared.
 *
 * NUMBERS are 64 bits, signed, or double. What is beyond INT64_MAX is -EOVERFLOW in every call that
 * takes it. In C11 `true` itself is an int, 1, also as a key: shoal_any_from_bool(true) is a bool.
 *
 * STRINGS are `count` bytes and, in an any that a call filled, a NUL behind them. They are meant to
 * be UTF-8; nobody but the printing checks it.
 *
 * MAPS have keys that are int, bool, string or bytes, as a dict's are. They keep their order; of
 * two equal keys the last one counts: copies, encodings and what is printed have it alone, while
 * containers and messages carry both as they were given them.
 *
 * OBJECTS of an arena (a queue, a list, ...) go where the others go: into containers and messages
 * of the same arena. One that a call returned is pinned in this thread's record: it stays until
 * shoal_any_clear, by any thread of the process, or this thread's end or death. What is cleared
 * later, or in a forked child, or when its arena was closed, lets go of nothing.
 *
 * LIMITS. Lists and maps within each other: 64 deep (-EINVAL); a snapshot of a container, whose
 * items may be so deep, may be one deeper: it can be copied, printed, encoded (but not decoded),
 * and be what a dict is updated from or a list extended by, but is itself no value for a container
 * or a message. A value has less than 2^32 bytes, encoded (-EMSGSIZE).
 *
 * These calls touch no shared memory but the objects' records, and wait for nobody but one who is
 * stopped while it counts or buries references, where clearing buries an object that had some. An
 * any is one thread's at a time.
 */
#ifndef SHOAL_ANY_H
#define SHOAL_ANY_H
#include <shoal/base.h>
#ifdef __cplusplus
#include <initializer_list>
#endif
SHOAL_BEGIN_

enum {
	SHOAL_ANY_NIL,
	SHOAL_ANY_BOOL,
	SHOAL_ANY_INT,
	SHOAL_ANY_DOUBLE,
	SHOAL_ANY_STRING,
	SHOAL_ANY_BYTES,
	SHOAL_ANY_LIST,
	SHOAL_ANY_MAP,
	SHOAL_ANY_OBJECT
};

/* All zero is nil. Kind, as and count may be read; the pairs of a map are items[2 i], [2 i + 1]. */
struct shoal_any {
	uint32_t kind;       /* SHOAL_ANY_… */
	uint32_t internal_;  /* owned or view; kind of object */
	union {
		bool boolean;
		int64_t integer;
		double real;
		const char *string;
		const void *bytes;
		const shoal_any *items;
		void *object;
	} as;
	/* bytes of a string or of bytes; items of a list; pairs of a map; else not the user's */
	size_t count;
};

/* ---- views ---- */

shoal_any shoal_any_from_bool(bool);
shoal_any shoal_any_from_int(long long);
/* Beyond INT64_MAX it is none: each call that takes it gives -EOVERFLOW. */
shoal_any shoal_any_from_uint(unsigned long long);
shoal_any shoal_any_from_double(double);
/*
 * To its NUL. NULL is nil, here and below, but for no items: an empty list or map. SHOAL_ANY(NULL)
 * in C++ alone, in C it is SHOAL_NIL.
 */
shoal_any shoal_any_from_string(const char *);
shoal_any shoal_any_from_bytes(const void *, size_t bytes);
/* So many items; so many pairs, each key before its value. */
shoal_any shoal_any_from_items(const shoal_any *, size_t count);
shoal_any shoal_any_from_pairs(const shoal_any *, size_t count);
shoal_any shoal_any_from_queue(shoal_queue *);
shoal_any shoal_any_from_pipe(shoal_pipe_end *);
shoal_any shoal_any_from_value(shoal_value *);
shoal_any shoal_any_from_array(shoal_array *);
shoal_any shoal_any_from_list(shoal_list *);
shoal_any shoal_any_from_dict(shoal_dict *);
shoal_any shoal_any_from_namespace(shoal_namespace *);
static inline shoal_any shoal_any_self(shoal_any v) { return v; }

/* ---- looking ---- */

/*
 * What it is, or `otherwise` where it is nothing of that kind, or NULL. A bool counts as 0 or 1 and
 * an int as a bool, as in Python and C; an int as a double; a double never as an int.
 */
int64_t     shoal_any_int(const shoal_any *, int64_t otherwise);
double      shoal_any_double(const shoal_any *, double otherwise);
bool        shoal_any_bool(const shoal_any *, bool otherwise);
const char *shoal_any_string(const shoal_any *, const char *otherwise);
/* Valid as long as the any is pinned; NULL where it is something else. */
shoal_list *shoal_any_to_list(const shoal_any *);
shoal_dict *shoal_any_to_dict(const shoal_any *);
shoal_queue *shoal_any_to_queue(const shoal_any *);
/* An item of a list; the value of a string key in a map. NULL where there is none. */
const shoal_any *shoal_any_at(const shoal_any *, size_t index);
const shoal_any *shoal_any_find(const shoal_any *, const char *key);
/*
 * Python's ==: numbers by their value (true == 1 == 1.0, NaN is unequal to itself), strings and
 * bytes by theirs and never equal to one another, lists item by item, maps whatever their order,
 * objects by being the same one. Keys of maps, as of dicts, are equal in kind and value only.
 */
bool        shoal_any_equal(const shoal_any *, const shoal_any *);

/* ---- owning ---- */

/*
 * A copy that owns its memory, in one malloc; nil where it fails. 0, -ENOMEM, -EINVAL (too deep),
 * -EOVERFLOW.
 */
int         shoal_any_copy(const shoal_any *, shoal_any *out);
/* Frees what it owns; nil then. In any state, twice is fine. */
void        shoal_any_clear(shoal_any *);

/* ---- as text and as bytes ---- */

/*
 * As JSON, on one line, in UTF-8, whatever the locale: 0, -EINVAL (too deep), -EIO; -ENOMEM, where
 * a key comes twice. A double reads back as itself, and so does an int beyond INT64_MAX; NaN is
 * null, an infinity 1e999; bytes are {"$bytes": "base64"}, an object is {"$queue": "name"}, without
 * a name, or destroyed, the number of its reference; keys are strings; what is no UTF-8 is U+FFFD,
 * byte by byte.
 */
int         shoal_any_print(const shoal_any *, FILE *);

/*
 * As CBOR (RFC 8949) for files and wires: the shortest forms, maps in their own order. How long it
 * is. -EMSGSIZE: longer than the buffer, shoal_needed() tells how long; -EINVAL: too deep, or an
 * object, which only its arena's messages and containers can name; -EOVERFLOW; -ENOMEM, where a key
 * comes twice.
 */
ssize_t     shoal_any_encode(const shoal_any *, void *buffer, size_t bytes);
/*
 * From one item of CBOR, of any origin; *out owns its memory. undefined is nil, tags are passed
 * over. -EINVAL: not well-formed, or something behind it, nested more than 64 deep, a key twice or
 * of a kind that is none, a simple value. -EOVERFLOW: an int that is no int64, a bignum. -ENOMEM.
 * It never has more than 34 times the bytes that are there allocated. Where it fails *out is nil.
 */
int         shoal_any_decode(const void *cbor, size_t bytes, shoal_any *out);

SHOAL_END_

/* ---- views by name: 32 items at most, 16 pairs; more by shoal_any_from_items, _from_pairs ---- */

/*
 * In C each SHOAL_LIST or SHOAL_MAP within others takes the compiler several times as long: beyond
 * six, a second and then minutes. The inner ones may be variables. And in C a bit-field has a type
 * of its own, which SHOAL_ANY does not know: SHOAL_ANY((int)s.field).
 */

#define SHOAL_E1_(m, a) m(a)
#define SHOAL_E2_(m, a, ...) m(a), SHOAL_E1_(m, __VA_ARGS__)
#define SHOAL_E3_(m, a, ...) m(a), SHOAL_E2_(m, __VA_ARGS__)
#define SHOAL_E4_(m, a, ...) m(a), SHOAL_E3_(m, __VA_ARGS__)
#define SHOAL_E5_(m, a, ...) m(a), SHOAL_E4_(m, __VA_ARGS__)
#define SHOAL_E6_(m, a, ...) m(a), SHOAL_E5_(m, __VA_ARGS__)
#define SHOAL_E7_(m, a, ...) m(a), SHOAL_E6_(m, __VA_ARGS__)
#define SHOAL_E8_(m, a, ...) m(a), SHOAL_E7_(m, __VA_ARGS__)
#define SHOAL_E9_(m, a, ...) m(a), SHOAL_E8_(m, __VA_ARGS__)
#define SHOAL_E10_(m, a, ...) m(a), SHOAL_E9_(m, __VA_ARGS__)
#define SHOAL_E11_(m, a, ...) m(a), SHOAL_E10_(m, __VA_ARGS__)
#define SHOAL_E12_(m, a, ...) m(a), SHOAL_E11_(m, __VA_ARGS__)
#define SHOAL_E13_(m, a, ...) m(a), SHOAL_E12_(m, __VA_ARGS__)
#define SHOAL_E14_(m, a, ...) m(a), SHOAL_E13_(m, __VA_ARGS__)
#define SHOAL_E15_(m, a, ...) m(a), SHOAL_E14_(m, __VA_ARGS__)
#define SHOAL_E16_(m, a, ...) m(a), SHOAL_E15_(m, __VA_ARGS__)
#define SHOAL_E17_(m, a, ...) m(a), SHOAL_E16_(m, __VA_ARGS__)
#define SHOAL_E18_(m, a, ...) m(a), SHOAL_E17_(m, __VA_ARGS__)
#define SHOAL_E19_(m, a, ...) m(a), SHOAL_E18_(m, __VA_ARGS__)
#define SHOAL_E20_(m, a, ...) m(a), SHOAL_E19_(m, __VA_ARGS__)
#define SHOAL_E21_(m, a, ...) m(a), SHOAL_E20_(m, __VA_ARGS__)
#define SHOAL_E22_(m, a, ...) m(a), SHOAL_E21_(m, __VA_ARGS__)
#define SHOAL_E23_(m, a, ...) m(a), SHOAL_E22_(m, __VA_ARGS__)
#define SHOAL_E24_(m, a, ...) m(a), SHOAL_E23_(m, __VA_ARGS__)
#define SHOAL_E25_(m, a, ...) m(a), SHOAL_E24_(m, __VA_ARGS__)
#define SHOAL_E26_(m, a, ...) m(a), SHOAL_E25_(m, __VA_ARGS__)
#define SHOAL_E27_(m, a, ...) m(a), SHOAL_E26_(m, __VA_ARGS__)
#define SHOAL_E28_(m, a, ...) m(a), SHOAL_E27_(m, __VA_ARGS__)
#define SHOAL_E29_(m, a, ...) m(a), SHOAL_E28_(m, __VA_ARGS__)
#define SHOAL_E30_(m, a, ...) m(a), SHOAL_E29_(m, __VA_ARGS__)
#define SHOAL_E31_(m, a, ...) m(a), SHOAL_E30_(m, __VA_ARGS__)
#define SHOAL_E32_(m, a, ...) m(a), SHOAL_E31_(m, __VA_ARGS__)
/* From 33 items on, what the compiler finds undeclared says why. */
#define SHOAL_EX_(...) SHOAL_LIST_has_up_to_32_items_SHOAL_MAP_16_pairs
#define SHOAL_PICK_( \
	p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20, \
	p21, p22, p23, p24, p25, p26, p27, p28, p29, p30, p31, p32, p33, p34, p35, p36, p37, p38, p39, \
	p40, p41, p42, p43, p44, p45, p46, p47, p48, p49, p50, p51, p52, p53, p54, p55, p56, p57, p58, \
	p59, p60, p61, p62, p63, p64, n, ...) n
#define SHOAL_HOW_MANY_(...) SHOAL_PICK_( \
	__VA_ARGS__, 64, 63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, \
	44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, \
	21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define SHOAL_EACH_(m, ...) SHOAL_PICK_( \
	__VA_ARGS__, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, \
	SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, \
	SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, \
	SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, SHOAL_EX_, \
	SHOAL_EX_, SHOAL_E32_, SHOAL_E31_, SHOAL_E30_, SHOAL_E29_, SHOAL_E28_, SHOAL_E27_, SHOAL_E26_, \
	SHOAL_E25_, SHOAL_E24_, SHOAL_E23_, SHOAL_E22_, SHOAL_E21_, SHOAL_E20_, SHOAL_E19_, \
	SHOAL_E18_, SHOAL_E17_, SHOAL_E16_, SHOAL_E15_, SHOAL_E14_, SHOAL_E13_, SHOAL_E12_, \
	SHOAL_E11_, SHOAL_E10_, SHOAL_E9_, SHOAL_E8_, SHOAL_E7_, SHOAL_E6_, SHOAL_E5_, SHOAL_E4_, \
	SHOAL_E3_, SHOAL_E2_, SHOAL_E1_, 0)(m, __VA_ARGS__)

#ifndef __cplusplus
#define SHOAL_NIL ((shoal_any){ 0 })
#define SHOAL_ANY(x) \
	_Generic((x), \
		bool: shoal_any_from_bool, \
		char: shoal_any_from_int, \
		signed char: shoal_any_from_int, \
		unsigned char: shoal_any_from_int, \
		short: shoal_any_from_int, \
		unsigned short: shoal_any_from_int, \
		int: shoal_any_from_int, \
		unsigned: shoal_any_from_int, \
		long: shoal_any_from_int, \
		long long: shoal_any_from_int, \
		unsigned long: shoal_any_from_uint, \
		unsigned long long: shoal_any_from_uint, \
		float: shoal_any_from_double, \
		double: shoal_any_from_double, \
		char *: shoal_any_from_string, \
		const char *: shoal_any_from_string, \
		shoal_queue *: shoal_any_from_queue, \
		shoal_pipe_end *: shoal_any_from_pipe, \
		shoal_value *: shoal_any_from_value, \
		shoal_array *: shoal_any_from_array, \
		shoal_list *: shoal_any_from_list, \
		shoal_dict *: shoal_any_from_dict, \
		shoal_namespace *: shoal_any_from_namespace, \
		shoal_any: shoal_any_self)(x)
#define SHOAL_ITEMS_(...) ((const shoal_any[]){ SHOAL_EACH_(SHOAL_ANY, __VA_ARGS__) })
#define SHOAL_COUNT_(...) (sizeof SHOAL_ITEMS_(__VA_ARGS__) / sizeof(shoal_any))
#define SHOAL_LIST(...) \
	shoal_any_from_items(SHOAL_ITEMS_(__VA_ARGS__), SHOAL_COUNT_(__VA_ARGS__))
/* How many pairs; a key without a value does not compile. */
#define SHOAL_PAIRS_(n) \
	(sizeof(struct { \
		_Static_assert(n % 2 == 0, "SHOAL_MAP: the last key has no value"); \
		char pairs_[n / 2]; \
	}))
#define SHOAL_MAP(...) \
	shoal_any_from_pairs(SHOAL_ITEMS_(__VA_ARGS__), \
	                     SHOAL_PAIRS_(SHOAL_HOW_MANY_(__VA_ARGS__)))
#else
#define SHOAL_NIL (shoal_any{})
#define SHOAL_ANY(x) shoal_any_from(x)
#define SHOAL_LIST(...) \
	shoal_any_from_items_(std::initializer_list<shoal_any>{ SHOAL_EACH_(SHOAL_ANY, __VA_ARGS__) })
#define SHOAL_MAP(...) \
	shoal_any_from_pairs_<SHOAL_HOW_MANY_(__VA_ARGS__)>( \
		std::initializer_list<shoal_any>{ SHOAL_EACH_(SHOAL_ANY, __VA_ARGS__) })

inline shoal_any shoal_any_from(bool v) { return shoal_any_from_bool(v); }
#define SHOAL_F_(T, f) \
	inline shoal_any shoal_any_from(T v) { return f(v); }
SHOAL_F_(char, shoal_any_from_int)
SHOAL_F_(signed char, shoal_any_from_int)
SHOAL_F_(unsigned char, shoal_any_from_int)
SHOAL_F_(short, shoal_any_from_int)
SHOAL_F_(unsigned short, shoal_any_from_int)
SHOAL_F_(int, shoal_any_from_int)
SHOAL_F_(unsigned, shoal_any_from_int)
SHOAL_F_(long, shoal_any_from_int)
SHOAL_F_(long long, shoal_any_from_int)
SHOAL_F_(unsigned long, shoal_any_from_uint)
SHOAL_F_(unsigned long long, shoal_any_from_uint)
SHOAL_F_(float, shoal_any_from_double)
SHOAL_F_(double, shoal_any_from_double)
SHOAL_F_(const char *, shoal_any_from_string)
SHOAL_F_(shoal_queue *, shoal_any_from_queue)
SHOAL_F_(shoal_pipe_end *, shoal_any_from_pipe)
SHOAL_F_(shoal_value *, shoal_any_from_value)
SHOAL_F_(shoal_array *, shoal_any_from_array)
SHOAL_F_(shoal_list *, shoal_any_from_list)
SHOAL_F_(shoal_dict *, shoal_any_from_dict)
SHOAL_F_(shoal_namespace *, shoal_any_from_namespace)
SHOAL_F_(shoal_any, shoal_any_self)
#undef SHOAL_F_
inline shoal_any shoal_any_from(decltype(nullptr)) { return shoal_any{}; }
/* Any other pointer would be a bool. */
shoal_any shoal_any_from(const volatile void *) = delete;
template <class Result, class... Args> shoal_any shoal_any_from(Result (*)(Args...)) = delete;
template <class Result, class... Args> shoal_any shoal_any_from(Result (*)(Args..., ...)) = delete;
template <class Class, class Member> shoal_any shoal_any_from(Member Class::*) = delete;
inline shoal_any
shoal_any_from_items_(std::initializer_list<shoal_any> l)
{
	return shoal_any_from_items(l.begin(), l.size());
}
template <unsigned n> inline shoal_any
shoal_any_from_pairs_(std::initializer_list<shoal_any> l)
{
	static_assert(n % 2 == 0, "SHOAL_MAP: the last key has no value");
	return shoal_any_from_pairs(l.begin(), l.size() / 2);
}
#endif
#endif
