/* Where the files of a store lie, and whether LMDB can live there. */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine.h"

#define LINKS_MAX 40 /* as many as the kernel follows */

void kvi_lmdb_names_free(kvi_lmdb_names *names)
{
    free(names->folder);
    free(names->env);
    free(names->data);
    free(names->lock);
    free(names->writer);
    memset(names, 0, sizeof(*names));
}

static char *join(const char *left, const char *right)
{
    char *text;
    return asprintf(&text, "%s%s", left, right) < 0 ? NULL : text;
}

/* Makes the folder of a path that ends in '/'; its parent must be there. */
static kivi_status folder_make(const char *path, const kvi_lmdb_settings *settings, kivi_error **error)
{
    mode_t mode = settings->mode | S_IXUSR;

    if (settings->mode & S_IRGRP)
        mode |= S_IXGRP;
    if (settings->mode & S_IROTH)
        mode |= S_IXOTH;
    if (settings->read_only || !settings->create) {
        KVI_LMDB_ERROR(error, KIVI_INVALID, ENOENT, KIVI_RETRY_NO,
                       "%s: there is no such directory, and it is not to be made", path);
        return KIVI_INVALID;
    }
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return kvi_lmdb_fail(error, errno, path, "cannot make the directory");
    return KIVI_OK;
}

static kivi_status names_complete(kvi_lmdb_names *names, kivi_error **error)
{
    const char *const *ends;
    static const char *const of_folder[] = {"/data.mdb", "/lock.mdb", "/kivi.lock"};
    static const char *const of_file[] = {"", "-lock", "-kivi"};

    ends = names->subdir ? of_folder : of_file;
    names->data = join(names->env, ends[0]);
    names->lock = join(names->env, ends[1]);
    names->writer = join(names->env, ends[2]);
    if (names->folder && names->data && names->lock && names->writer)
        return KIVI_OK;
    return kvi_lmdb_fail(error, ENOMEM, names->env, "cannot open");
}

/*
 * Follows links to a file that is not there yet, for realpath() gives up on them: the name by which the
 * file will be known once it is there. NULL: an errno says why.
 */
static char *follow_links(const char *path)
{
    char target[PATH_MAX], *name = strdup(path);
    ssize_t size;

    for (unsigned i = 0; name && (size = readlink(name, target, sizeof(target) - 1)) >= 0; i++) {
        char *next, *slash = strrchr(name, '/');

        target[size] = 0;
        if (i == LINKS_MAX || size == sizeof(target) - 1) {
            free(name);
            errno = i == LINKS_MAX ? ELOOP : ENAMETOOLONG;
            return NULL;
        }
        if (slash)
            slash[1] = 0;
        next = join(*target == '/' || !slash ? "" : name, target);
        free(name);
        name = next;
    }
    if (!name)
        errno = ENOMEM;
    return name;
}

/* A file: its folder must be there, the file itself need not be. */
static kivi_status names_of_file(const char *path, kvi_lmdb_names *names, kivi_error **error)
{
    char *copy = NULL, *slash;
    kivi_status status = KIVI_OK;

    names->env = realpath(path, NULL);
    if (names->env) {
        names->folder = strdup(names->env);
        if (names->folder)
            *(strrchr(names->folder, '/') + (strrchr(names->folder, '/') == names->folder)) = 0;
        return names_complete(names, error);
    }
    if (errno != ENOENT)
        return kvi_lmdb_fail(error, errno, path, "cannot open");
    copy = follow_links(path);
    if (!copy)
        return kvi_lmdb_fail(error, errno, path, "cannot open");
    slash = strrchr(copy, '/');
    if (slash)
        *slash = 0;
    names->folder = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
    if (!names->folder) {
        status = kvi_lmdb_fail(error, errno, path, "cannot open its directory");
        goto out;
    }
    if (asprintf(&names->env, "%s/%s", strcmp(names->folder, "/") == 0 ? "" : names->folder,
                 slash ? slash + 1 : copy) < 0) {
        names->env = NULL;
        status = kvi_lmdb_fail(error, ENOMEM, path, "cannot open");
        goto out;
    }
    status = names_complete(names, error);
out:
    free(copy);
    return status;
}

kivi_status kvi_lmdb_names_find(const char *path, const kvi_lmdb_settings *settings,
                                kvi_lmdb_names *names, kivi_error **error)
{
    size_t size = path ? strlen(path) : 0;
    struct stat info;
    kivi_status status;
    bool there;

    memset(names, 0, sizeof(*names));
    if (size == 0) {
        KVI_LMDB_ERROR(error, KIVI_INVALID, 0, KIVI_RETRY_NO, "no path: say lmdb:FILE or lmdb:DIRECTORY/");
        return KIVI_INVALID;
    }
    there = stat(path, &info) == 0;
    if (!there && errno != ENOENT)
        return kvi_lmdb_fail(error, errno, path, "cannot open");
    if (there && !S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
        KVI_LMDB_ERROR(error, KIVI_INVALID, 0, KIVI_RETRY_NO, "%s: neither a file nor a directory", path);
        return KIVI_INVALID;
    }
    names->subdir = there ? S_ISDIR(info.st_mode) : path[size - 1] == '/';
    if (!names->subdir)
        return names_of_file(path, names, error);
    if (!there) {
        status = folder_make(path, settings, error);
        if (status != KIVI_OK)
            return status;
    }
    names->env = realpath(path, NULL);
    if (!names->env)
        return kvi_lmdb_fail(error, errno, path, "cannot open");
    names->folder = strdup(names->env);
    return names_complete(names, error);
}

/* The kind of a FUSE file system, of which only some are remote. */
static bool fuse_is_remote(const char *folder)
{
    static const char *const remote[] = {"sshfs",  "gluster", "ceph",    "s3fs", "rclone", "davfs",
                                         "goofys", "gcsfuse", "curlftp", "nfs",  "smb",    "afp"};
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    struct stat info;
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;

    if (!mounts)
        return false;
    while (stat(folder, &info) == 0 && getline(&line, &capacity, mounts) > 0) {
        unsigned major_number, minor_number;
        char *type = strstr(line, " - fuse");
        if (!type || sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) != 2 ||
            makedev(major_number, minor_number) != info.st_dev)
            continue;
        type[3 + strcspn(type + 3, " ")] = 0;
        for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++)
            found = found || strstr(type, remote[i]);
    }
    free(line);
    fclose(mounts);
    return found;
}

kivi_status kvi_lmdb_check_disk(const kvi_lmdb_names *names, kivi_error **error)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } remote[] = {
        {NFS_SUPER_MAGIC, "NFS"},     {SMB_SUPER_MAGIC, "SMB"},   {0xFF534D42, "CIFS"},
        {0xFE534D42, "SMB2"},         {V9FS_MAGIC, "9p"},         {AFS_SUPER_MAGIC, "AFS"},
        {0x6B414653, "AFS"},          {CODA_SUPER_MAGIC, "Coda"}, {0x564C, "NCP"},
        {0x0BD00BD0, "Lustre"},       {0x47504653, "GPFS"},       {0x00C36400, "Ceph"},
        {OCFS2_SUPER_MAGIC, "OCFS2"}, {0x01161970, "GFS2"},       {0x20030528, "OrangeFS"},
        {0x786F4256, "vboxsf"}};
    struct statfs disk;
    const char *name = NULL;

    if (statfs(names->folder, &disk) != 0)
        return kvi_lmdb_fail(error, errno, names->folder, "cannot open");
    for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++)
        if ((uint32_t)disk.f_type == remote[i].magic)
            name = remote[i].name;
    if (!name && (uint32_t)disk.f_type == FUSE_SUPER_MAGIC && fuse_is_remote(names->folder))
        name = "FUSE";
    if (!name)
        return KIVI_OK;
    KVI_LMDB_ERROR(error, KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
                   "%s: lies on a network file system (%s), where LMDB loses data", names->data, name);
    return KIVI_UNSUPPORTED;
}
