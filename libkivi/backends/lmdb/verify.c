/*
 * Whether every page of a file is as LMDB would have written it, for the option `check`: LMDB itself trusts
 * what it maps, so a damaged page would kill the process at some later call, or give wrong answers.
 *
 * Works on one snapshot, which an open read transaction keeps in place whoever writes meanwhile; reads by
 * pread(), so that nothing here can be led outside the file. Values are not looked at. Named databases of
 * other programs are only known to lie there: kivi never goes into them.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine.h"
#include "layout.h"

#define DATABASE_SIZE 48
#define LOOK_PAGES 256 /* between two looks at the caller's wait */

/* Flags of a database of which the order of keys is not that of bytes, or that has several values a key. */
#define FLAGS_OTHER (MDB_REVERSEKEY | MDB_DUPSORT | MDB_INTEGERKEY)
/* Flags that say something of several values a key. */
#define FLAGS_SEVERAL (MDB_DUPFIXED | MDB_INTEGERDUP | MDB_REVERSEDUP)

typedef struct verification {
    int fd;
    kivi_wait *wait;
    kivi_status status; /* of what is no damage: the wait, memory */
    const char *fault;  /* what is damaged, and in which page */
    uint64_t fault_page;
    uint64_t page_size, pages; /* pages of the snapshot; those that the file lacks cannot be read */
    uint8_t *used;             /* a bit for each page that was met */
    uint64_t looked;
    const database *kivi; /* the database of expiries, when it was met */
    database kivi_found;
} verification;

/* One tree being walked. */
typedef struct tree {
    verification *v;
    const database *db;
    bool is_free, is_data;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries;
    uint8_t last[KVI_LMDB_KEY_MAX]; /* the greatest key so far, or what the next must reach */
    size_t last_size;
    bool any, may_equal;
} tree;

static bool damaged(verification *v, uint64_t page, const char *what)
{
    if (!v->fault) {
        v->fault = what;
        v->fault_page = page;
    }
    return false;
}

/* Notes that a page is in use: once, and within the file. */
static bool page_use(verification *v, uint64_t page)
{
    if (page < FIRST_PAGE || page >= v->pages)
        return damaged(v, page, "a page outside the file is referred to");
    if (v->used[page / 8] >> page % 8 & 1)
        return damaged(v, page, "a page has two uses");
    v->used[page / 8] |= (uint8_t)(1 << page % 8);
    if (++v->looked % LOOK_PAGES == 0)
        v->status = kivi_wait_check(v->wait);
    return v->status == KIVI_OK;
}

/* A value on pages of its own: `size` bytes of it. */
static bool overflow_use(tree *t, uint64_t page, uint64_t size)
{
    verification *v = t->v;
    uint64_t count = (PAGE_HEADER - 1 + size) / v->page_size + 1;
    uint8_t header[PAGE_HEADER];

    for (uint64_t i = 0; i < count; i++)
        if (!page_use(v, page + i))
            return false;
    if (!read_at(v->fd, header, sizeof(header), page * v->page_size))
        return damaged(v, page, "it cannot be read");
    if (get64(header) != page || get16(header + 10) != PAGE_OVERFLOW || get32(header + 12) != count)
        return damaged(v, page, "a long value does not begin there");
    t->overflow_pages += count;
    return true;
}

/* Pages that are free: a number of them, then each, in falling order. */
static bool free_list_use(verification *v, uint64_t page, const uint8_t *list, uint64_t size)
{
    uint64_t count = size >= 8 ? get64(list) : 0;

    if (size < 8 || count > size / 8 - 1)
        return damaged(v, page, "its list of free pages is too long");
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t one = get64(list + i * 8);
        if (i > 1 && one >= get64(list + i * 8 - 8))
            return damaged(v, page, "its list of free pages is out of order");
        /* A page at the end that was given up before it was ever written. */
        if (one >= v->pages && one != NO_PAGE)
            continue;
        if (!page_use(v, one))
            return false;
    }
    return true;
}

static bool free_list_use_big(tree *t, uint64_t page, uint64_t size)
{
    uint8_t *list;
    bool whole;

    if (!overflow_use(t, page, size))
        return false;
    list = malloc(size);
    if (!list) {
        t->v->status = KIVI_NO_MEMORY;
        return false;
    }
    whole = read_at(t->v->fd, list, size, page * t->v->page_size + PAGE_HEADER)
                ? free_list_use(t->v, page, list, size)
                : damaged(t->v, page, "it cannot be read");
    free(list);
    return whole;
}

/* Keys rise; what stands above a page is at most its first. */
static bool key_order(tree *t, const uint8_t *key, size_t size, bool leaf)
{
    size_t common = size < t->last_size ? size : t->last_size;
    int order = 1;

    if (t->is_free) {
        uint64_t now, before = 0;
        if (size != sizeof(now))
            return false;
        now = get64(key);
        if (t->any)
            memcpy(&before, t->last, sizeof(before));
        order = !t->any ? 1 : now > before ? 1 : now == before ? 0 : -1;
    } else {
        if (size == 0 || size > KVI_LMDB_KEY_MAX)
            return false;
        if (t->any)
            order = memcmp(key, t->last, common);
        if (t->any && order == 0)
            order = size > t->last_size ? 1 : size == t->last_size ? 0 : -1;
    }
    if (order < 0 || (order == 0 && !(leaf && t->may_equal)))
        return false;
    memcpy(t->last, key, size);
    t->last_size = size;
    t->any = true;
    t->may_equal = !leaf;
    return true;
}

static bool tree_page(tree *t, uint64_t page, unsigned level);

static bool branch_node(tree *t, uint64_t page, const uint8_t *node, bool first, unsigned level)
{
    uint64_t child = get16(node) | (uint64_t)get16(node + 2) << 16 | (uint64_t)get16(node + 4) << 32;

    /* The first stands for everything below the second. */
    if (!first && !key_order(t, node + NODE_HEADER, get16(node + 6), false))
        return damaged(t->v, page, "its keys are out of order");
    return tree_page(t, child, level + 1);
}

static bool leaf_node(tree *t, uint64_t page, const uint8_t *node)
{
    verification *v = t->v;
    size_t key_size = get16(node + 6);
    uint64_t size = get16(node) | (uint64_t)get16(node + 2) << 16;
    unsigned flags = get16(node + 4);
    const uint8_t *key = node + NODE_HEADER, *data = key + key_size;

    if (!key_order(t, key, key_size, true))
        return damaged(v, page, "its keys are out of order");
    t->entries++;
    if (flags == NODE_BIG)
        return t->is_free ? free_list_use_big(t, get64(data), size) : overflow_use(t, get64(data), size);
    if (flags == NODE_DATABASE && t->is_data && size == DATABASE_SIZE) {
        if (key_size == KVI_LMDB_MARK_SIZE && memcmp(key, KVI_LMDB_MARK, key_size) == 0) {
            memcpy(&v->kivi_found, data, DATABASE_SIZE);
            v->kivi = &v->kivi_found;
        }
        return true;
    }
    if (flags != 0)
        return damaged(v, page, "an entry of it is of no kind that could be");
    return t->is_free ? free_list_use(v, page, data, size) : true;
}

/* Bytes that a node takes in its page; 0: it does not fit. */
static size_t node_size(const verification *v, const uint8_t *bytes, size_t at, bool leaf)
{
    size_t size = NODE_HEADER;

    if (at + NODE_HEADER > v->page_size)
        return 0;
    size += get16(bytes + at + 6);
    if (leaf && get16(bytes + at + 4) & NODE_BIG)
        size += sizeof(uint64_t);
    else if (leaf)
        size += get16(bytes + at) | (size_t)get16(bytes + at + 2) << 16;
    size += size % 2;
    return size <= v->page_size - at ? size : 0;
}

/* Whether the nodes lie side by side up to the end of the page: a deletion moves those before it. */
static bool page_is_tiled(const verification *v, const uint8_t *bytes, size_t count, bool leaf)
{
    uint8_t tiles[65536 / 16]; /* a bit for two bytes */
    size_t upper = get16(bytes + 14), total = 0;

    memset(tiles, 0, v->page_size / 16);
    for (size_t i = 0; i < count; i++) {
        size_t at = get16(bytes + PAGE_HEADER + i * 2), size;
        size = at < upper || at % 2 ? 0 : node_size(v, bytes, at, leaf);
        if (!size)
            return false;
        total += size;
        for (size_t tile = at / 2; tile < (at + size) / 2; tile++) {
            if (tiles[tile / 8] >> tile % 8 & 1)
                return false;
            tiles[tile / 8] |= (uint8_t)(1 << tile % 8);
        }
    }
    return total == v->page_size - upper;
}

/* The nodes of a page, in order. */
static bool page_nodes(tree *t, uint64_t page, const uint8_t *bytes, unsigned level)
{
    verification *v = t->v;
    size_t lower = get16(bytes + 12), upper = get16(bytes + 14), count;
    bool leaf = get16(bytes + 10) == PAGE_LEAF;

    if (lower < PAGE_HEADER || lower % 2 || upper < lower || upper > v->page_size)
        return damaged(v, page, "its header is damaged");
    count = (lower - PAGE_HEADER) / 2;
    if (count < (leaf || t->is_free ? 1 : 2))
        return damaged(v, page, "it has too few entries");
    if (!page_is_tiled(v, bytes, count, leaf))
        return damaged(v, page, "its entries do not lie side by side");
    for (size_t i = 0; i < count; i++) {
        size_t at = get16(bytes + PAGE_HEADER + i * 2);
        if (leaf ? !leaf_node(t, page, bytes + at) : !branch_node(t, page, bytes + at, i == 0, level))
            return false;
    }
    return true;
}

static bool tree_page(tree *t, uint64_t page, unsigned level)
{
    verification *v = t->v;
    uint8_t *bytes;
    bool whole;

    if (level > t->db->depth || !page_use(v, page))
        return damaged(v, page, "a branch of the tree is too long");
    bytes = malloc(v->page_size);
    if (!bytes) {
        v->status = KIVI_NO_MEMORY;
        return false;
    }
    if (!read_at(v->fd, bytes, v->page_size, page * v->page_size))
        whole = damaged(v, page, "it cannot be read");
    else if (get64(bytes) != page ||
             get16(bytes + 10) != (level == t->db->depth ? PAGE_LEAF : PAGE_BRANCH))
        whole = damaged(v, page, "it is no page of the tree");
    else
        whole = page_nodes(t, page, bytes, level);
    free(bytes);
    if (level == t->db->depth)
        t->leaf_pages++;
    else
        t->branch_pages++;
    return whole;
}

static bool tree_walk(verification *v, const database *db, bool is_free, bool is_data)
{
    tree t = {.v = v, .db = db, .is_free = is_free, .is_data = is_data};

    if (db->depth > DEEPEST || (db->root == NO_PAGE) != (db->depth == 0))
        return damaged(v, db->root, "the root of a tree is damaged");
    if (db->root != NO_PAGE && !tree_page(&t, db->root, 1))
        return false;
    if (t.branch_pages != db->branch_pages || t.leaf_pages != db->leaf_pages ||
        t.overflow_pages != db->overflow_pages || t.entries != db->entries)
        return damaged(v, db->root, "a tree has not the pages or entries that it should have");
    return true;
}

/* The page that describes a snapshot; false: two commits have come since. */
static bool meta_of(int fd, uint64_t page_size, size_t id, meta *found)
{
    for (unsigned i = 0; i < 2; i++)
        if (meta_read(fd, i * page_size, found) && found->transaction == id)
            return true;
    return false;
}

static bool walk_all(verification *v, const meta *described)
{
    v->pages = described->last_page + 1;
    v->used = calloc(v->pages / 8 + 1, 1);
    if (!v->used) {
        v->status = KIVI_NO_MEMORY;
        return false;
    }
    if ((described->free.flags & (FLAGS_OTHER | FLAGS_SEVERAL)) != MDB_INTEGERKEY)
        return damaged(v, 0, "the flags of the free pages are damaged");
    /* Such a file is refused in other words. */
    if (described->data.flags & FLAGS_OTHER)
        return true;
    if (described->data.flags & FLAGS_SEVERAL)
        return damaged(v, 0, "the flags of the data are damaged");
    if (!tree_walk(v, &described->free, true, false) || !tree_walk(v, &described->data, false, true))
        return false;
    return !v->kivi || (v->kivi->flags & FLAGS_OTHER) || tree_walk(v, v->kivi, false, false);
}

static kivi_status answer(const kvi_lmdb_env *env, const verification *v, kivi_error **error)
{
    if (v->status == KIVI_NO_MEMORY)
        return kvi_lmdb_fail(error, ENOMEM, env->names.data, "cannot check");
    if (v->status != KIVI_OK)
        return kvi_lmdb_gave_up(error, v->status, env->names.data, "the file is being checked");
    if (!v->fault)
        return KIVI_OK;
    KVI_LMDB_ERROR(error, KIVI_CORRUPT, MDB_CORRUPTED, KIVI_RETRY_NO,
                   "%s: the file is damaged; restore it from a backup: page %llu: %s",
                   env->names.data, (unsigned long long)v->fault_page, v->fault);
    return KIVI_CORRUPT;
}

/* A snapshot to look at: while the file is being opened there are no readers yet. */
typedef struct snapshot {
    MDB_txn *txn;
    kvi_lmdb_slot *slot;
} snapshot;

static void snapshot_end(kvi_lmdb_env *env, snapshot *at)
{
    if (at->slot)
        kvi_lmdb_leave(env, at->slot);
    else
        mdb_txn_abort(at->txn);
    *at = (snapshot){NULL, NULL};
}

static kivi_status snapshot_begin(kvi_lmdb_env *env, kivi_wait *wait, snapshot *at, kivi_error **error)
{
    uint64_t pause = 50000;
    kivi_status status;
    int rc;

    if (env->slots) {
        status = kvi_lmdb_enter(env, wait, &at->slot, error);
        if (status == KIVI_OK)
            at->txn = at->slot->txn;
        return status;
    }
    while ((rc = kvi_lmdb_env_begin(env, &at->txn)) == MDB_READERS_FULL) {
        status = kvi_lmdb_env_wait_reader(env, wait, &pause, error);
        if (status != KIVI_OK)
            return status;
    }
    if (rc == 0)
        return KIVI_OK;
    at->txn = NULL;
    return kvi_lmdb_fail(error, rc, env->names.data, "cannot check");
}

/* Begins a snapshot of which the describing page is still there. */
static kivi_status snapshot_find(kvi_lmdb_env *env, verification *v, snapshot *at, meta *found,
                                 kivi_error **error)
{
    for (unsigned i = 0; i < 100; i++) {
        kivi_status status = snapshot_begin(env, v->wait, at, error);
        if (status != KIVI_OK)
            return status;
        if (meta_of(v->fd, v->page_size, mdb_txn_id(at->txn), found))
            return KIVI_OK;
        snapshot_end(env, at);
    }
    return kvi_lmdb_fail(error, EBUSY, env->names.data, "cannot check");
}

kivi_status kvi_lmdb_verify(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    verification v = {.wait = wait};
    snapshot at = {NULL, NULL};
    kivi_status status;
    MDB_stat stat;
    meta described;

    if (sizeof(void *) != 8)
        return KIVI_OK;
    v.fd = open(env->names.data, O_RDONLY | O_CLOEXEC);
    if (v.fd < 0)
        return kvi_lmdb_fail(error, errno, env->names.data, "cannot check");
    status = snapshot_begin(env, wait, &at, error);
    if (status != KIVI_OK)
        goto out;
    mdb_env_stat(env->mdb, &stat);
    snapshot_end(env, &at);
    v.page_size = stat.ms_psize;
    status = snapshot_find(env, &v, &at, &described, error);
    if (status != KIVI_OK)
        goto out;
    walk_all(&v, &described);
    snapshot_end(env, &at);
    status = answer(env, &v, error);
out:
    free(v.used);
    close(v.fd);
    return status;
}
