/* What the fault tests share: a directory for each case, stores in it, expectations that hold in any process. */
#ifndef FAULTS_H
#define FAULTS_H

#include <criterion/criterion.h>
#include <kivi/kivi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

/* The directory of the case; made by case_begin, removed by case_end: the .init and .fini of every suite. */
extern char folder[256];
void case_begin(void);
void case_end(void);

/* ---- expectations: they also hold in threads and in children, which end at once ---- */

_Noreturn void broken(const char *file, int line, const char *what, const char *format, ...)
    KIVI_PRINTF(4, 5);
#define CHECK_SAYING(condition, ...) \
    ((condition) ? (void)0 : broken(__FILE__, __LINE__, #condition, __VA_ARGS__))
#define CHECK(condition) CHECK_SAYING(condition, "it is not so")
#define CHECK_NUMBER(got, wanted) \
    check_number(__FILE__, __LINE__, #got, (long long)(got), (long long)(wanted))
void check_number(const char *file, int line, const char *what, long long got, long long wanted);

/* Place for the error of a call that is judged by the macros below, one for each thread. */
#define E (error_place())
kivi_error **error_place(void);
void judge(const char *file, int line, const char *call, kivi_status got, kivi_status wanted,
           const char *part);
/* The call answers so, with an error exactly when that is a failure. */
#define ANSWERS(wanted, call) judge(__FILE__, __LINE__, #call, (call), (wanted), NULL)
#define OK(call) ANSWERS(KIVI_OK, call)
/* It is refused in words that have `part`. */
#define REFUSED(wanted, part, call) judge(__FILE__, __LINE__, #call, (call), (wanted), (part))

/* ---- stores, keys and values: raw values, so an integer is its decimal digits ---- */

/* Opens a URL; a text of printf in which the directory of the case often comes first. */
kivi_store *open_store(const char *format, ...) KIVI_PRINTF(1, 2);
/* lmdb:DIRECTORY/data?codec=raw and more options ("" or "&name=value..."). */
kivi_store *open_lmdb(const char *options);

typedef struct text {
    char bytes[160];
} text;
kivi_slice print(text *place, const char *format, ...) KIVI_PRINTF(2, 3);

void put(kivi_store *store, const char *key, const char *value);
/* What a key holds; NULL: it is missing. */
void expect_holds(kivi_store *store, const char *key, const char *value);
void expect_slice(kivi_store *store, kivi_slice key, kivi_slice value);
/* The integer that a key holds, or `missing`. */
long long number_at(kivi_store *store, const char *key, long long missing);
/* A value of `size` bytes that only `seed` makes, in memory to free. */
uint8_t *made_value(uint64_t seed, size_t size);
bool is_made_value(kivi_slice value, uint64_t seed, size_t size);
/* Walks everything, reads each pair again, and compares with the count: how many there are. */
uint64_t expect_sound(kivi_store *store);

kivi_call within_ms(int64_t ms);

/* ---- time ---- */

uint64_t now_ns(void);
void pause_ms(uint64_t ms);
/* Prints by how much a call overran its deadline and fails only beyond 5 s. */
void tell_excess(const char *what, uint64_t began, int64_t timeout_ms);
/* Numbers that look random and come from the seed alone. */
uint64_t next_random(uint64_t *seed);

/* ---- threads ---- */

typedef struct worker {
    size_t index, count;
    void *shared;
} worker;
void together(size_t count, void (*work)(worker *w), void *shared);

/* ---- children ---- */

/* A process of the same program. It reads what is written to `to` and writes what is read from `from`. */
typedef struct child {
    pid_t pid;
    int to, from;
} child;
/* When `work` returns, the child ends well. `in` and `out` are its ends of the pipes. */
child child_start(void (*work)(int in, int out, void *user), void *user);
/* Bytes for a child or from one: all of them, within 60 s. */
void tell(int fd, const void *bytes, size_t size);
void hear(int fd, void *bytes, size_t size);
/* One byte, for "go on" and "done". */
void tell_on(int fd);
void hear_on(int fd);
/* Whether something can be heard within so long; also at the end of the pipe. */
bool can_hear(int fd, int timeout_ms);
/* Waits until the child ends, at most `seconds`: its status of waitpid, -1 when it had to be killed. */
int child_wait(child *c, unsigned seconds);
/* It ends by itself, and well. */
void child_ends(child *c);
void child_kill(child *c);
/* KIVI_KILL_ROUNDS, 20 where it is not set: how often a test kills. */
unsigned kill_rounds(void);

/* ---- file systems: the mounts are seen by this process alone, and go with it ---- */

/* A tmpfs at folder/name. */
void mount_small(const char *name, const char *size);
/* Makes what lies at folder/name read-only. */
void mount_read_only(const char *name);
void mounts_end(void);
/* A file of so many bytes, as far as there is room; answers how many it got. */
size_t fill_file(const char *path, size_t size);

#endif
