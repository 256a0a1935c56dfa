/* A fault under load: what must hold whatever it is. */
#include <malloc.h>

#include "amount.h"
#include "redis.h"

static void begin(stage *s, const fault *f, load_kind kind, bool rehearsal)
{
    const load_options options = {.name = "traffic",
                                  .kind = kind,
                                  .timeout_ms = rehearsal ? 60000 : f->timeout_ms,
                                  .allowed = rehearsal ? NULL : f->allowed,
                                  .increments = f->increments,
                                  .rehearsal = rehearsal};

    tally_begin(&s->sent);
    s->p = f->proxy ? proxy_start(&s->server, &s->sent) : NULL;
    s->store = open_store("redis://%s127.0.0.1:%d/0?codec=raw%s%s", f->login ? f->login : "",
                          s->p ? proxy_port(s->p) : s->server.port, f->options ? f->options : "",
                          rehearsal ? "&namespace=rehearsal" : "");
    s->l = load_start(s->store, &options);
}

/* Every acknowledged write was done once, and what was refused never, by the server's record and by what it was sent. */
static void compare(stage *s, const fault *f)
{
    tally done;

    tally_begin(&done);
    redis_tally(&s->server, &done);
    load_compare(s->l, &done, TALLY_APPLIED);
    if (f->proxy)
        load_compare(s->l, &s->sent, f->refuses ? TALLY_ASKED : TALLY_SENT);
    tally_end(&done);
}

static void end(stage *s, const fault *f, bool rehearsal)
{
    load_stop(s->l, rehearsal ? "rehearsal" : f->name);
    kivi_store_unref(s->store);
    if (s->p)
        proxy_stop(s->p);
    if (!rehearsal)
        compare(s, f);
    load_free(s->l);
    tally_end(&s->sent);
}

static void rehearse(stage *s, const fault *f, load_kind kind)
{
    begin(s, f, kind, true);
    load_heals(s->l);
    load_flows(s->l, 1000);
    end(s, f, true);
}

static void perform(stage *s, const fault *f, load_kind kind)
{
    begin(s, f, kind, false);
    load_flows(s->l, 500);
    f->strike(s);
    load_heals(s->l);
    if (!f->allowed)
        CHECK_NUMBER(load_failures(s->l), 0);
    end(s, f, false);
}

void stage_run(const fault *f, load_kind kind)
{
    stage s;
    amount before;

    memset(&s, 0, sizeof(s));
    mallopt(M_ARENA_MAX, 1); /* or what other threads hold is not counted */
    pulse_begin();
    redis_start(&s.server, "redis", f->server);
    if (f->prepare)
        f->prepare(&s);
    rehearse(&s, f, kind);
    before = amount_now();
    perform(&s, f, kind);
    amount_expect(f->name, before, amount_now(), 64 * 1024);
    redis_stop(&s.server);
    pulse_end();
}
