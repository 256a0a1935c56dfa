/*
 * A socket that turns readable when a queue has answers: for loops that can watch none but their own, as nginx.
 *
 *     local wake = assert(loop.wake(queue))   -- listens in a directory of its own, which nobody else may enter
 *     ...the loop connects to wake:path()...
 *     assert(wake:accept())                   -- looks who it is; the path is gone
 *     ...bytes come whenever answers begin to wait: read them all, then queue:take(f)...
 *     wake:close()
 *
 * The thread that completed a call writes the byte itself. If the loop has not read those before, one that finds no room
 * is not needed.
 */
#include "base/platform.h"
#include "kvl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char a_wake;

typedef struct wake {
    const char *kind;
    kvb_queue *queue; /* held while connected or listening; NULL: closed */
    int listener, connection;
    struct sockaddr_un address; /* its path is empty once nothing is left in the file system */
} wake;

static wake *check(lua_State *L)
{
    wake *self = kvl_object(L, 1, &a_wake);
    if (!self || !self->queue)
        luaL_argerror(L, 1, self ? "wake-up socket is closed" : "wake-up socket expected");
    return self;
}

static int push_failure(lua_State *L, const char *what)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, strerror(errno));
    return 2;
}

/* ---- telling: on any thread ---- */

static void tell(void *user)
{
    const wake *self = user;
    ssize_t sent = send(self->connection, "!", 1, MSG_DONTWAIT | KVI_NO_SIGPIPE);
    (void)sent; /* full: it has enough to read; broken: the loop closed it, and knows */
}

/* ---- listening ---- */

/* The directory that the socket's path is in, by cutting that; put together again by the caller. */
static void remove_path(wake *self)
{
    char *slash = strrchr(self->address.sun_path, '/');
    if (!slash)
        return;
    unlink(self->address.sun_path);
    *slash = '\0';
    rmdir(self->address.sun_path);
    self->address.sun_path[0] = '\0';
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void stop_listening(wake *self)
{
    close_descriptor(&self->listener);
    remove_path(self);
}

/* mkdtemp() makes it for its owner alone, and fails if the name is taken. */
static bool make_directory(wake *self)
{
    static const char tail[] = "/kivi-XXXXXX", socket_name[] = "/wake";
    char *path = self->address.sun_path;
    const char *top = getenv("TMPDIR");
    if (!top || !*top || strlen(top) + sizeof(tail) + sizeof(socket_name) > sizeof(self->address.sun_path))
        top = "/tmp";
    snprintf(path, sizeof(self->address.sun_path), "%s%s", top, tail);
    if (!mkdtemp(path)) {
        path[0] = '\0';
        return false;
    }
    strcat(path, socket_name);
    return true;
}

static bool listen_there(wake *self)
{
    self->address.sun_family = AF_UNIX;
    self->listener = kvi_socket_open(AF_UNIX);
    return self->listener >= 0 &&
           bind(self->listener, (struct sockaddr *)&self->address, sizeof(self->address)) == 0 &&
           listen(self->listener, 8) == 0;
}

int kvl_wake_new(lua_State *L)
{
    kvb_queue *queue = kvl_check_queue(L, 1);
    wake *self = kvl_object_new(L, kvl_state_of(L), sizeof(*self), &a_wake, KVL_META_WAKE);
    self->listener = self->connection = -1;
    self->queue = kvb_queue_ref(queue);
    if (make_directory(self) && listen_there(self))
        return 1;
    return push_failure(L, "cannot listen on a wake-up socket");
}

static int path(lua_State *L)
{
    lua_pushstring(L, check(L)->address.sun_path);
    return 1;
}

/* ---- accepting ---- */

/* Takes the loop's own connection, which is there already: it was made before. Strangers are turned away, root too. */
static int accept_connection(lua_State *L)
{
    wake *self = check(L);
    while (self->connection < 0) {
        int connection = kvi_socket_accept(self->listener);
        if (connection < 0 && errno != EINTR && errno != ECONNABORTED)
            return push_failure(L, "cannot accept the wake-up connection");
        if (connection >= 0 && kvi_socket_is_own(connection))
            self->connection = connection;
        else
            close_descriptor(&connection);
    }
    stop_listening(self);
    kivi_queue_on_ready(self->queue->queue, tell, self);
    lua_pushboolean(L, true);
    return 1;
}

/* Has the reader look up, as an answer does. */
static int tell_reader(lua_State *L)
{
    const wake *self = check(L);
    if (self->connection >= 0)
        tell((void *)self);
    return 0;
}

/* While held, calls are submitted together: see kivi_queue_hold(). */
static int hold(lua_State *L)
{
    const wake *self = check(L);
    if (self->queue->queue)
        kivi_queue_hold(self->queue->queue, lua_toboolean(L, 2));
    return 0;
}

static int close_wake(lua_State *L)
{
    wake *self = kvl_object(L, 1, &a_wake);
    if (!self || !self->queue)
        return 0;
    if (self->queue->queue && self->connection >= 0)
        kivi_queue_on_ready(self->queue->queue, NULL, NULL);
    stop_listening(self);
    close_descriptor(&self->connection);
    kvb_queue_unref(self->queue);
    self->queue = NULL;
    return 0;
}

void kvl_wakes_register(lua_State *L, kvl_state *state)
{
    static const luaL_Reg methods[] = {{"path", path},        {"accept", accept_connection},
                                       {"tell", tell_reader}, {"hold", hold},
                                       {"close", close_wake}, {NULL, NULL}};
    static const luaL_Reg events[] = {{"__gc", close_wake}, {"__close", close_wake}, {NULL, NULL}};
    kvl_meta_new(L, state, KVL_META_WAKE, "kivi.Wake", events, methods);
}
