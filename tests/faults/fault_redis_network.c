/* A network that cuts, delays, dribbles and swallows, and a server that lies, under load. */
#include "common/redis.h"

TestSuite(fault_redis_network, .init = case_begin, .fini = case_end, .timeout = 300);

static const kivi_status cut_off[] = {KIVI_UNCERTAIN, KIVI_UNAVAILABLE, KIVI_TIMEOUT, 0};

static void cut(stage *s)
{
    proxy_set(s->p, PROXY_CUT);
    load_sees(s->l, KIVI_UNCERTAIN, 100);
    proxy_set(s->p, PROXY_PASS);
}

static const fault cuts = {"answers cut off",  .proxy = true,      .increments = 1,
                           .timeout_ms = 2000, .allowed = cut_off, .strike = cut};
FAULT(fault_redis_network, cuts)

static void delay(stage *s)
{
    proxy_set(s->p, PROXY_DELAY);
    load_flows(s->l, 500);
    proxy_set(s->p, PROXY_PASS);
    CHECK(proxy_spoiled(s->p) > 4);
}

/* Slow is not broken: no call fails. */
static const fault delays = {"answers delayed", .proxy = true, .timeout_ms = 30000, .strike = delay};
FAULT(fault_redis_network, delays)

static void dribble(stage *s)
{
    proxy_set(s->p, PROXY_DRIBBLE);
    load_flows(s->l, 1000);
    proxy_set(s->p, PROXY_PASS);
    CHECK(proxy_spoiled(s->p) > 4);
}

static const fault dribbles = {"answers byte by byte", .proxy = true, .increments = 1,
                               .timeout_ms = 30000, .strike = dribble};
FAULT(fault_redis_network, dribbles)

/*
 * What is in flight when the answers stop is cut off, once for each connection: one that is made meanwhile gets no
 * answer to its login, and nothing of a write leaves on it. So they stop again and again.
 */
static void stop_answers(stage *s, proxy_mode how, int64_t ms)
{
    for (int i = 0; load_count(s->l, KIVI_UNCERTAIN) < 20; i++) {
        CHECK_SAYING(i < 30, "%lu UNCERTAIN after 30 times", load_count(s->l, KIVI_UNCERTAIN));
        proxy_set(s->p, how);
        pause_ms(ms);
        proxy_set(s->p, PROXY_PASS);
        load_flows(s->l, 50);
    }
}

static void drop(stage *s)
{
    stop_answers(s, PROXY_DROP, 1200);
}

/* Silence: calls keep their deadlines, and connections that owe an answer are given up. */
static const fault drops = {"answers swallowed", .options = "&io_timeout=400ms",
                            .proxy = true,       .increments = 1,
                            .timeout_ms = 300,   .allowed = cut_off,
                            .strike = drop};
FAULT(fault_redis_network, drops)

/* ---- lies ---- */

static const kivi_status lied_to[] = {KIVI_CORRUPT, KIVI_UNCERTAIN, KIVI_UNAVAILABLE, KIVI_TIMEOUT, 0};

/* Now and then, so that lies meet logins as well as reads and writes. */
static void lie(stage *s, proxy_mode mode)
{
    for (int i = 0; load_count(s->l, KIVI_CORRUPT) < 100 || load_count(s->l, KIVI_UNCERTAIN) < 20; i++) {
        CHECK(i < 1000);
        proxy_set(s->p, mode);
        pause_ms(20);
        proxy_set(s->p, PROXY_PASS);
        pause_ms(20);
    }
}

static void answer_wrong_types(stage *s)
{
    lie(s, PROXY_WRONG_TYPE);
}

static const fault wrong_types = {"answers of the wrong type", .proxy = true, .timeout_ms = 2000,
                                  .allowed = lied_to, .strike = answer_wrong_types};
FAULT(fault_redis_network, wrong_types)

static void answer_broken(stage *s)
{
    lie(s, PROXY_BROKEN);
}

static const fault broken_answers = {"broken answers", .proxy = true, .timeout_ms = 2000,
                                     .allowed = lied_to, .strike = answer_broken};
FAULT(fault_redis_network, broken_answers)

/* Answers that never end hold nobody longer than a silent server would. */
static void answer_endlessly(stage *s)
{
    stop_answers(s, PROXY_ENDLESS, 2000);
}

static const fault endless_answers = {"answers without an end", .proxy = true, .timeout_ms = 500,
                                      .allowed = lied_to, .strike = answer_endlessly};
FAULT(fault_redis_network, endless_answers)
