// Preloaded into a program under test, this makes a system call fail. FAULT_CALL is open, read, write, fsync,
// rename, mkstemp, close or inotify_add_watch, with its relatives (openat, pread, ...); FAULT_AT the number,
// from 1, of the call that fails; with FAULT_FOREVER all from there on fail; FAULT_ERRNO is the error's
// number. Only calls on files in the folder FAULT_UNDER count. FAULT_LOG gets a line "CALL PATH" for each
// call that fails. Where FAULT_AT is missing none fails, and all that count are logged.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char *call, *under;
static long at;
static int forever, code, log_file = -1;
static atomic_long count;

__attribute__((constructor)) static void prepare(void) {
    const char *text = getenv("FAULT_LOG");
    call = getenv("FAULT_CALL");
    under = getenv("FAULT_UNDER");
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    code = getenv("FAULT_ERRNO") ? atoi(getenv("FAULT_ERRNO")) : EIO;
    forever = getenv("FAULT_FOREVER") != NULL;
    if (!text) return;
    int file = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND, 0644);
    // Out of the way of the numbers that the program gets.
    log_file = fcntl(file, F_DUPFD_CLOEXEC, 500);
    syscall(SYS_close, file);
}

static int fails(const char *name, const char *path) {
    char line[PATH_MAX + 32];
    if (at > 0 && (!call || strcmp(call, name) != 0)) return 0;
    if (under && strncmp(path, under, strlen(under)) != 0) return 0;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (at > 0 && !(forever ? number >= at : number == at)) return 0;
    int length = snprintf(line, sizeof line, "%s %s\n", name, path);
    if (log_file >= 0) syscall(SYS_write, log_file, line, (size_t)length);
    errno = code;
    return at > 0;
}

static int file_fails(const char *name, int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(name, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static mode_t mode_of(int flags, va_list list) {
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(list, int) : 0;
}

#define OPEN(name)                                                                                           \
    int name(const char *path, int flags, ...) {                                                             \
        va_list list;                                                                                        \
        va_start(list, flags);                                                                               \
        mode_t mode = mode_of(flags, list);                                                                  \
        va_end(list);                                                                                        \
        return fails("open", path) ? -1 : NEXT(name)(path, flags, mode);                                     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                         \
    int name(int folder, const char *path, int flags, ...) {                                                 \
        va_list list;                                                                                        \
        va_start(list, flags);                                                                               \
        mode_t mode = mode_of(flags, list);                                                                  \
        va_end(list);                                                                                        \
        return fails("open", path) ? -1 : NEXT(name)(folder, path, flags, mode);                             \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t read(int file, void *bytes, size_t size) {
    return file_fails("read", file) ? -1 : NEXT(read)(file, bytes, size);
}

ssize_t pread(int file, void *bytes, size_t size, off_t offset) {
    return file_fails("read", file) ? -1 : NEXT(pread)(file, bytes, size, offset);
}

ssize_t pread64(int file, void *bytes, size_t size, off64_t offset) {
    return file_fails("read", file) ? -1 : NEXT(pread64)(file, bytes, size, offset);
}

ssize_t write(int file, const void *bytes, size_t size) {
    return file_fails("write", file) ? -1 : NEXT(write)(file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
    return file_fails("write", file) ? -1 : NEXT(pwrite)(file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) {
    return file_fails("write", file) ? -1 : NEXT(pwrite64)(file, bytes, size, offset);
}

int fsync(int file) { return file_fails("fsync", file) ? -1 : NEXT(fsync)(file); }

int fdatasync(int file) { return file_fails("fsync", file) ? -1 : NEXT(fdatasync)(file); }

int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : NEXT(rename)(from, to); }

int mkstemp(char *name) { return fails("mkstemp", name) ? -1 : NEXT(mkstemp)(name); }

int mkstemp64(char *name) { return fails("mkstemp", name) ? -1 : NEXT(mkstemp64)(name); }

int inotify_add_watch(int file, const char *path, uint32_t mask) {
    return fails("inotify_add_watch", path) ? -1 : NEXT(inotify_add_watch)(file, path, mask);
}

// The descriptor is gone, as Linux has it, whatever closing says.
int close(int file) {
    int failed = file_fails("close", file), error = errno, result = NEXT(close)(file);
    if (!failed) return result;
    errno = error;
    return -1;
}
