/* A disk between a program and its files, loaded by LD_PRELOAD.
 *
 * Every change below the folder DISK_ROOT is written to DISK_TRACE in the order in which it happened, with its
 * bytes, so that the disk can be shown as a power cut at any instant might have left it (tests/crash/power_cut.py).
 * On demand it fails:
 *   DISK_FAIL_SYNC=n    the n-th sync of this process returns EIO and does nothing; those after it work.
 *   DISK_SKIP_SYNC=text syncs of files whose path contains the text do nothing, and say that they did.
 *   DISK_SPACE=file     that file holds, as a decimal number, how many bytes files may still grow by.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 4096, PATHS = 512 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char paths[FDS][PATHS];
static int trace = -1, started, syncs, fail_sync = -1;
static const char *root, *skip_sync, *space_file;
static int64_t grown;


static void start(void) {
    if (started) return;
    started = 1;
    root = getenv("DISK_ROOT");
    skip_sync = getenv("DISK_SKIP_SYNC");
    space_file = getenv("DISK_SPACE");
    if (getenv("DISK_FAIL_SYNC")) fail_sync = atoi(getenv("DISK_FAIL_SYNC"));
    const char *name = getenv("DISK_TRACE");
    if (root && name) trace = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The path below the root, or NULL. */
static const char *inside(const char *path) {
    start();
    if (!root || !path) return NULL;
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && (path[length] == '/' || !path[length]) ? path + length : NULL;
}

static const char *of_fd(int fd) { return fd >= 0 && fd < FDS && paths[fd][0] ? paths[fd] : NULL; }

/* One record: kind, file descriptor, position, length of the path, length of the data; then both. */
static void record(char kind, int fd, int64_t position, const char *path, const struct iovec *parts, int count,
                   int64_t length) {
    if (trace < 0) return;
    struct __attribute__((packed)) { char kind; int32_t fd; int64_t position, path, data; } head = {
        kind, fd, position, path ? (int64_t)strlen(path) : 0, length };
    struct iovec out[2] = {{&head, sizeof head}, {(void *)path, (size_t)head.path}};
    syscall(SYS_writev, trace, out, path ? 2 : 1);
    for (int i = 0; i < count && length > 0; i++) {
        int64_t size = (int64_t)parts[i].iov_len < length ? (int64_t)parts[i].iov_len : length;
        syscall(SYS_write, trace, parts[i].iov_base, size);
        length -= size;
    }
}

static int is_there(const char *path) {
    struct stat found;
    return syscall(SYS_newfstatat, AT_FDCWD, path, &found, 0) == 0;
}

static int64_t size_of(int fd) {
    struct stat found;
    return syscall(SYS_fstat, fd, &found) == 0 ? found.st_size : 0;
}

static int64_t space(void) {
    if (!space_file) return INT64_MAX;
    char text[32] = {0};
    int fd = syscall(SYS_openat, AT_FDCWD, space_file, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return INT64_MAX;
    syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    return atoll(text) - grown;
}

static int opened(int fd, const char *path, int flags, int existed) {
    const char *name = inside(path);
    if (fd >= 0 && fd < FDS) paths[fd][0] = 0;
    if (fd < 0 || fd >= FDS || !name) return fd;
    snprintf(paths[fd], PATHS, "%s", name[0] ? name : "/");
    record(existed ? 'o' : 'n', fd, 0, paths[fd], NULL, 0, 0);
    if (existed && (flags & O_TRUNC)) record('t', fd, 0, NULL, NULL, 0, 0);
    return fd;
}

static int do_open(int at, const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    int existed = inside(path) ? is_there(path) : 1;
    int fd = opened(syscall(SYS_openat, at, path, flags, mode), path, flags, existed);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(after) mode_t mode = 0; if (flags & O_CREAT) { va_list list; va_start(list, after); \
    mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return do_open(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return do_open(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return do_open(at, path, flags, mode); }

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (of_fd(fd)) { record('c', fd, 0, NULL, NULL, 0, 0); paths[fd][0] = 0; }
    int done = syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, int64_t position) {
    if (!of_fd(fd))
        return position < 0 ? syscall(SYS_writev, fd, parts, count)
                            : syscall(SYS_pwritev, fd, parts, count, (long)position, 0L);
    pthread_mutex_lock(&lock);
    int64_t length = 0, before = size_of(fd), done;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    int64_t at = position;
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? before : lseek(fd, 0, SEEK_CUR);
    int64_t growth = at + length > before ? at + length - before : 0;
    if (growth > space()) {
        errno = ENOSPC;
        done = -1;
    } else {
        done = position < 0 ? syscall(SYS_writev, fd, parts, count)
                            : syscall(SYS_pwritev, fd, parts, count, (long)position, 0L);
        if (done > 0) {
            grown += growth;
            record('w', fd, at, NULL, parts, count, done);
        }
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    return write_parts(fd, &part, 1, -1);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t position) {
    struct iovec part = {(void *)data, size};
    return write_parts(fd, &part, 1, position);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t position) {
    struct iovec part = {(void *)data, size};
    return write_parts(fd, &part, 1, position);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_parts(fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t position) {
    return write_parts(fd, parts, count, position);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t position) {
    return write_parts(fd, parts, count, position);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t position, int flags) {
    (void)flags;
    return write_parts(fd, parts, count, position);
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t position, int flags) {
    (void)flags;
    return write_parts(fd, parts, count, position);
}

static int do_truncate(int fd, int64_t size) {
    pthread_mutex_lock(&lock);
    int64_t before = size_of(fd);
    int done = syscall(SYS_ftruncate, fd, (long)size);
    if (done == 0 && of_fd(fd)) {
        grown += size - before;
        record('t', fd, size, NULL, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t size) { return do_truncate(fd, size); }
int ftruncate64(int fd, off64_t size) { return do_truncate(fd, size); }

static int do_sync(int fd, long call) {
    const char *name = of_fd(fd);
    if (!name) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    int done = 0;
    if (syncs++ == fail_sync) {
        record('f', fd, 0, NULL, NULL, 0, 0);
        errno = EIO;
        done = -1;
    } else if (!skip_sync || !strstr(name, skip_sync)) {
        record('s', fd, 0, NULL, NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

static int do_rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    const char *a = inside(from), *b = inside(to);
    int done = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (done == 0 && a && b) {
        struct iovec part = {(void *)b, strlen(b)};
        record('r', -1, 0, a, &part, 1, (int64_t)part.iov_len);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int rename(const char *from, const char *to) { return do_rename(from, to); }
int renameat(int a, const char *from, int b, const char *to) { (void)a; (void)b; return do_rename(from, to); }

static int do_unlink(int at, const char *path, int flags) {
    pthread_mutex_lock(&lock);
    struct stat found;
    int known = inside(path) && syscall(SYS_newfstatat, at, path, &found, 0) == 0;
    int done = syscall(SYS_unlinkat, at, path, flags);
    if (done == 0 && known) {
        grown -= found.st_size;
        record('u', -1, 0, inside(path), NULL, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return do_unlink(at, path, flags); }

int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (done == 0 && inside(path)) record('d', -1, 0, inside(path), NULL, 0, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
