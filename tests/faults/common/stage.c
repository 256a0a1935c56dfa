/* A fault under load: what must hold whatever it is. */
#include <malloc.h>

#include "amount.h"
#include "stage.h"

static void begin(stage *s, const fault *f, load_kind kind, bool rehearsal)
{
    const load_options options = {.name = "traffic",
                                  .kind = kind,
                                  .timeout_ms = rehearsal ? 60000 : f->timeout_ms,
                                  .allowed = rehearsal ? NULL : f->allowed,
                                  .increments = f->increments,
                                  .locks = !rehearsal && s->server.kind->refusal,
                                  .rehearsal = rehearsal};
    text url;

    tally_begin(&s->sent);
    s->p = f->proxy ? proxy_start(&s->server, &s->sent) : NULL;
    s->server.kind->url(&s->server, "127.0.0.1", s->p ? proxy_port(s->p) : s->server.port,
                        f->password_in_file ? NULL : f->password, &url);
    s->store = open_store("%s%s%s%s%s%s", url.bytes, f->options ? f->options : "",
                          f->password_in_file ? "&password_file=" : "",
                          f->password_in_file ? folder : "", f->password_in_file ? "/password" : "",
                          rehearsal ? "&namespace=rehearsal" : "");
    s->l = load_start(s->store, &options);
}

void stage_compare_applied(running_server *server, const load *l)
{
    tally done;

    if (!server->kind->applied)
        return;
    tally_begin(&done);
    server->kind->applied(server, &done);
    load_compare(l, &done, TALLY_APPLIED);
    tally_end(&done);
}

/* Every acknowledged write was done once, and what was refused never, by the server's record and by what it was sent. */
static void compare(stage *s, const fault *f)
{
    stage_compare_applied(&s->server, s->l);
    if (f->proxy)
        load_compare(s->l, &s->sent, f->refuses ? TALLY_ASKED : TALLY_SENT);
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

void stage_write_password(const char *password)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof(path), "%s/password", folder);
    file = fopen(path, "w");
    CHECK(file && fprintf(file, "%s\n", password) > 0 && fclose(file) == 0);
}

void stage_stop_answers(stage *s, const lies *instead, int64_t ms)
{
    for (int i = 0; load_count(s->l, KIVI_UNCERTAIN) < 20; i++) {
        CHECK_SAYING(i < 30, "%lu UNCERTAIN after 30 times", load_count(s->l, KIVI_UNCERTAIN));
        if (instead)
            proxy_lie(s->p, instead);
        else
            proxy_set(s->p, PROXY_DROP);
        pause_ms((uint64_t)ms);
        proxy_set(s->p, PROXY_PASS);
        load_flows(s->l, 50);
    }
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

void stage_run(const fault_server *kind, const fault *f, load_kind way)
{
    stage s;
    amount before;

    memset(&s, 0, sizeof(s));
    mallopt(M_ARENA_MAX, 1); /* or what other threads hold is not counted */
    pulse_begin();
    server_start(&s.server, kind, "server", f->password, f->server);
    if (f->password_in_file)
        stage_write_password(f->password);
    rehearse(&s, f, way);
    before = amount_now();
    perform(&s, f, way);
    amount_expect(f->name, before, amount_now(), 64 * 1024);
    server_stop(&s.server);
    pulse_end();
}
