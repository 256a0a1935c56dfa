/* Buffers, interrupts and clocks. */
#include <criterion/criterion.h>

#include "core/base/base.h"

#include <pthread.h>
#include <time.h>

static void expect_text(const kivi_buffer *buffer, const char *text)
{
    cr_assert_eq(buffer->size, strlen(text));
    cr_expect_arr_eq(buffer->data, text, buffer->size);
}

Test(buffer, appends_and_assigns)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_append(&buffer, kivi_str("one ")), KIVI_OK);
    cr_assert_eq(kivi_buffer_append(&buffer, kivi_str("two")), KIVI_OK);
    expect_text(&buffer, "one two");
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_str("three")), KIVI_OK);
    expect_text(&buffer, "three");
    kivi_buffer_free(&buffer);
    cr_expect_null(buffer.data);
    cr_expect_eq(buffer.size + buffer.capacity, 0);
    cr_assert_eq(kivi_buffer_append(&buffer, kivi_str("again")), KIVI_OK);
    expect_text(&buffer, "again");
    kivi_buffer_free(&buffer);
}

Test(buffer, empty_bytes_are_stored_too)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_bytes(NULL, 0)), KIVI_OK);
    cr_expect_eq(buffer.size, 0);
    cr_expect_not_null(buffer.data, "nothing and an empty value look the same");
    kivi_buffer_free(&buffer);
    cr_assert_eq(kivi_buffer_append(&buffer, kivi_bytes(NULL, 0)), KIVI_OK);
    cr_expect_not_null(buffer.data);
    kivi_buffer_free(&buffer);
}

Test(buffer, grows_by_half_and_keeps_contents)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    size_t moves = 0, last = 0;
    for (int i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)i;
        cr_assert_eq(kivi_buffer_append(&buffer, kivi_bytes(&byte, 1)), KIVI_OK);
        if (buffer.capacity != last) {
            cr_assert(buffer.capacity >= last + last / 2);
            last = buffer.capacity;
            moves++;
        }
    }
    cr_expect(moves < 25, "%zu moves", moves);
    for (size_t i = 0; i < buffer.size; i++)
        cr_assert_eq(buffer.data[i], (uint8_t)i);
    kivi_buffer_free(&buffer);
}

Test(buffer, reserve_keeps_contents_and_never_shrinks)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_str("kept")), KIVI_OK);
    cr_assert_eq(kivi_buffer_reserve(&buffer, 5000), KIVI_OK);
    cr_expect(buffer.capacity >= 5000);
    expect_text(&buffer, "kept");
    size_t capacity = buffer.capacity;
    cr_assert_eq(kivi_buffer_reserve(&buffer, 1), KIVI_OK);
    cr_expect_eq(buffer.capacity, capacity);
    kivi_buffer_free(&buffer);
}

Test(buffer, takes_bytes_of_its_own)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_str("0123456789")), KIVI_OK);
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_bytes(buffer.data + 2, 6)), KIVI_OK);
    expect_text(&buffer, "234567");
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_buffer_slice(&buffer)), KIVI_OK);
    expect_text(&buffer, "234567");
    kivi_buffer_free(&buffer);
}

Test(buffer, sizes_that_wrap_are_refused)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_assign(&buffer, kivi_str("kept")), KIVI_OK);
    cr_expect_eq(kivi_buffer_reserve(&buffer, SIZE_MAX), KIVI_NO_MEMORY);
    cr_expect_eq(kivi_buffer_reserve(&buffer, (size_t)PTRDIFF_MAX + 1), KIVI_NO_MEMORY);
    cr_expect_eq(kivi_buffer_append(&buffer, kivi_bytes("x", SIZE_MAX - 2)), KIVI_NO_MEMORY);
    expect_text(&buffer, "kept");
    cr_expect_eq(kivi_buffer_assign(&buffer, kivi_bytes("x", SIZE_MAX)), KIVI_NO_MEMORY);
    cr_expect_eq(buffer.size, 0, "a failed call leaves contents");
    kivi_buffer_free(&buffer);
}

Test(interrupt, is_raised_until_cleared)
{
    kivi_interrupt *interrupt = kivi_interrupt_new();
    cr_assert_not_null(interrupt);
    cr_expect_not(kvi_interrupt_is_raised(interrupt));
    kivi_interrupt_raise(interrupt);
    kivi_interrupt_raise(interrupt);
    cr_expect(kvi_interrupt_is_raised(interrupt));
    kivi_interrupt_clear(interrupt);
    cr_expect_not(kvi_interrupt_is_raised(interrupt));
    kivi_interrupt_free(interrupt);
    kivi_interrupt_free(NULL);
}

static void *raise_it(void *interrupt)
{
    kivi_interrupt_raise(interrupt);
    return NULL;
}

Test(interrupt, is_seen_by_another_thread, .timeout = 60)
{
    kivi_interrupt *interrupt = kivi_interrupt_new();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, raise_it, interrupt), 0);
    while (!kvi_interrupt_is_raised(interrupt))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    pthread_join(thread, NULL);
    kivi_interrupt_free(interrupt);
}

Test(clock, tells_the_time_of_day)
{
    int64_t before = (int64_t)time(NULL) * 1000;
    int64_t now = kvi_clock_ms();
    cr_expect(now >= before - 1000 && now < before + 3600000, "%lld", (long long)now);
}

static void *watch_clock(void *unused)
{
    int64_t last = 0;
    uint64_t last_ns = 0;
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        int64_t now = kvi_clock_ms();
        uint64_t now_ns = kvi_monotonic_ns();
        if (now < last || now_ns < last_ns)
            return (void *)1;
        last = now;
        last_ns = now_ns;
    }
    return NULL;
}

Test(clock, never_goes_back)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, watch_clock, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_expect_null(failed);
    }
}
