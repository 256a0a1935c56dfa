/*
 * The cases of a server that lies, for fault_STORE_lies.c, which includes servers/STORE_lies.h before: its lies are wrong_types
 * (well formed, but of another command), broken_replies and endless_replies.
 */
#ifndef FAULTS_LYING_H
#define FAULTS_LYING_H

#include "stage.h"

static const kivi_status lied_to[] = {KIVI_CORRUPT, KIVI_UNCERTAIN, KIVI_UNAVAILABLE, KIVI_TIMEOUT, 0};

/* Now and then, so that lies meet logins as well as reads and writes. */
static void lie_often(stage *s, const lies *told)
{
    for (int i = 0; load_count(s->l, KIVI_CORRUPT) < 100 || load_count(s->l, KIVI_UNCERTAIN) < 20; i++) {
        CHECK(i < 1000);
        proxy_lie(s->p, told);
        pause_ms(20);
        proxy_set(s->p, PROXY_PASS);
        pause_ms(20);
    }
}

static void answer_wrong_types(stage *s)
{
    lie_often(s, &wrong_types);
}

static const fault wrong_answers = {"answers of the wrong type", .proxy = true, .timeout_ms = 2000,
                                    .allowed = lied_to, .strike = answer_wrong_types};
static void answer_broken(stage *s)
{
    lie_often(s, &broken_replies);
}

static const fault broken_answers = {"broken answers", .proxy = true, .timeout_ms = 2000,
                                     .allowed = lied_to, .strike = answer_broken};
/* Answers that never end hold nobody longer than a silent server would. */
static void answer_endlessly(stage *s)
{
    stage_stop_answers(s, &endless_replies, 2000);
}

static const fault endless_answers = {"answers without an end", .proxy = true, .timeout_ms = 500,
                                      .allowed = lied_to, .strike = answer_endlessly};

#define LYING(suite, kind)             \
    FAULT(suite, kind, wrong_answers)  \
    FAULT(suite, kind, broken_answers) \
    FAULT(suite, kind, endless_answers)

#endif
